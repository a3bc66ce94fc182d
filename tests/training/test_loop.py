"""The training loop: one update, the moving average, validation, exact resuming, and stopping at a bad loss."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.utils.data import Dataset

from lowvision.errors import TrainingError
from lowvision.training import checkpoint, loss_sum
from lowvision.training.log import Log, Value, read_metrics
from lowvision.training.loop import TrainingSpec, fit, update
from lowvision.training.objective import RestorationObjective
from lowvision.training.optimizers import make_optimizer
from lowvision.training.options import Fit

SGD = Fit(steps=4, batch=4, lr=0.1, optimizer="momentum", schedule="constant")


class Tiles(Dataset[tuple[Tensor, Tensor]]):
    """Random tiles that depend only on their number, like those of a recipe."""

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(number)
        return torch.rand(3, 6, 6, generator=generator), torch.rand(3, 6, 6, generator=generator)


class Scaled(nn.Module):
    """One weight per channel, so that an update can be computed by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 1, 1))

    def forward(self, lq: Tensor) -> Tensor:
        return self.weight * lq


class Interrupted(Exception):
    """Simulates the end of the process."""


Saved = dict[str, tuple[dict[str, Tensor], dict[str, Value]]]
"""State and metrics of each saved network, by file name."""


def train(
    folder: Path,
    options: Fit,
    network: nn.Module | None = None,
    validator: Callable[[nn.Module], dict[str, Value]] | None = None,
    samples: Dataset[tuple[Tensor, Tensor]] | None = None,
) -> Saved:
    saved: Saved = {}

    def keep(path: Path, trained: nn.Module, metrics: dict[str, Value]) -> None:
        saved[path.name] = {name: value.clone() for name, value in trained.state_dict().items()}, dict(metrics)

    network = network or Scaled()
    spec = TrainingSpec("base", RestorationObjective(network, loss_sum.l1()), network, validator, keep)
    folder.mkdir(exist_ok=True, parents=True)
    fit(spec, samples or Tiles(), options, Accelerator(cpu=True), folder / "base", Log(folder, speaks=True))
    return saved


@pytest.mark.parametrize("micro_batch", [None, 2, 1])
def test_one_update_is_a_step_along_the_mean_gradient_of_the_batch(micro_batch: int | None) -> None:
    network, accelerator = Scaled(), Accelerator(cpu=True)
    options = SGD.replace(micro_batch=micro_batch)
    optimizer = accelerator.prepare(make_optimizer(list(network.parameters()), options))
    lq, gt = torch.rand(4, 3, 6, 6), torch.rand(4, 3, 6, 6)
    measured = update(RestorationObjective(network, loss_sum.l1()), optimizer, lq, gt, 0.0, options, accelerator)
    # d/dw mean |w * lq - gt| = mean sign(w * lq - gt) * lq, over all three channels
    gradient = ((lq - gt).sign() * lq).mean(dim=(0, 2, 3))[:, None, None] / 3
    torch.testing.assert_close(network.weight.data, 1 - 0.1 * gradient)
    torch.testing.assert_close(measured["loss"], (lq - gt).abs().mean())
    assert network.weight.grad is None or not network.weight.grad.any()


def test_a_gradient_above_the_limit_is_clipped_to_it() -> None:
    network, accelerator = Scaled(), Accelerator(cpu=True)
    options = SGD.replace(clip=1e-3)
    optimizer = accelerator.prepare(make_optimizer(list(network.parameters()), options))
    update(
        RestorationObjective(network, loss_sum.l1()),
        optimizer,
        torch.rand(4, 3, 6, 6),
        torch.zeros(4, 3, 6, 6),
        0.0,
        options,
        accelerator,
    )
    assert (network.weight.data - 1).norm().item() == pytest.approx(0.1 * 1e-3, rel=1e-3)


def test_with_a_moving_average_the_average_is_validated_and_saved(tmp_path: Path) -> None:
    network, validated = Scaled(), []

    def validator(candidate: nn.Module) -> dict[str, Value]:
        validated.append({name: value.clone() for name, value in candidate.state_dict().items()})
        return {"psnr": 1.0}

    saved = train(tmp_path, SGD.replace(ema=0.9), network, validator)
    average, _ = saved["last.safetensors"]
    torch.testing.assert_close(average["weight"], validated[-1]["weight"])
    trained = train(tmp_path / "plain", SGD)["last.safetensors"][0]["weight"]
    torch.testing.assert_close(network.weight.data, trained)  # the average does not change the training
    assert (average["weight"] - 1).abs().max() > 0
    assert (average["weight"] - 1).norm() < (trained - 1).norm()  # it lags behind the trained weights


def test_the_best_network_of_all_validations_is_saved_with_its_metrics(tmp_path: Path) -> None:
    scores = iter([1.0, 3.0, 2.0, 2.5])
    saved = train(tmp_path, SGD.replace(valid_every=1), validator=lambda _: {"psnr": next(scores)})
    assert saved["best.safetensors"][1] == {"psnr": 3.0}
    assert saved["last.safetensors"][1] == {"psnr": 2.5}
    after_two = train(tmp_path / "two", SGD.replace(steps=2))["last.safetensors"][0]["weight"]
    torch.testing.assert_close(saved["best.safetensors"][0]["weight"], after_two)


@pytest.mark.parametrize("ema", [None, 0.9])
def test_an_interrupted_stage_resumes_at_its_checkpoint_and_ends_with_the_same_weights(
    tmp_path: Path, ema: float | None
) -> None:
    class Failing(Tiles):
        def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
            if number >= 5 * options.batch:
                raise Interrupted
            return super().__getitem__(number)

    options = Fit(steps=8, batch=2, lr=1e-2, checkpoint_every=2, log_every=1, ema=ema)
    whole = train(tmp_path / "whole", options)
    with pytest.raises(Interrupted):
        train(tmp_path / "cut", options, samples=Failing())
    newest = checkpoint.latest(tmp_path / "cut" / "base" / "checkpoints", pytest.fail)
    assert newest is not None
    assert newest.name == "step-00000004"
    resumed = train(tmp_path / "cut", options)
    assert torch.equal(resumed["last.safetensors"][0]["weight"], whole["last.safetensors"][0]["weight"])
    assert "base: resumes at step 4" in (tmp_path / "cut" / "log.txt").read_text()
    losses = [[(entry["step"], entry["loss"]) for entry in read_metrics(tmp_path / run)] for run in ("whole", "cut")]
    assert losses[0] == losses[1]  # step 5 was recorded twice but is listed once
    assert len(losses[0]) == 8


def test_a_finished_stage_does_not_train_again(tmp_path: Path) -> None:
    first = train(tmp_path, SGD)
    again = train(tmp_path, SGD)
    assert torch.equal(again["last.safetensors"][0]["weight"], first["last.safetensors"][0]["weight"])
    assert [entry["step"] for entry in read_metrics(tmp_path)] == [4]


def test_a_loss_that_is_not_finite_stops_the_stage_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    class Broken(Tiles):
        def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
            lq, gt = super().__getitem__(number)
            return (lq * float("nan") if number >= 3 * SGD.batch else lq), gt

    with pytest.raises(TrainingError, match=r"base: the loss is not finite at step 4; lower lr, or set clip"):
        train(tmp_path, SGD.replace(checkpoint_every=1), samples=Broken())
    newest = checkpoint.latest(tmp_path / "base" / "checkpoints", pytest.fail)
    assert newest is not None
    assert newest.name == "step-00000003"


class Hole(Tiles):
    """Tiles of which those of some batches are not numbers, as after an overflow in float16."""

    def __init__(self, *broken: int) -> None:
        self.broken = broken

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        lq, gt = super().__getitem__(number)
        return (lq * float("nan") if number // SGD.batch in self.broken else lq), gt


@pytest.fixture
def loss_scaler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give accelerators of the CPU the loss scaler that float16 has on a GPU."""
    original = Accelerator.__init__

    def scaling(self: Accelerator, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        self.scaler = torch.amp.GradScaler("cpu")  # type: ignore[assignment]  # accelerate types it None

    monkeypatch.setattr(Accelerator, "__init__", scaling)


@pytest.mark.usefixtures("loss_scaler")
def test_in_float16_a_non_finite_update_is_skipped_and_counted(tmp_path: Path) -> None:
    network = Scaled()
    train(tmp_path / "hole", SGD, network, samples=Hole(1))
    assert network.weight.isfinite().all()
    (entry,) = read_metrics(tmp_path / "hole")
    assert entry["skipped_steps"] == 1
    assert 0 < entry["loss"] < 1
    with pytest.raises(TrainingError, match="the loss is not finite at step 4"):
        train(tmp_path / "broken", SGD, samples=Hole(0, 1, 2, 3))


def test_a_loss_that_is_no_scalar_stops_the_stage_at_its_first_step() -> None:
    network, accelerator = Scaled(), Accelerator(cpu=True)
    optimizer = accelerator.prepare(make_optimizer(list(network.parameters()), SGD))
    losses = loss_sum.LossSum([loss_sum.Term("map", 1.0, nn.L1Loss(reduction="none"), {})])
    with pytest.raises(TrainingError, match="loss 'map': returns a tensor of shape"):
        update(RestorationObjective(network, losses), optimizer, *torch.rand(2, 4, 3, 6, 6), 0.0, SGD, accelerator)


def test_an_update_that_makes_weights_infinite_is_not_written_to_a_checkpoint(tmp_path: Path) -> None:
    class Bright(Tiles):
        def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
            lq, gt = super().__getitem__(number)
            return 1000 * lq, gt

    with pytest.raises(TrainingError, match=r"base: the network is not finite at step 1"):
        train(tmp_path, SGD.replace(lr=3e38, steps=1), samples=Bright())
    assert checkpoint.latest(tmp_path / "base" / "checkpoints", pytest.fail) is None


@pytest.mark.parametrize(
    ("name", "device", "fused"), [("adam", "cuda", True), ("adam", "cpu", True), ("adam", "mps", None)]
)
def test_on_cuda_and_cpus_adam_updates_all_parameters_in_one_kernel(name: str, device: str, fused: bool | None) -> None:
    optimizer = make_optimizer([nn.Parameter(torch.zeros(1))], SGD.replace(optimizer=name), device)
    assert optimizer.defaults["fused"] == fused


class Drawing(Scaled):
    """Draws a number in every step, as dropout does."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[float] = []

    def forward(self, lq: Tensor) -> Tensor:
        self.drawn.append(float(torch.rand(())))
        return super().forward(lq)


def draw_in_each(folder: Path) -> None:
    """Train in one of two processes, twice from the same seed, and compare what each has drawn."""
    drawn = []
    for name in ("first", "second"):
        torch.manual_seed(0)
        network = Drawing()
        train(folder / name, SGD, network)
        drawn.append(network.drawn)
    assert drawn[0] == drawn[1]
    of_both = gather_object([tuple(drawn[0])])
    assert len(set(of_both)) == 2
    assert not set(of_both[0]) & set(of_both[1])


def test_two_processes_draw_different_and_reproducible_random_numbers(tmp_path: Path) -> None:
    assert tiny.in_two_processes(draw_in_each, tmp_path) == [0, 0]
