"""Pixel transforms of albumentations as a task."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic.json_schema import JsonDict

from lowvision import Task

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from lowvision import PixelTransform

ANY_NAME: JsonDict = {"additionalProperties": {"type": ["object", "null"]}}
"""Schema of the short form: any further key is the name of a transform."""


class Albumentations(Task, json_schema_extra=ANY_NAME):
    """Apply pixel transforms of albumentations by their names, e.g. {albumentations: {MotionBlur: {blur_limit: 7}}}."""

    random: ClassVar[bool] = True
    margin: ClassVar[int] = 16

    scale: Literal[1] = 1
    """Upsampling factor: always 1."""
    transforms: dict[str, dict[str, Any] | None] = Field(default={"GaussNoise": {}}, min_length=1)
    """Transforms in their order, by name, each with its arguments; names may also be written without this key."""

    @model_validator(mode="before")
    @classmethod
    def _named_directly(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        named = {name: arguments for name, arguments in value.items() if name not in cls.model_fields}
        if not named:
            return value
        options = {name: option for name, option in value.items() if name in cls.model_fields}
        return {**options, "transforms": {**options.get("transforms", {}), **named}}

    @field_validator("transforms")
    @classmethod
    def _tuples(cls, transforms: dict[str, Any]) -> dict[str, Any]:
        # Lists of JSON become tuples, as those of recipes are, so that equal options are equal.
        return {name: _with_tuples(arguments or {}) for name, arguments in transforms.items()}

    @model_validator(mode="after")
    def _exist(self) -> Self:
        if self.transforms != {"GaussNoise": {}}:  # the default is not checked: importing albumentations takes seconds
            self._built()
        return self

    def __hash__(self) -> int:
        return hash((self.scale, self.channels, json.dumps(self.transforms)))

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        """Return the transformed image, rounded to 8 bit."""
        import torch

        pixels = gt.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()  # (H,W,C)
        for transform in self._built():
            pixels = transform(pixels, int(torch.randint(2**31, (), generator=generator)))
        return torch.from_numpy(pixels.copy()).permute(2, 0, 1).contiguous().to(gt).div(255)

    def _built(self) -> tuple[PixelTransform, ...]:
        return _built(json.dumps(self.transforms))


@functools.lru_cache(maxsize=32)
def _built(transforms: str) -> tuple[PixelTransform, ...]:
    from lowvision import PixelTransform

    return tuple(PixelTransform(name, _with_tuples(arguments)) for name, arguments in json.loads(transforms).items())


def _with_tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_tuples(item) for name, item in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list | tuple) else value
