"""Trained networks: small weights files that travel in this package, so that photographs can be restored at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lowvision import Weights, hookimpl

HERE = Path(__file__).parent


class SrCarnX4(Weights):
    """Photographs four times as large, by CARN in three sizes; what `lowvision restore` takes unless told."""

    default = True

    def path(self) -> Path:
        return HERE / "sr-carn-x4.safetensors"


class SrFsrcnnX4(Weights):
    """Photographs four times as large, by FSRCNN in three sizes: a twentieth of CARN's cost, and less sharp."""

    def path(self) -> Path:
        return HERE / "sr-fsrcnn-x4.safetensors"


class DenoiseDncnnBlind(Weights):
    """Photographs without their noise, Gaussian of any strength from sigma 5 to 50, by DnCNN in three sizes."""

    def path(self) -> Path:
        return HERE / "denoise-dncnn-blind.safetensors"


class DenoiseDncnn(Weights):
    """Photographs without their noise, Gaussian of sigma 25 and no other, by DnCNN in three sizes."""

    def path(self) -> Path:
        return HERE / "denoise-dncnn.safetensors"


@hookimpl
def lowvision_weights() -> Mapping[str, type[Weights]]:
    return {
        "sr-carn-x4": SrCarnX4,
        "sr-fsrcnn-x4": SrFsrcnnX4,
        "denoise-dncnn-blind": DenoiseDncnnBlind,
        "denoise-dncnn": DenoiseDncnn,
    }
