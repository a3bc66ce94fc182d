"""Claims about `check_metric`: it reports each fault that its docstring names."""

from __future__ import annotations

from typing import ClassVar, Literal

import pytest
import torch
from torch import Tensor

from lowvision import Metric
from lowvision.plugins.core_metrics import PSNR, SSIM
from lowvision.testing import check_metric

Fault = Literal["none", "silent", "tensor", "infinite", "changes", "random", "large"]


class Distance(Metric):
    """Mean absolute error with a fault."""

    higher_is_better: ClassVar[bool] = False

    fault: Fault = "none"
    """The fault."""

    def protocol(self) -> str:
        return "" if self.fault == "silent" else "mean absolute error"

    def measure(self, restored: Tensor, gt: Tensor | None) -> float:
        assert gt is not None
        value = float((restored - gt).abs().mean())
        if self.fault == "changes":
            restored.zero_()
        if self.fault == "random":
            value += torch.rand(()).item()
        if self.fault == "infinite":
            value = value / 0.0 if value == 0 else float("inf")
        if self.fault == "large" and min(restored.shape[1:]) < 8:
            raise RuntimeError("kernel larger than the image")
        return torch.tensor(value) if self.fault == "tensor" else value  # type: ignore[return-value]  # the fault


class Similarity(Distance):
    """A distance that claims to be a similarity."""

    higher_is_better: ClassVar[bool] = True


class Brightness(Metric):
    """The mean of the image, a no-reference metric."""

    full_reference: ClassVar[bool] = False

    def protocol(self) -> str:
        return "mean of all channels"

    def measure(self, restored: Tensor, gt: Tensor | None) -> float:
        assert gt is None
        return float(restored.mean())


@pytest.mark.parametrize("metric", [Distance(), Brightness(), PSNR(), SSIM(), PSNR(full_range=True)], ids=str)
def test_a_valid_metric_passes(metric: Metric) -> None:
    check_metric(metric)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("silent", "protocol returns nothing"),
        ("tensor", "return finite numbers"),
        ("infinite", "return finite numbers"),
        ("changes", "measure changes its arguments"),
        ("random", "two calls give"),
        ("large", "raises RuntimeError: kernel larger than the image"),
    ],
)
def test_each_fault_is_reported(fault: Fault, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_metric(Distance(fault=fault))


def test_a_wrong_direction_is_reported() -> None:
    with pytest.raises(AssertionError, match="higher_is_better is True; correct it"):
        check_metric(Similarity())
