"""Tasks that are made of other tasks: chains of degradations, and a choice among several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from lowvision import Task, TaskChoice
from lowvision_degradations.ranges import Share, picked, uniform

if TYPE_CHECKING:
    from torch import Generator, Tensor

MARGIN = 8
"""Default of `context`: half the largest coding unit of JPEG, and more than the kernels of Real-ESRGAN at scale 4."""


class _Composed(Task):
    """Options and members that chains and choices share."""

    context: int = Field(default=MARGIN, ge=0)
    """LQ pixels around each tile that are degraded with it, so that blur, resizing and JPEG have no tile borders."""

    @property
    def margin(self) -> int:  # type: ignore[override]  # a class variable in the contract
        """LQ pixels around a tile that are degraded with it."""
        return self.context

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        """Return the degraded image at the size of lq, rounded to 8 bit: files do not store more."""
        from lowvision_degradations.pixels import resized

        height, width = gt.shape[1] // self.scale, gt.shape[2] // self.scale
        lq = self.link(gt, generator, (height, width))
        return resized(lq, (height, width)).clamp(0, 1).mul(255).round().div(255)

    def baseline(self, lq: Tensor) -> Tensor:
        """Return lq, enlarged by bicubic interpolation."""
        from lowvision import resize

        height, width = lq.shape[2:]
        return lq if self.scale == 1 else resize(lq, (height * self.scale, width * self.scale))


class Chain(_Composed):
    """Apply several degradations one after the other, as Real-ESRGAN does; each draws its strength per sample."""

    of: tuple[TaskChoice, ...] = Field(min_length=1)
    """The links: tasks, in their order. At the end the image is resized to the size of lq, if it differs."""
    shuffle: bool = False
    """Draw the order of the links for each sample."""
    repeat: int = Field(default=1, ge=1)
    """Number of passes through the links."""
    probability: Share = 1.0
    """Probability that the links are applied; otherwise the image is only resized."""

    @property
    def random(self) -> bool:  # type: ignore[override]  # a class variable in the contract
        """True if a link, their order or their number is drawn per sample."""
        return self.shuffle or self.probability < 1 or any(task.random for task in self.of)

    def link(self, image: Tensor, generator: Generator, size: tuple[int, int]) -> Tensor:
        """Return the image after all links, at any size."""
        import torch

        if self.probability < 1 and uniform(generator) >= self.probability:
            return image
        for _ in range(self.repeat):
            order = torch.randperm(len(self.of), generator=generator).tolist() if self.shuffle else range(len(self.of))
            for number in order:
                image = self.of[number].link(image, generator, size).clamp(0, 1)
        return image


class OneOf(_Composed):
    """Apply one of several degradations, drawn per sample."""

    random: ClassVar[bool] = True

    of: tuple[TaskChoice, ...] = Field(min_length=1)
    """The tasks."""
    weights: tuple[Annotated[float, Field(ge=0)], ...] = ()
    """Weight of each task in the draw; empty: equal ones."""

    @model_validator(mode="after")
    def _one_weight_each(self) -> Self:
        if self.weights and (len(self.weights) != len(self.of) or not sum(self.weights)):
            raise ValueError(f"weights {list(self.weights)} must be one number per task, not all 0")
        return self

    def link(self, image: Tensor, generator: Generator, size: tuple[int, int]) -> Tensor:
        """Return the image after one of the tasks."""
        number = picked(self.weights or (1.0,) * len(self.of), generator)
        return self.of[number].link(image, generator, size)


def _blurs(sigma: tuple[float, float], cutoff_probability: float) -> dict[str, Any]:
    """Return the six Gaussian kernels and the sinc kernel of one stage, with their probabilities."""
    kernels: tuple[dict[str, Any], ...] = (
        {"kernel": "gaussian"},
        {"kernel": "gaussian", "anisotropic": True},
        {"kernel": "generalized", "shape": (0.5, 4.0)},
        {"kernel": "generalized", "shape": (0.5, 4.0), "anisotropic": True},
        {"kernel": "plateau", "shape": (1.0, 2.0)},
        {"kernel": "plateau", "shape": (1.0, 2.0), "anisotropic": True},
    )
    shares = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)
    blurs = [{"blur": {**kernel, "radius": sigma, "size": (7, 21)}} for kernel in kernels]
    weights = tuple(share * (1 - cutoff_probability) for share in shares)
    return {"one_of": {"of": (*blurs, {"sinc": {}}), "weights": (*weights, cutoff_probability)}}


FIRST: tuple[dict[str, Any], ...] = (
    _blurs((0.2, 3.0), 0.1),
    {"resize": {"factor": (0.15, 1.5), "shares": (0.7, 0.2, 0.1)}},
    {"noise": {"gaussian": (1.0, 30.0), "poisson": (0.05, 3.0)}},
    {"jpeg": {"quality": (30, 95)}},
)
"""One pass: the parameters of Real-ESRGAN (Wang et al., ICCVW 2021), options of its training for x4plus."""
SECOND: tuple[dict[str, Any], ...] = (
    {"chain": {"probability": 0.8, "of": (_blurs((0.2, 1.5), 0.1),)}},
    {"resize": {"factor": (0.3, 1.2), "shares": (0.4, 0.3, 0.3), "relative_to": "lq"}},
    {"noise": {"gaussian": (1.0, 25.0), "poisson": (0.05, 2.5)}},
)
"""The second pass; JPEG and the return to the size of lq, with a sinc filter, follow in random order."""
_RETURN = {
    "chain": {
        "of": (
            {"resize": {"factor": 1.0, "relative_to": "lq"}},
            {"chain": {"probability": 0.8, "of": ({"sinc": {}},)}},
        )
    }
}
LAST: tuple[dict[str, Any], ...] = ({"chain": {"shuffle": True, "of": (_RETURN, {"jpeg": {"quality": (30, 95)}})}},)


class RealESRGAN(Chain):
    """The degradations of Real-ESRGAN: blur, resizing, noise and JPEG, once or twice."""

    scale: int = Field(default=4, ge=1)
    """Size of GT divided by size of LQ."""
    order: int = Field(default=2, ge=1, le=2)
    """Number of passes: 1, or 2 as in the paper."""
    of: tuple[TaskChoice, ...] = Field(default=(), validate_default=True)
    """The links; empty: those of the paper."""

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("of"):
            return value
        links = {1: FIRST, 2: (*FIRST, *SECOND, *LAST)}.get(value.get("order", 2), FIRST)
        return {**value, "of": links}
