"""Trained networks: small weights files shipped in this package, so that photographs can be restored offline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lowvision import Weights, hookimpl

HERE = Path(__file__).parent


class SrDispX4(Weights):
    """Super-resolution x4 by DISP in four sizes; the default of `lowvision restore`."""

    default = True

    def path(self) -> Path:
        return HERE / "sr-disp-x4.safetensors"


class SrCarnX4(Weights):
    """Super-resolution x4 by CARN in three sizes, an example of the paper's method; larger and slower than DISP."""

    def path(self) -> Path:
        return HERE / "sr-carn-x4.safetensors"


class SrFsrcnnX4(Weights):
    """Super-resolution x4 by FSRCNN in three sizes: 1/20 of CARN's cost, less sharp."""

    def path(self) -> Path:
        return HERE / "sr-fsrcnn-x4.safetensors"


class DenoiseDisp(Weights):
    """Denoising by DISP in two sizes: Gaussian noise, sigma 5 to 50."""

    def path(self) -> Path:
        return HERE / "denoise-disp.safetensors"


class DenoiseDncnn(Weights):
    """Denoising by DnCNN in three sizes, an example of the paper's method: Gaussian noise, sigma 25 only."""

    def path(self) -> Path:
        return HERE / "denoise-dncnn.safetensors"


@hookimpl
def lowvision_weights() -> Mapping[str, type[Weights]]:
    return {
        "sr-disp-x4": SrDispX4,
        "sr-carn-x4": SrCarnX4,
        "sr-fsrcnn-x4": SrFsrcnnX4,
        "denoise-disp": DenoiseDisp,
        "denoise-dncnn": DenoiseDncnn,
    }
