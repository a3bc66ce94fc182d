"""Claims about the losses of lowvision-losses, and about training with them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import timm
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from skimage.metrics import structural_similarity
from torch import nn

from lowvision import Loss, RecipeError
from lowvision.plugins import registry
from lowvision.recipe import reading
from lowvision.testing import PlainTask, check_loss, check_plugin
from lowvision_losses import FFT, L2, SSIM, Adversarial, Charbonnier, Gradient, Perceptual

SIMPLE = (L2(), Charbonnier(), SSIM(), FFT(), FFT(amplitude=0.5, phase=0.1), Gradient())
DISTANCES = pytest.mark.parametrize("loss", SIMPLE, ids=str)


def value(loss: Loss, restored: torch.Tensor, gt: torch.Tensor) -> float:
    return float(loss.build(PlainTask(channels=restored.shape[1]))(restored, gt))


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the weights of a small timm network in the layout of published classifiers."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("features") / "vgg11.safetensors"
    network = timm.create_model("vgg11", pretrained=False, num_classes=2)
    state = {name: t.clone() for name, t in network.state_dict().items() if name.startswith("features")}
    save_file(state, path)
    return path


def test_the_plugin_registers_its_losses() -> None:
    names = ["adversarial", "charbonnier", "fft", "gradient", "l2", "perceptual", "ssim"]
    assert check_plugin("lowvision_losses") == {"losses": names}


@DISTANCES
def test_each_loss_passes_its_check(loss: Loss) -> None:
    check_loss(loss)


@pytest.mark.parametrize("kind", ["vanilla", "hinge", "lsgan"])
def test_the_adversarial_loss_passes_its_check(kind: str) -> None:
    check_loss(Adversarial(channels=4, kind=kind))


def test_the_perceptual_loss_passes_its_check(features: Path) -> None:
    check_loss(Perceptual(model="vgg11", file=str(features), stages=(0, 2)))


@DISTANCES
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 999), strength=st.floats(0.02, 0.5))
def test_each_loss_is_smallest_for_equal_images(loss: Loss, seed: int, strength: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    gt = torch.rand(1, 3, 24, 20, generator=generator)
    other = gt + strength * torch.randn(gt.shape, generator=generator)
    floor = loss.eps if isinstance(loss, Charbonnier) else 0
    assert value(loss, gt, gt) == pytest.approx(floor, abs=1e-6)
    assert value(loss, other, gt) > value(loss, gt, gt)


def test_ssim_equals_scikit_image() -> None:
    generator = torch.Generator().manual_seed(0)
    gt = torch.rand(1, 1, 40, 30, generator=generator)
    other = (gt + 0.1 * torch.randn(gt.shape, generator=generator)).clamp(0, 1)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    _, window_map = structural_similarity(other[0, 0].numpy(), gt[0, 0].numpy(), full=True, **options)
    assert value(SSIM(), other, gt) == pytest.approx(1 - window_map[5:-5, 5:-5].mean(), abs=1e-5)


def test_the_gradient_of_a_ramp_is_its_slope() -> None:
    ramp = (torch.arange(16) / 100).expand(1, 1, 16, 16)
    loss = Gradient().build(PlainTask(channels=1))(ramp[..., 1:-1, :], torch.zeros(1, 1, 14, 16))
    assert loss.item() == pytest.approx((14 * 0.01 + 2 * 0.005) / 16 / 2, rel=1e-4)  # rows: slope, columns: none


def test_the_phase_of_a_shifted_wave_is_its_shift() -> None:
    phase = 2 * math.pi * torch.arange(32) / 32
    waves = [(0.5 + 0.4 * torch.cos(phase + shift)).expand(1, 1, 32, 32) for shift in (0.0, 0.3)]
    loss = FFT(phase=1.0).build(PlainTask(channels=1))(*waves)
    assert loss.item() * 32 * 17 == pytest.approx(0.3, rel=1e-2)  # a single frequency has an amplitude
    assert value(FFT(amplitude=1.0), *waves) == pytest.approx(0, abs=1e-6)


def test_the_perceptual_loss_uses_the_weights_of_the_file(features: Path, tmp_path: Path) -> None:
    loss = Perceptual(model="vgg11", file=str(features), stages=(0,))
    module = loss.build(PlainTask())
    expected = load_file(features)["features.0.weight"]
    assert torch.equal(module.state_dict()["network.features_0.weight"], expected)
    torch.save({"state_dict": load_file(features)}, tmp_path / "vgg11.pth")
    again = loss.replace(file=str(tmp_path / "vgg11.pth")).build(PlainTask())
    images = torch.rand(2, 2, 3, 32, 32)
    assert again(*images) == module(*images) > 0


@pytest.mark.parametrize(
    ("model", "name", "message"),
    [
        ("vgg11", "absent.pth", "is no file"),
        ("vgg13", "", "holds no weights of vgg13"),
        ("no_such_model", "", "cannot be built as a feature extractor"),
    ],
)
def test_wrong_weights_are_reported_before_training(
    model: str, name: str, message: str, features: Path, tmp_path: Path
) -> None:
    file = tmp_path / name if name else features
    with pytest.raises(ValueError, match=message):
        Perceptual(model=model, file=str(file)).build(PlainTask())


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_recipe(tmp_path_factory.mktemp("losses"))


ALONE = (
    "reduce=null",
    "classifier=null",
    *(f"stages.{name}=null" for name in ("rank", "branches", "classifier", "joint", "evaluate")),
)


def test_listed_losses_train_and_are_not_saved_with_the_weights(recipe: Path, tmp_path: Path) -> None:
    listed = "stages.base.loss=[charbonnier, {fft: {weight: 0.05}}, {fft: {phase: 0.1}}]"
    tiny.run(recipe, tmp_path / "listed", *ALONE, listed)
    tiny.run(recipe, tmp_path / "default", *ALONE)
    first = json.loads((tmp_path / "listed" / "metrics.jsonl").read_text().splitlines()[0])
    parts = [first[f"image/{name}"] for name in ("charbonnier", "fft", "fft_2")]
    assert first["loss"] == pytest.approx(sum(parts), rel=1e-5)
    headers = []
    for name in ("listed", "default"):
        with safe_open(tmp_path / name / "base" / "last.safetensors", "pt") as file:
            headers.append((sorted(file.keys()), json.loads(file.metadata()["lowvision"]).keys()))
    assert headers[0] == headers[1]
    assert "charbonnier" not in json.dumps(headers[0][0])


def test_a_list_without_an_image_loss_is_refused(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"stages\.base\.loss: has no loss between images"):
        tiny.run(recipe, tmp_path / "run", *ALONE, "stages.base.loss=adversarial")


def test_invalid_discriminator_options_are_reported_before_training(recipe: Path, tmp_path: Path) -> None:
    wrong = "stages.base.loss=[l1, {adversarial: {optimizer: adamm}}]"
    with pytest.raises(RecipeError, match=r"stages\.base\.optimizer 'adamm' cannot be created"):
        tiny.run(recipe, tmp_path / "run", *ALONE, wrong)


def test_a_missing_file_is_reported_before_training(recipe: Path, tmp_path: Path) -> None:
    wrong = f"stages.base.loss=[l1, {{perceptual: {{file: {tmp_path}/absent.pth}}}}]"
    with pytest.raises(RecipeError, match=r"stages\.base\.loss: perceptual cannot be built .*is no file"):
        tiny.run(recipe, tmp_path / "run", *ALONE, wrong)
    assert not (tmp_path / "run").exists()


ADVERSARIAL = "stages.base.loss=[l1, {adversarial: {channels: 4, lr: 1e-3, schedule: constant}}]"


def run_and_die(recipe: Path, folder: Path, step: int, *overrides: str) -> None:
    """Run the recipe, and kill the process in the middle of that step, before the discriminator is updated."""
    from lowvision.training import critics

    original, calls = critics.update, []

    def deadly(*arguments, **keywords):
        calls.append(step)
        if len(calls) == step:
            tiny.die()
        return original(*arguments, **keywords)

    critics.update = deadly
    tiny.run(recipe, folder, *overrides)


def test_adversarial_training_resumes_bit_for_bit(recipe: Path) -> None:
    whole, killed = recipe.parent / "whole", recipe.parent / "killed"
    micro = "stages.base.micro_batch=2"
    assert tiny.in_a_child(tiny.run, recipe, whole, *ALONE, ADVERSARIAL, micro) == 0
    assert tiny.in_a_child(run_and_die, recipe, killed, 4, *ALONE, ADVERSARIAL, micro) == -9
    assert tiny.in_a_child(tiny.run, recipe, killed, *ALONE, ADVERSARIAL, micro) == 0
    assert "base: resumes at step 2" in (killed / "log.txt").read_text()
    # model_1 is the discriminator, whose training must continue as well.
    for name in ("base/last.safetensors", "base/checkpoints/step-00000006/model_1.safetensors"):
        states = [load_file(folder / name) for folder in (whole, killed)]
        assert all(torch.equal(tensor, states[1][key]) for key, tensor in states[0].items()), name


def test_a_discriminator_is_trained_and_changes_the_network(recipe: Path, tmp_path: Path) -> None:
    tiny.run(recipe, tmp_path / "adversarial", *ALONE, ADVERSARIAL)
    tiny.run(recipe, tmp_path / "default", *ALONE)
    entries = [json.loads(line) for line in (tmp_path / "adversarial" / "metrics.jsonl").read_text().splitlines()]
    own = [entry["critic/adversarial"] for entry in entries if "critic/adversarial" in entry]
    assert own[-1] < own[0]
    folder = tmp_path / "adversarial" / "base" / "checkpoints"
    early, late = (load_file(folder / f"step-0000000{step}" / "model_1.safetensors") for step in (4, 6))
    assert any(not torch.equal(tensor, late[name]) for name, tensor in early.items())
    trained = [load_file(tmp_path / name / "base" / "last.safetensors") for name in ("adversarial", "default")]
    assert any(not torch.equal(tensor, trained[1][name]) for name, tensor in trained[0].items())


def test_a_discriminator_learns_to_distinguish_images() -> None:
    torch.manual_seed(0)
    critic = Adversarial(channels=8).build(PlainTask(channels=1))
    optimizer = torch.optim.Adam(critic.parameters(), lr=2e-3)
    gt = torch.rand(4, 1, 16, 16)
    blurred = nn.functional.avg_pool2d(gt, 3, 1, 1)
    before = critic(blurred, gt).item()
    for _ in range(40):
        critic.objective(blurred, gt).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert critic.objective(blurred, gt).item() < 0.3
    assert critic(blurred, gt).item() > 2 * before  # the network's loss is large where it is recognised


def test_the_resolved_recipe_lists_the_losses(recipe: Path, tmp_path: Path) -> None:
    known = registry.load()
    read = reading.read(recipe, known, (*ALONE, "stages.base.loss={ssim: {weight: 0.5}}"))
    written = tmp_path / "resolved.yml"
    written.write_text(reading.resolved(read, known))
    assert reading.read(written, known).stages.base.loss == (SSIM(weight=0.5),)


def test_two_processes_train_one_discriminator(recipe: Path) -> None:
    alone, together = recipe.parent / "alone", recipe.parent / "together"
    assert tiny.in_a_child(tiny.run, recipe, alone, *ALONE, ADVERSARIAL) == 0
    assert tiny.in_two_processes(tiny.run, recipe, together, *ALONE, ADVERSARIAL) == [0, 0]
    for name in ("base/last.safetensors", "base/checkpoints/step-00000006/model_1.safetensors"):
        states = [load_file(folder / name) for folder in (alone, together)]
        for key, tensor in states[0].items():
            torch.testing.assert_close(tensor, states[1][key], rtol=1e-2, atol=2e-4, msg=f"{name}: {key}")
