"""The meter counts the time of queued work, and means over steps."""

from __future__ import annotations

import time

import pytest
import torch
from accelerate import Accelerator

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


def test_the_rate_includes_work_still_queued_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "synchronize", lambda device: time.sleep(0.2))
    meter = Meter()
    meter.add({"loss": torch.tensor(1.0)})
    speed = meter.read(Accelerator(cpu=True))["steps_per_second"]
    assert isinstance(speed, float)
    assert speed < 5
