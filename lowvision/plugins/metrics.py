"""The contract of metrics, which measure restored images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from lowvision.config.options import Options

if TYPE_CHECKING:
    from torch import Tensor


class Metric(Options, ABC):
    """A measure of the quality of restored images."""

    higher_is_better: ClassVar[bool] = True
    """Direction: False if a lower value is better, as of a distance."""
    full_reference: ClassVar[bool] = True
    """True: it compares with a ground truth. False: it judges the restored image alone."""
    smallest: ClassVar[int] = 1
    """Smallest height and width in pixels that it can measure; smaller images have no value."""

    @abstractmethod
    def protocol(self) -> str:
        """Return how it measures, for reports: a phrase such as `LPIPS 0.1 with AlexNet, of RGB in [-1,1]`."""

    @abstractmethod
    def measure(self, restored: Tensor, gt: Tensor | None) -> float | Mapping[str, float]:
        """Return the value of one image; or several by name, e.g. of `rgb` and `y`, of which the first one counts most.

        restored and gt are (C,H,W), C 1 or 3, float32, the values of 8-bit files divided by 255, on any device; borders
        are cropped already. gt is None if the metric has no reference. Several threads may call it at once. Load
        networks in a `functools.cached_property`, and move them to the device of `restored`.
        """

    def reference(self, photo: str) -> Path | None:
        """Return the file with which the photograph of that name is compared; None: its ground truth."""
        return None

    def of_grey_file(self) -> Metric:
        """Return the metric for RGB images of grey files under the protocol `paper`; by default itself."""
        return self
