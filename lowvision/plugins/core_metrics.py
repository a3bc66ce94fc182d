"""PSNR and SSIM, the default metrics, which the core provides itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from lowvision.plugins.hookspecs import hookimpl
from lowvision.plugins.metrics import Metric

if TYPE_CHECKING:
    from torch import Tensor


class PSNR(Metric):
    """Peak signal-to-noise ratio in dB, of RGB and of luma."""

    full_range: bool = False
    """Luma is the grey value in 0..255 instead of BT.601's in 16..235: for grey files under the protocol `paper`."""

    def protocol(self) -> str:
        return "PSNR in dB"

    def measure(self, restored: Tensor, gt: Tensor | None) -> Mapping[str, float]:
        from lowvision.imaging import metrics

        assert gt is not None
        return metrics.psnr_values(metrics.levels(restored), metrics.levels(gt), self.full_range)

    def of_grey_file(self) -> Metric:
        return self.replace(full_range=True)


class SSIM(Metric):
    """Structural similarity of luma, at most 1 (Wang et al. 2004)."""

    smallest: ClassVar[int] = 11

    full_range: bool = False
    """Luma is the grey value in 0..255 instead of BT.601's in 16..235: for grey files under the protocol `paper`."""

    def protocol(self) -> str:
        return "SSIM"

    def measure(self, restored: Tensor, gt: Tensor | None) -> Mapping[str, float]:
        from lowvision.imaging import metrics

        assert gt is not None
        return {"y": metrics.ssim_of_luma(metrics.levels(restored), metrics.levels(gt), self.full_range)}

    def of_grey_file(self) -> Metric:
        return self.replace(full_range=True)


@hookimpl
def lowvision_metrics() -> Mapping[str, type[Metric]]:
    return {"psnr": PSNR, "ssim": SSIM}
