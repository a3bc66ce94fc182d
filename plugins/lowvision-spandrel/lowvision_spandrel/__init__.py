"""Networks in any weights file that spandrel recognises, as backbones with their weights."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, ValidationInfo, field_validator

from lowvision import Backbone, DataError, Format, Options, Part, Recognised, Task, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from lowvision_spandrel.blueprint import Blueprint

BICUBIC = (2, 3, 4)
"""Scales at which the task `sr` measures a network."""


def missing() -> str | None:
    """Return why spandrel cannot be used, and the way out; None if it can."""
    if find_spec("spandrel"):
        return None
    return "spandrel is not installed; pip install 'lowvision-framework[spandrel]'"


class Unknown(Task):
    """Undo an unknown degradation; an evaluation needs pairs of files."""

    scale: int = Field(default=1, ge=1)
    """Upsampling factor: size of gt divided by size of lq."""

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        raise DataError("the task 'unknown' has no degradation; pass a folder with gt/ and lq/, or another task")


class Spandrel(Backbone):
    """A network that spandrel recognises by the names and shapes of its tensors; created from a weights file."""

    layout: str = Field(repr=False)
    """Packed names and shapes of the tensors; in a recipe, write `{weights: FILE}` or `{spandrel: FILE}` instead."""
    network: str = Field(default="", validate_default=True)
    """Name of the network in spandrel; always derived from the layout."""

    @field_validator("layout")
    @classmethod
    def _is_recognised(cls, layout: str) -> str:
        if reason := missing():
            raise ValueError(reason)
        from lowvision_spandrel import blueprint
        from lowvision_spandrel import layout as layouts

        blueprint.read(layout)
        return layouts.normal(layout)

    @field_validator("network")
    @classmethod
    def _name_from_layout(cls, network: str, info: ValidationInfo) -> str:
        if "layout" not in info.data:
            return network
        from lowvision_spandrel import blueprint

        return blueprint.read(info.data["layout"]).name

    @property
    def scales(self) -> tuple[int, ...]:  # type: ignore[override]  # a class variable in the contract
        return (self._blueprint.scale,)

    @property
    def multiple_of(self) -> int:  # type: ignore[override]  # as above
        return self._blueprint.sizes.multiple_of

    def build(self, task: Task) -> nn.Module:
        """Build the network. Raises ValueError if its scale or channels differ from the task's."""
        from lowvision_spandrel import network

        for name, value, required in (
            ("scale", self._blueprint.scale, task.scale),
            ("channels", self._blueprint.channels, task.channels),
        ):
            if value != required:
                raise ValueError(f"{self.network} has {name} {value}; the task has {name} {required}")
        return network.build(self._blueprint)

    def reach(self, task: Task) -> int | None:
        return self._blueprint.reach

    @property
    def _blueprint(self) -> Blueprint:
        from lowvision_spandrel import blueprint

        return blueprint.read(self.layout)


class SpandrelFile(Format):
    """Weights files of any architecture that spandrel supports, e.g. ESRGAN, Compact, SwinIR, DAT, NAFNet."""

    general: ClassVar[bool] = True

    size: int = Field(default=128, ge=8)
    """Smallest height and width of tiles in LQ pixels; larger than training tiles, since such networks have large
    receptive fields."""
    overlap: int = Field(default=16, ge=0)
    """Overlap of tiles in LQ pixels."""

    def recognise(self, state: Mapping[str, Tensor]) -> Recognised | None:
        if reason := missing():
            raise ImportError(reason)
        from lowvision_spandrel import blueprint

        detected = blueprint.detect(state)
        if detected is None:
            return None
        sizes = detected.blueprint.sizes
        size = -(-max(self.size, sizes.minimum) // sizes.multiple_of) * sizes.multiple_of
        weights = {f"network.{name}": tensor for name, tensor in detected.state.items()}
        return Recognised(
            task=_task(detected.blueprint),
            branches=(Part(Spandrel(layout=detected.layout), weights),),
            tile=(size, self.overlap),
        )


def _task(network: Blueprint) -> Options | Mapping[str, Any]:
    """Return the task that evaluates such a network."""
    if network.scale in BICUBIC:
        return {"sr": {"scale": network.scale, "channels": network.channels}}
    return Unknown(scale=network.scale, channels=network.channels)  # type: ignore[arg-type]  # 1 or 3


@hookimpl
def lowvision_tasks() -> Mapping[str, type[Task]]:
    return {"unknown": Unknown}


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"spandrel": Spandrel}


@hookimpl
def lowvision_formats() -> Mapping[str, type[Format]]:
    return {"spandrel": SpandrelFile}
