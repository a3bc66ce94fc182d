"""Metrics for lowvision: MS-SSIM, LPIPS, DISTS, and PSNR to another image set."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from lowvision import Metric, hookimpl

if TYPE_CHECKING:
    from torch import Tensor


class MSSSIM(Metric):
    """Structural similarity of luma at five scales, at most 1 (Wang et al. 2003)."""

    smallest: ClassVar[int] = 176

    def protocol(self) -> str:
        return "five scales, Gaussian window of 11 pixels, of the luma of BT.601"

    def measure(self, restored: Tensor, gt: Tensor | None) -> float:
        from lowvision_metrics import ms_ssim

        assert gt is not None
        return ms_ssim.measure(restored, gt)


class LPIPS(Metric):
    """Distance of the features of a classification network (Zhang et al. 2018), with weights you give as a file."""

    higher_is_better: ClassVar[bool] = False
    smallest: ClassVar[int] = 35

    network: Literal["alex", "vgg", "squeeze"] = "alex"
    """The network: AlexNet, VGG16 or SqueezeNet 1.1."""
    file: str = Field(min_length=1)
    """Weights of the network as torchvision publishes them, e.g. alexnet-owt-7be5be79.pth; nothing is downloaded."""

    def protocol(self) -> str:
        return f"version 0.1 with {self.network}, of RGB in [-1,1]"

    @cached_property
    def loaded(self) -> Any:
        from lowvision_metrics import perceptual

        return perceptual.lpips(self.network, Path(self.file).expanduser())

    def measure(self, restored: Tensor, gt: Tensor | None) -> float:
        from lowvision_metrics import perceptual

        return perceptual.measured(self.loaded, restored, gt)


class DISTS(Metric):
    """Similarity of structure and texture by features of VGG16 (Ding et al. 2020), with weights you give as a file."""

    higher_is_better: ClassVar[bool] = False
    smallest: ClassVar[int] = 32

    file: str = Field(min_length=1)
    """Weights of VGG16 as torchvision publishes them, e.g. vgg16-397923af.pth; nothing is downloaded."""

    def protocol(self) -> str:
        return "VGG16, of RGB in [0,1] at full size"

    @cached_property
    def loaded(self) -> Any:
        from lowvision_metrics import perceptual

        return perceptual.dists(Path(self.file).expanduser())

    def measure(self, restored: Tensor, gt: Tensor | None) -> float:
        from lowvision_metrics import perceptual

        return perceptual.measured(self.loaded, restored, gt)


class PSNRTo(Metric):
    """PSNR in dB to the images of another folder, by the names of the photographs, e.g. another program's results."""

    folder: str = Field(min_length=1)
    """The folder; an image is called as its photograph, with any suffix of `suffixes`."""
    suffixes: tuple[str, ...] = (".png", ".tif", ".tiff", ".webp", ".jpg")
    """Suffixes to look for, in order."""

    def protocol(self) -> str:
        return f"PSNR in dB, of RGB, to the images of {Path(self.folder).name}"

    def reference(self, photo: str) -> Path | None:
        from lowvision import DataError

        candidates = [Path(self.folder).expanduser() / f"{photo}{suffix}" for suffix in self.suffixes]
        file = next((path for path in candidates if path.is_file()), None)
        if file is None:
            raise DataError(f"psnr_to: {candidates[0]}: no such file; give one image per photograph, by its name")
        return file

    def measure(self, restored: Tensor, gt: Tensor | None) -> float:
        from lowvision import psnr

        assert gt is not None
        return float(psnr(restored[None].double(), gt[None].double()))


@hookimpl
def lowvision_metrics() -> Mapping[str, type[Metric]]:
    return {"ms_ssim": MSSSIM, "lpips": LPIPS, "dists": DISTS, "psnr_to": PSNRTo}
