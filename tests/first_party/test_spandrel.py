"""Claims about lowvision-spandrel: networks that spandrel builds are saved as other programs do, and load again."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import check_output
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from pydantic import ValidationError
from torch import nn

import lowvision
from lowvision import DataError, WeightsError
from lowvision.models import external_weights, weights, weights_header
from lowvision.plugins import registry
from lowvision.recipe import reading
from lowvision.testing import PlainTask, check_backbone
from lowvision_spandrel import Spandrel, SpandrelFile, Unknown, layout, lowvision_backbones

spandrel = pytest.importorskip("spandrel")
from spandrel.architectures.Compact import Compact  # noqa: E402  # only where there is spandrel
from spandrel.architectures.DAT import DAT  # noqa: E402
from spandrel.architectures.DnCNN import DnCNN  # noqa: E402
from spandrel.architectures.ESRGAN import ESRGAN  # noqa: E402
from spandrel.architectures.MoSR import MoSR  # noqa: E402
from spandrel.architectures.PLKSR import PLKSR, RealPLKSR  # noqa: E402
from spandrel.architectures.RCAN import RCAN  # noqa: E402
from spandrel.architectures.SPAN import SPAN  # noqa: E402
from spandrel.architectures.SwiftSRGAN import SwiftSRGAN  # noqa: E402
from spandrel.architectures.SwinIR import SwinIR  # noqa: E402
from spandrel.architectures.Uformer import Uformer  # noqa: E402

KNOWN = registry.load()


def swinir() -> nn.Module:
    layers: dict[str, Any] = {"embed_dim": 8, "depths": [2], "num_heads": [2], "window_size": 4}
    return SwinIR(img_size=16, upscale=2, upsampler="pixelshuffledirect", **layers)


def dat() -> nn.Module:
    layers: dict[str, Any] = {"embed_dim": 16, "depth": [2], "num_heads": [2], "split_size": [4, 8]}
    return DAT(img_size=16, upscale=2, upsampler="pixelshuffledirect", **layers)


MAKERS: dict[str, Callable[[], nn.Module]] = {
    "Compact x2": lambda: Compact(num_feat=4, num_conv=1, upscale=2),
    "Compact grey x3": lambda: Compact(num_in_ch=1, num_out_ch=1, num_feat=4, num_conv=1, upscale=3),
    "ESRGAN x4": lambda: ESRGAN(num_filters=4, num_blocks=1, scale=4),
    "ESRGAN x2 that folds pixels": lambda: ESRGAN(in_nc=12, num_filters=4, num_blocks=1, scale=4, shuffle_factor=2),
    "SwinIR x2": swinir,
    "RCAN x2, which writes into its input": lambda: RCAN(n_resgroups=1, n_resblocks=1, n_feats=16, scale=2),
    "DAT x2, whose options are in a buffer": dat,
    "DnCNN x1, grey": lambda: DnCNN(in_nc=1, out_nc=1, nc=4, nb=8, act_mode="BR"),
    "DnCNN x1, which wants a map of noise": lambda: DnCNN(in_nc=4, out_nc=3, nc=4, nb=8, act_mode="R", mode="FDnCNN"),
}


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    return MAKERS[name]().eval()


def saved(folder: Path, network: nn.Module, name: str = "theirs.pth") -> Path:
    """Save a network as other programs do."""
    path = folder / name
    torch.save({"params_ema": network.state_dict()}, path)
    return path


def recognised(network: nn.Module) -> Spandrel:
    recognised_layout = SpandrelFile().recognise(network.state_dict())
    assert recognised_layout is not None
    choice = recognised_layout.branches[0].choice
    assert isinstance(choice, Spandrel)
    return choice


@pytest.fixture(params=MAKERS)
def network(request: pytest.FixtureRequest) -> nn.Module:
    return build(request.param)


def test_a_file_is_read_with_architecture_and_weights(network: nn.Module, tmp_path: Path) -> None:
    path = saved(tmp_path, network)
    external = external_weights.read(path, KNOWN, SpandrelFile())
    ours = external.architecture.build_network().eval()
    ours.load_state_dict(external.state)
    theirs = spandrel.ModelLoader().load_from_file(path).eval()
    task = external.architecture.task
    assert (task.scale, task.channels) == (theirs.scale, theirs.input_channels)
    image = torch.rand(1, task.channels, 16, 24)
    before = image.clone()
    with torch.no_grad():
        assert torch.equal(ours(image).clamp(0, 1), theirs(image.clone()))
    assert torch.equal(image, before)


def test_every_size_is_restored(network: nn.Module) -> None:
    backbone = recognised(network)
    (scale,) = backbone.scales
    channels = backbone._blueprint.channels
    ours = backbone.build(PlainTask(scale=scale, channels=channels)).eval()
    with torch.no_grad():
        for height, width in ((1, 1), (7, 13), (18, 33)):
            assert ours(torch.rand(1, channels, height, width)).shape == (1, channels, scale * height, scale * width)


def test_the_converted_file_works_without_the_original(network: nn.Module, tmp_path: Path) -> None:
    theirs, own = saved(tmp_path, network), tmp_path / "own.safetensors"
    header = weights.read_header(theirs, KNOWN)
    first = weights.load_network(theirs, header.architecture, KNOWN).eval()
    weights.save(own, first, header.architecture, KNOWN, {})
    theirs.unlink()
    assert str(tmp_path).encode() not in own.read_bytes()
    again = weights.read_header(own, KNOWN)
    assert again.architecture == header.architecture
    second = weights.load_network(own, again.architecture, KNOWN).eval()
    image = torch.rand(1, header.architecture.task.channels, 16, 16)
    with torch.no_grad():
        assert torch.equal(first(image), second(image))


def test_precision_order_and_older_names_give_the_same_backbone() -> None:
    network = build("ESRGAN x4")
    backbone = recognised(network)
    state = {name: tensor.half() for name, tensor in reversed(network.state_dict().items())}
    assert SpandrelFile().recognise(state).branches[0].choice == backbone  # type: ignore[union-attr]  # it is one
    newer = {
        name.replace("model.1.sub.0.RDB", "body.0.rdb")
        .replace(".0.weight", ".weight")
        .replace(".0.bias", ".bias")
        .replace("model.1.sub.1", "conv_body")
        .replace("model.weight", "conv_first.weight")
        .replace("model.bias", "conv_first.bias")
        .replace("model.3", "conv_up1")
        .replace("model.6", "conv_up2")
        .replace("model.8", "conv_hr")
        .replace("model.10", "conv_last"): tensor
        for name, tensor in network.state_dict().items()
    }
    assert "body.0.rdb1.conv1.weight" in newer
    assert SpandrelFile().recognise(newer).branches[0].choice == backbone  # type: ignore[union-attr]  # as above


def test_the_backbone_has_a_short_form_that_is_read_back() -> None:
    backbone = recognised(build("SwinIR x2"))
    serialize = KNOWN.serialize(backbone)
    assert serialize["spandrel"]["network"] == "SwinIR small s16w4 64nf 8dim 1conv 1unshuf x2"
    assert len(json.dumps(serialize)) < 800
    assert Spandrel(**serialize["spandrel"]) == backbone
    assert Spandrel(layout=backbone.layout, network="another").network == backbone.network
    assert hash(Spandrel(layout=backbone.layout)) == hash(backbone)


@pytest.mark.parametrize("name", ["Compact x2", "SwinIR x2"])
def test_every_spandrel_network_passes_the_backbone_check(name: str) -> None:
    backbone = recognised(build(name))
    task = PlainTask(scale=backbone.scales[0], channels=backbone._blueprint.channels)
    check_backbone(backbone, tasks=[task], half=name.startswith("Compact"), exportable=name.startswith("Compact"))


def measured_radius(backbone: Spandrel) -> int:
    """Return the receptive-field radius, measured by gradients on a row 1.5 times as long as the stated reach needs."""
    network, reach = network_and_reach(backbone)
    middle = 3 * reach // 2 + 2
    row = torch.rand(1, backbone._blueprint.channels, 1, 2 * middle + 1, dtype=torch.double, requires_grad=True)
    (scale,) = backbone.scales
    network(row)[..., middle * scale : (middle + 1) * scale].sum().backward()
    assert row.grad is not None
    (visible,) = row.grad.abs().sum(dim=(0, 1, 2)).nonzero(as_tuple=True)
    return int((visible - middle).abs().max())


def network_and_reach(backbone: Spandrel) -> tuple[nn.Module, int]:
    """Return the network in float64 and its stated reach."""
    (scale,) = backbone.scales
    task = PlainTask(scale=scale, channels=backbone._blueprint.channels)
    reach = backbone.reach(task)
    assert reach is not None
    torch.manual_seed(0)
    network = backbone.build(task).double()
    has_statistics = any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    return network.train(not has_statistics), reach  # in eval() PLKSR works in place, which has no gradient


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_the_reach_of_esrgan_equals_its_receptive_field(scale: int) -> None:
    backbone = recognised(ESRGAN(num_filters=2, num_blocks=1, scale=scale))
    reach = network_and_reach(backbone)[1]
    assert reach == 19
    assert reach - 1 <= measured_radius(backbone) <= reach


@pytest.mark.parametrize(
    ("network", "reach"),
    [
        (lambda: Compact(num_feat=4, num_conv=3, upscale=2), 5),
        (lambda: SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=4), 21),
        (lambda: DnCNN(in_nc=1, out_nc=1, nc=8, nb=17, act_mode="R"), 17),
        (lambda: DnCNN(in_nc=3, out_nc=3, nc=8, nb=20, act_mode="BR"), 20),
        (lambda: MoSR(dim=16, n_block=2, upscale=2), 14),
        (lambda: MoSR(dim=16, n_block=3, upscale=4), 19),
        (lambda: PLKSR(dim=8, n_blocks=2, upscaling_factor=2), 22),
        (lambda: PLKSR(dim=8, n_blocks=1, upscaling_factor=2, ccm_type="DCCM", kernel_size=9, use_ea=False), 8),
        (lambda: SwiftSRGAN(num_channels=8, num_blocks=2, upscale_factor=2), 12),
        (lambda: SwiftSRGAN(num_channels=8, num_blocks=1, upscale_factor=4), 10),
    ],
)
def test_the_reach_of_convolutional_networks_equals_their_receptive_field(
    network: Callable[[], nn.Module], reach: int
) -> None:
    torch.manual_seed(0)
    backbone = recognised(network())
    assert network_and_reach(backbone)[1] == reach
    assert measured_radius(backbone) == reach


def test_networks_with_global_attention_have_no_reach() -> None:
    for whole in (RealPLKSR(dim=16, n_blocks=1, upscaling_factor=2), build("RCAN x2, which writes into its input")):
        backbone = recognised(whole)
        assert backbone.reach(PlainTask(scale=2)) is None


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("fused", [True, False])
def test_span_gives_equal_results_after_conversion(norm: bool, fused: bool, tmp_path: Path) -> None:
    """spandrel rejects files that contain fused convolutions only, and fuses the branches of others for inference."""
    torch.manual_seed(0)
    theirs = SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2, norm=norm).eval()
    image = torch.rand(1, 3, 9, 12)
    with torch.no_grad():
        expected = theirs(image)  # updates the fused convolutions
    branches = [name for name in theirs.state_dict() if ".sk." in name or ".conv." in name]
    state = {name: tensor for name, tensor in theirs.state_dict().items() if not (fused and name in branches)}
    torch.save({"params_ema": state}, tmp_path / "span.pth")
    read = external_weights.read(tmp_path / "span.pth", KNOWN)
    assert read.format == "span_file"
    ours = read.architecture.build_network().eval()
    ours.load_state_dict(read.state)
    with torch.no_grad():
        torch.testing.assert_close(ours(image), expected, atol=1e-5, rtol=1e-4)


def test_a_file_of_another_network_is_refused_with_a_clear_message(tmp_path: Path) -> None:
    header = weights.read_header(saved(tmp_path, build("SwinIR x2"), "swin.pth"), KNOWN)
    with pytest.raises(WeightsError) as caught:
        weights.load_network(saved(tmp_path, build("Compact x2")), header.architecture, KNOWN)
    assert "spandrel(network=Compact 4nf 1nc x2) for sr x2; needed is a backbone, spandrel(network=SwinIR" in str(
        caught.value
    )
    assert len(str(caught.value)) < 600 + len(str(tmp_path))


def test_the_message_about_a_file_names_its_network(tmp_path: Path) -> None:
    header = weights.read_header(saved(tmp_path, build("Compact x2")), KNOWN)
    message = weights_header.recognised(header, KNOWN)
    assert message == "theirs.pth (spandrel): spandrel(network=Compact 4nf 1nc x2) for sr x2"


def test_a_network_requires_its_multiple_of_input_size() -> None:
    assert [recognised(build(name)).multiple_of for name in ("ESRGAN x4", "ESRGAN x2 that folds pixels")] == [1, 4]


def test_tiles_are_at_least_as_large_as_the_network_requires() -> None:
    made_for = SpandrelFile(size=8, overlap=2).recognise(swinir().state_dict())
    assert made_for is not None
    assert made_for.tile == (16, 2)


def test_a_task_of_another_scale_or_channel_count_is_reported() -> None:
    backbone = recognised(build("Compact x2"))
    with pytest.raises(ValueError, match="Compact 4nf 1nc x2 has scale 2; the task has scale 4"):
        backbone.build(PlainTask(scale=4))
    with pytest.raises(ValueError, match="has channels 3; the task has channels 1"):
        backbone.build(PlainTask(scale=2, channels=1))


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (lambda: Uformer(img_size=128, embed_dim=4, win_size=8), "only square images"),
        (
            lambda: Compact(num_in_ch=4, num_out_ch=4, num_feat=4, num_conv=1),
            "maps 4 channels to 4; lowvision",
        ),
        (lambda: ESRGAN(out_nc=1, num_filters=4, num_blocks=1), "maps 3 channels to 1"),
    ],
    ids=["square", "alpha", "other channels"],
)
def test_unsupported_kinds_of_networks_are_refused(
    network: Callable[[], nn.Module], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=f"cannot be converted: .*{reason}"):
        weights.read_header(saved(tmp_path, network()), KNOWN)


def test_a_misdetected_network_is_reported_with_its_reason() -> None:
    state = {"body.0.weight": torch.zeros(4, 3, 3, 3), "body.1.weight": torch.zeros(4)}
    with pytest.raises(ValueError, match="spandrel detects a network that it cannot build"):
        SpandrelFile().recognise(state)


def test_unknown_files_are_not_recognised() -> None:
    assert SpandrelFile().recognise({"some.weight": torch.zeros(3)}) is None


@pytest.mark.parametrize("layout_text", ["", "a", "QlpoOTFBWSZTWQ==", layout.pack({"some.weight": torch.zeros(3)})])
def test_an_invalid_layout_is_refused(layout_text: str) -> None:
    with pytest.raises(ValidationError, match=r"is not a valid layout of a network|recognises no network"):
        Spandrel(layout=layout_text)


def test_without_spandrel_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = build("Compact x2")
    theirs, own = saved(tmp_path, network), tmp_path / "own.safetensors"
    header = weights.read_header(theirs, KNOWN)
    weights.save(own, weights.load_network(theirs, header.architecture, KNOWN), header.architecture, KNOWN, {})
    monkeypatch.setattr("lowvision_spandrel.find_spec", lambda name: None)
    way_out = r"spandrel is not installed; pip install 'lowvision-framework\[spandrel\]'"
    for path in (theirs, own):
        with pytest.raises(WeightsError, match=way_out):
            weights.read_header(path, KNOWN)
    with pytest.raises(WeightsError, match=way_out):
        external_weights.read(theirs, KNOWN, SpandrelFile())
    assert "spandrel" in lowvision_backbones()


def test_listing_the_plugin_imports_neither_torch_nor_spandrel() -> None:
    program = (
        "import sys, lowvision_spandrel as s; s.lowvision_backbones(); s.lowvision_formats(); s.lowvision_tasks();"
        "print({'torch', 'spandrel'} & set(sys.modules))"
    )
    assert check_output([sys.executable, "-c", program], text=True).strip() == "set()"


def test_the_unknown_task_is_measured_on_pairs_only() -> None:
    lq = torch.rand(1, 3, 5, 7)
    assert Unknown().baseline(lq) is lq
    assert Unknown(scale=3).baseline(lq).shape == (1, 3, 15, 21)
    with pytest.raises(DataError, match="pass a folder with gt/ and lq/"):
        Unknown().degrade(lq[0], torch.Generator())


def test_restoring_from_a_file_equals_the_network_on_the_whole_image(tmp_path: Path) -> None:
    network = build("Compact x2")
    path = saved(tmp_path, network)
    image = np.random.default_rng(0).integers(0, 256, (150, 170, 3), dtype=np.uint8)
    restored = lowvision.load(path, device="cpu", runtime="torch").restore(image).image
    theirs = spandrel.ModelLoader().load_from_file(path)
    whole = theirs((torch.from_numpy(image).permute(2, 0, 1)[None] / 255).float())[0].permute(1, 2, 0)
    assert restored.shape == (300, 340, 3)
    assert np.abs(restored.astype(int) - (whole * 255).round().numpy().astype(int)).max() <= 1


RECIPE = """
task: {{sr: {{scale: 2}}}}
branches: [{{spandrel: {small}}}, {{weights: {large}}}]
classifier: class_module
tile: {{size: 16, overlap: 4}}
data: {{train: {photos}/train, valid: {photos}/valid, test: {photos}/valid, valid_tiles: 8, workers: 0}}
stages:
  rank: {{limit: 40}}
  classifier: {{ranked_steps: 4, steps: 3, batch: 4, micro_batch: 2}}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Write a recipe that routes between a Compact and a SwinIR read from files."""
    tiny.write_photographs(tmp_path / "photos")
    small, large = saved(tmp_path, build("Compact x2"), "small.pth"), saved(tmp_path, build("SwinIR x2"), "large.pth")
    path = tmp_path / "two.yml"
    path.write_text(RECIPE.format(photos=tmp_path / "photos", small=small, large=large))
    return path


def test_a_container_of_two_files_routes_without_the_originals(recipe: Path, tmp_path: Path) -> None:
    tiny.run(recipe, tmp_path / "run")
    files = {name: torch.load(tmp_path / name)["params_ema"] for name in ("small.pth", "large.pth")}
    for name in files:
        (tmp_path / name).unlink()
    made_by_it = tmp_path / "run" / "classifier" / "last.safetensors"
    header = weights.read_header(made_by_it, KNOWN)
    container = weights.load_container(made_by_it, header.architecture, KNOWN)
    for branch, state in zip(container.branches.networks, files.values(), strict=True):
        ours = branch.state_dict()
        assert all(torch.equal(ours[f"network.{key}"], tensor) for key, tensor in state.items())
    assert str(tmp_path).encode() not in made_by_it.read_bytes()
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    rows = report["sets"][0]["mean"]
    assert rows["branch_0"]["gmac"] < rows["branch_1"]["gmac"]
    image = np.zeros((9, 40, 3), np.uint8)
    assert lowvision.load(made_by_it, device="cpu", runtime="torch").restore(image).image.shape == (18, 80, 3)


def test_a_resolved_recipe_contains_network_and_file(recipe: Path) -> None:
    read_recipe = reading.read(recipe, KNOWN)
    again = recipe.with_name("resolved.yml")
    again.write_text(reading.resolved(read_recipe, KNOWN))
    assert "network: Compact 4nf 1nc x2" in again.read_text()
    assert reading.read(again, KNOWN) == read_recipe


def test_a_training_free_classifier_is_fitted(recipe: Path, tmp_path: Path) -> None:
    changes = ["stages={calibrate: {}, evaluate: null}", "classifier=high_frequency"]
    tiny.run(recipe, tmp_path / "run", *changes)
    made_by_it = tmp_path / "run" / "calibrate" / "container.safetensors"
    assert weights.read_header(made_by_it, KNOWN).kind == "container"


def test_the_recipes_of_the_docs_page_are_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "spandrel.md").read_text()
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, Compact(num_feat=4, num_conv=1, upscale=4), "tiny.pth")
    saved(tmp_path, build("ESRGAN x4"), "big.pth")
    recipes = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(recipes) == 2
    for text in recipes:
        Path("r.yml").write_text(text)
        read_recipe = reading.read("r.yml", KNOWN)
        assert [branch.weights for branch in read_recipe.branches] == ["tiny.pth", "big.pth"]


def test_a_backbone_may_be_a_file(recipe: Path) -> None:
    text = recipe.read_text().replace("branches: [{", "backbone: {").replace("}, {weights", "} #", 1)
    recipe.write_text(text)
    (branch,) = reading.read(recipe, KNOWN).branches
    assert branch.weights is not None
    assert branch.weights.endswith("small.pth")
