"""Claims about experiment trackers: TensorBoard and W&B receive hyperparameters, metrics and images, offline."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import PartialState

from lowvision.commands.python_api import unchanged_state
from lowvision.pipeline.trackers import Trackers

RECIPE = {"seed": 3, "classifier": None, "stages": {"base": {"lr": 0.1, "betas": [0.9, 0.99], "keep": "best"}}}
IMAGES = {
    "lq": torch.zeros(2, 3, 4, 4),
    "restored": torch.full((2, 3, 8, 8), 0.5),
    "gt": torch.ones(2, 3, 8, 8),
}


def follow(trackers: Trackers) -> None:
    trackers.on_run_start(None, Path)
    trackers.on_metrics("base", 2, {"loss": 0.5, "shares": [0.25, 0.75]})
    trackers.on_images("base", 2, IMAGES)
    trackers.on_images("base", 4, IMAGES)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_receives_everything(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with unchanged_state():
        accelerator = Accelerator(cpu=True, log_with="tensorboard", project_dir=str(tmp_path))
        follow(Trackers(accelerator, "mine", RECIPE))
        accelerator.end_training()
    events = EventAccumulator(str(tmp_path / "mine"), size_guidance={"images": 0})
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("base/loss")] == [(2, 0.5)]
    assert [event.value for event in events.Scalars("base/shares/1")] == [0.75]
    assert {tag.partition("/image")[0] for tag in events.Tags()["images"]} >= {"base/lq", "base/restored", "base/gt"}
    (stored,) = (tmp_path / "mine").glob("*/hparams.yml")
    assert "stages.base.betas/1: 0.99" in stored.read_text()
    assert "classifier" not in stored.read_text()


class FakeWandb(types.ModuleType):
    """The part of wandb's interface that Accelerate calls, offline."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.logged: list[tuple[dict[str, Any], int | None]] = []
        self.configured: dict[str, Any] = {}
        self.config = types.SimpleNamespace(update=lambda values, allow_val_change: self.configured.update(values))
        self.run = types.SimpleNamespace(
            log=lambda values, step=None: self.logged.append((values, step)), finish=lambda: None
        )

    def init(self, project: str) -> Any:
        return self.run

    @staticmethod
    def Image(array: np.ndarray) -> tuple[int, ...]:  # noqa: N802  # wandb's name
        assert array.dtype == np.uint8
        return (*array.shape, int(array.max()))


def test_wandb_receives_everything_and_constant_images_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setattr("accelerate.tracking.is_wandb_available", lambda: True)
    with unchanged_state():
        from accelerate.tracking import WandBTracker

        PartialState(cpu=True)
        tracker = WandBTracker("mine")
        tracker.start()
        accelerator = Accelerator(cpu=True, log_with=[tracker])
        follow(Trackers(accelerator, "mine", RECIPE))
        accelerator.end_training()
    assert wandb.configured["stages.base.lr"] == 0.1
    assert ({"base/loss": 0.5, "base/shares/0": 0.25, "base/shares/1": 0.75}, 2) in wandb.logged
    images = [(name, step, value) for values, step in wandb.logged for name, value in values.items()]
    shown = [(name, step) for name, step, value in images if isinstance(value, list)]
    assert shown == [("base/lq", 2), ("base/restored", 2), ("base/gt", 2), ("base/restored", 4)]
    assert (8, 8, 3, 128) in {name: value for name, _, value in images}["base/restored"]
