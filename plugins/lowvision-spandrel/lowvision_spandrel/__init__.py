"""Any network that spandrel recognises in a weights file, as a backbone with its weights."""

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
    """Why spandrel cannot be used here, and the way out; None: it can."""
    if find_spec("spandrel"):
        return None
    return "spandrel is not installed; pip install 'lowvision-framework[spandrel]'"


class Unknown(Task):
    """Undo what a network was trained to undo, whatever that is: needs pairs of files to be measured."""

    scale: int = Field(default=1, ge=1)
    """Size of gt divided by size of lq."""

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        raise DataError("the task 'unknown' knows no degradation; give a folder with gt/ and lq/, or another task")

    def baseline(self, lq: Tensor) -> Tensor:
        """Bicubic enlargement; at scale 1, lq itself."""
        from lowvision import resize

        height, width = lq.shape[-2:]
        return lq if self.scale == 1 else resize(lq, (height * self.scale, width * self.scale))


class Spandrel(Backbone):
    """A network as spandrel recognises it by the names and shapes of its tensors; made from a weights file."""

    layout: str = Field(repr=False)
    """These names and shapes, packed; in a recipe, write `{weights: FILE}` or `{spandrel: FILE}` instead."""
    network: str = Field(default="", validate_default=True)
    """What spandrel calls it; follows from the layout, whatever is said here."""

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
    def _is_told(cls, network: str, told: ValidationInfo) -> str:
        if "layout" not in told.data:
            return network
        from lowvision_spandrel import blueprint

        return blueprint.read(told.data["layout"]).name

    @property
    def scales(self) -> tuple[int, ...]:  # type: ignore[override]  # not of the class: each file is of another network
        return (self._blueprint.scale,)

    @property
    def multiple_of(self) -> int:  # type: ignore[override]  # as above
        return self._blueprint.sizes.multiple_of

    def build(self, task: Task) -> nn.Module:
        """Raises ValueError where the task has another scale, or other channels, than the network."""
        from lowvision_spandrel import network

        for what, own, wanted in (
            ("scale", self._blueprint.scale, task.scale),
            ("channels", self._blueprint.channels, task.channels),
        ):
            if own != wanted:
                raise ValueError(f"{self.network} has {what} {own}; the task has {what} {wanted}")
        return network.build(self._blueprint)

    def reach(self, task: Task) -> int | None:
        return self._blueprint.reach

    @property
    def _blueprint(self) -> Blueprint:
        from lowvision_spandrel import blueprint

        return blueprint.read(self.layout)


class SpandrelFile(Format):
    """Weights files of any architecture that spandrel knows, such as ESRGAN, Compact, SwinIR, DAT, NAFNet."""

    general: ClassVar[bool] = True

    size: int = Field(default=128, ge=8)
    """Height and width of tiles in LQ pixels, unless the network asks for more: larger than in training, as such
    networks look far around a pixel."""
    overlap: int = Field(default=16, ge=0)
    """LQ pixels by which tiles overlap."""

    def recognise(self, state: Mapping[str, Tensor]) -> Recognised | None:
        if reason := missing():
            raise ImportError(reason)
        from lowvision_spandrel import blueprint

        found = blueprint.of(state)
        if found is None:
            return None
        sizes = found.blueprint.sizes
        size = -(-max(self.size, sizes.minimum) // sizes.multiple_of) * sizes.multiple_of
        weights = {f"network.{name}": tensor for name, tensor in found.state.items()}
        return Recognised(
            task=_task(found.blueprint),
            branches=(Part(Spandrel(layout=found.layout), weights),),
            tile=(size, self.overlap),
        )


def _task(network: Blueprint) -> Options | Mapping[str, Any]:
    """The task by which such a network is measured."""
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
