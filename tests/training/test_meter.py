"""The meter counts the time of queued work, and means over steps."""

from __future__ import annotations

import math
import time
from typing import Any, cast

import pytest
import torch
from accelerate import Accelerator
from torch.utils._python_dispatch import TorchDispatchMode

from lowvision.system import devices
from lowvision.training.meter import Meter


def test_the_mean_over_steps_is_read_once() -> None:
    meter, accelerator = Meter(), Accelerator(cpu=True)
    for loss in (1.0, 3.0):
        meter.add({"loss": torch.tensor(loss), "shares": torch.tensor([loss, 2.0])})
    read = meter.read(accelerator)
    assert (read["loss"], read["shares"]) == (2.0, [2.0, 2.0])
    meter.add({"loss": torch.tensor(5.0)})
    assert meter.read(accelerator)["loss"] == 5.0


class Launches(TorchDispatchMode):
    """Counts the operations that an accelerator would launch: all but views."""

    VIEWS = ("aten.view", "aten._unsafe_view", "aten.detach", "aten.alias", "aten.split", "aten.reshape")

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not str(func).startswith(self.VIEWS):
            self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def test_metrics_of_a_step_are_added_by_two_operations_for_any_number() -> None:
    meter = Meter()
    metrics = {"shares": torch.rand(3)} | {f"loss{n}": torch.rand(()) for n in range(9)}
    meter.add(metrics)
    with Launches() as launches:
        meter.add(metrics)
    assert launches.names == ["aten.cat.default", "aten.add_.Tensor"]


def test_a_metric_of_some_steps_is_averaged_over_all_steps() -> None:
    meter = Meter()
    meter.add({"loss": torch.tensor(1.0), "late": torch.tensor([2.0, 4.0])})
    meter.add({"loss": torch.tensor(3.0)})
    read = meter.read(Accelerator(cpu=True))
    assert (read["loss"], read["late"]) == (2.0, [1.0, 2.0])


def test_steps_skipped_by_the_loss_scaler_are_counted_and_excluded_from_means() -> None:
    meter, accelerator = Meter(skips=True), Accelerator(cpu=True)
    for loss in (1.0, float("inf"), 3.0, float("nan")):
        meter.add({"loss": torch.tensor(loss), "shares": torch.tensor([loss, 2.0])})
    read = meter.read(accelerator)
    assert (read["loss"], read["shares"], read["skipped_steps"]) == (2.0, [2.0, 2.0], 2.0)
    meter.add({"loss": torch.tensor(5.0)})
    assert "skipped_steps" not in meter.read(accelerator)
    meter.add({"loss": torch.tensor(float("nan"))})
    assert math.isnan(cast(float, meter.read(accelerator)["loss"]))


def test_the_rate_includes_work_still_queued_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "synchronize", lambda device: time.sleep(0.2))
    meter = Meter()
    meter.add({"loss": torch.tensor(1.0)})
    speed = meter.read(Accelerator(cpu=True))["steps_per_second"]
    assert isinstance(speed, float)
    assert speed < 5
