"""The task of video compression: a photograph as a frame of a compressed video, by PyAV."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from lowvision import Task
from lowvision_degradations.ranges import ascends

if TYPE_CHECKING:
    from torch import Generator, Tensor

Quantiser = Annotated[int, Field(ge=0, le=51)]


class VideoCompression(Task):
    """Undo video compression: a photograph is the last frame of a short pan, encoded by H.264."""

    random: ClassVar[bool] = True
    margin: ClassVar[int] = 16

    scale: Literal[1] = 1
    """Upsampling factor: always 1."""
    crf: Annotated[Quantiser | tuple[Quantiser, Quantiser], AfterValidator(ascends)] = (28, 40)
    """Constant rate factor, 0..51, higher is worse; a pair is sampled uniformly."""
    frames: int = Field(default=4, ge=1, le=60)
    """Length of the video; the frames before the last one are the photograph, shifted by up to 2 pixels each."""

    @model_validator(mode="after")
    def _is_installed(self) -> Self:
        if find_spec("av") is None:
            raise ValueError("needs PyAV, which is not installed; pip install av")
        return self

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        """Return the decoded last frame, 8 bit, in [0,1]."""
        import torch

        from lowvision_degradations.encoding import last_frame

        low, high = self.crf if isinstance(self.crf, tuple) else (self.crf, self.crf)
        crf = int(torch.randint(low, high + 1, (), generator=generator))
        shifts = torch.randint(-2, 3, (self.frames - 1, 2), generator=generator).tolist()
        return last_frame(gt, crf, [(int(down), int(right)) for down, right in shifts])
