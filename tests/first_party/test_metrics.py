"""Claims about the metrics of lowvision-metrics, and about reports and checkpoint selection with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowvision import DataError
from lowvision.imaging import io
from lowvision.imaging.metrics import eight_bit, psnr
from lowvision.testing import check_metric, check_plugin
from lowvision_metrics import DISTS, LPIPS, MSSSIM, PSNRTo

torchvision = pytest.importorskip("torchvision")


def images(side: int = 200, channels: int = 3, strength: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    gt = torch.rand(1, channels, side // 4, side // 4, generator=generator)
    gt = torch.nn.functional.interpolate(gt, size=(side, side + 8), mode="bicubic")[0]
    return eight_bit(gt + strength * torch.randn(gt.shape, generator=generator), 0), eight_bit(gt, 0)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write random weights of torchvision's networks, with torchvision's tensor names."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    for name in ("alexnet", "vgg16", "squeezenet1_1"):
        state = getattr(torchvision.models, name)(weights=None).features.state_dict()
        torch.save({f"features.{key}": tensor for key, tensor in state.items()}, folder / f"{name}.pth")
    return {name: folder / f"{name}.pth" for name in ("alexnet", "vgg16", "squeezenet1_1")}


def test_the_plugin_registers_its_metrics() -> None:
    assert check_plugin("lowvision_metrics") == {"metrics": ["dists", "lpips", "ms_ssim", "psnr_to"]}


def test_ms_ssim_passes_its_check() -> None:
    check_metric(MSSSIM())


@pytest.mark.parametrize(("network", "file"), [("alex", "alexnet"), ("vgg", "vgg16"), ("squeeze", "squeezenet1_1")])
def test_lpips_equals_torchmetrics_with_the_weights_of_the_file(
    network: str, file: str, weights: dict[str, Path]
) -> None:
    pytest.importorskip("torchmetrics")
    from torchmetrics.functional.image.lpips import _LPIPS

    metric = LPIPS(network=network, file=str(weights[file]))
    expected = _LPIPS(pretrained=True, net=network, pnet_rand=True)
    features = getattr(torchvision.models, file)(weights=None).features
    features.load_state_dict({k.removeprefix("features."): t for k, t in torch.load(weights[file]).items()})
    # Its parts hold the layers of torchvision in order.
    own = list(features.parameters())
    for own_weight, theirs in zip(expected.net.parameters(), own, strict=True):
        own_weight.data.copy_(theirs.data)
    restored, gt = images(64)
    with torch.no_grad():
        value = expected(2 * restored[None] - 1, 2 * gt[None] - 1).item()
    assert metric.measure(restored, gt) == pytest.approx(value, rel=1e-5)
    assert metric.measure(gt, gt) == 0


def test_learned_metrics_pass_their_check(weights: dict[str, Path]) -> None:
    pytest.importorskip("torchmetrics")
    check_metric(LPIPS(file=str(weights["alexnet"])))


def test_dists_needs_no_download(weights: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torchmetrics")
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *_, **__: pytest.fail("it downloads"))
    metric = DISTS(file=str(weights["vgg16"]))
    restored, gt = images(64)
    assert metric.measure(gt, gt) == pytest.approx(0, abs=1e-6)
    assert metric.measure(restored, gt) > 1e-3


@pytest.mark.parametrize("wrong", ["absent.pth", "vgg16.pth"])
def test_wrong_weights_are_reported(wrong: str, weights: dict[str, Path]) -> None:
    pytest.importorskip("torchmetrics")
    restored, gt = images(64)
    message = "is no file" if wrong == "absent.pth" else "holds no weights of alexnet"
    with pytest.raises(ValueError, match=message):
        LPIPS(file=str(weights["alexnet"].parent / wrong)).measure(restored, gt)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 999), strength=st.floats(0.02, 0.4))
def test_ms_ssim_is_1_only_for_equal_images(seed: int, strength: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    gt = eight_bit(torch.rand(1, 176, 180, generator=generator), 0)
    other = eight_bit(gt + strength * torch.randn(gt.shape, generator=generator), 0)
    assert MSSSIM().measure(gt, gt) == pytest.approx(1, abs=1e-9)
    assert MSSSIM().measure(other, gt) < 1 - 1e-4


def test_ms_ssim_equals_torchmetrics() -> None:
    pytest.importorskip("torchmetrics")
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    restored, gt = images(channels=1)
    expected = multiscale_structural_similarity_index_measure(
        restored[None].double(), gt[None].double(), data_range=1.0, normalize="relu"
    )
    # torchmetrics pads by reflection and then crops, which leaves the same windows.
    assert MSSSIM().measure(restored, gt) == pytest.approx(expected.item(), abs=2e-3)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_recipe(tmp_path_factory.mktemp("metrics"))


ALONE = ("reduce=null", "classifier=null", *(f"stages.{n}=null" for n in ("rank", "branches", "classifier", "joint")))


def test_every_report_contains_the_columns_of_the_metrics(
    recipe: Path, weights: dict[str, Path], tmp_path: Path
) -> None:
    pytest.importorskip("torchmetrics")
    pictures = tmp_path / "theirs"
    pictures.mkdir()
    seen = io.read_rgb(recipe.parent / "photos" / "valid" / "seen.png")
    io.write(pictures / "seen.png", io.Image(seen))
    listed = f"[psnr, {{lpips: {{file: {weights['alexnet']}}}}}, {{psnr_to: {{folder: {pictures}}}}}]"
    tiny.run(recipe, tmp_path / "run", *ALONE, f"stages.evaluate.metrics={listed}")
    document = json.loads((tmp_path / "run" / "report.json").read_text())
    assert document["schema"] == 2
    assert [about["higher_is_better"] for about in document["metrics"].values()] == [True, False, True]
    row = document["sets"][0]["images"][0]["base_whole"]
    quality = ["psnr_rgb@crop2", "psnr_y@crop2", "lpips@crop2", "psnr_to@crop2"]
    assert [name for name in row if "@" in name] == quality
    # The other folder holds the ground truth, of the size to which the task crops it.
    assert row["psnr_to@crop2"] == pytest.approx(row["psnr_rgb@crop2"], abs=1e-6)
    for name in ("report.txt", "report.html"):
        text = (tmp_path / "run" / name).read_text()
        assert "LPIPS: version 0.1 with alex" in text.replace("\n", " ")
        assert "lower is better" in text.replace("\n", " ")
        assert "↓" in text


def test_the_best_weights_are_selected_by_the_named_metric(recipe: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    tiny.run(recipe, folder, *ALONE, "stages.base.keep={best: {ssim: {}}}", "stages.base.valid_every=1")
    entries = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    values = [entry["valid_ssim"] for entry in entries if "valid_ssim" in entry]
    assert len(values) == 6
    from safetensors import safe_open

    with safe_open(folder / "base" / "best.safetensors", "pt") as file:
        header = file.metadata()["lowvision"]
    assert f'"ssim": {max(values)!r}' in header.replace('":', '": ').replace(":  ", ": ")


def test_a_metric_of_lower_is_better_is_scored_in_reverse(tmp_path: Path) -> None:
    from lowvision.training.selection import Selection

    assert Selection("lpips", LPIPS(file="any")).score(0.2) > Selection("lpips", LPIPS(file="any")).score(0.3)
    assert Selection().score(30.0) > Selection().score(29.0)


def test_a_missing_image_of_the_other_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"psnr_to: .*seen\.png: no such file"):
        PSNRTo(folder=str(tmp_path)).reference("seen")


def test_psnr_to_equals_psnr() -> None:
    restored, gt = images(40)
    assert PSNRTo(folder="x").measure(restored, gt) == pytest.approx(psnr(restored[None], gt[None]).item(), abs=1e-3)
