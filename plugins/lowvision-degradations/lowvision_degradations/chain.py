"""Tasks that are made of other tasks: chains of degradations, and a choice among several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    def degrade_batch(self, gt: Tensor, generators: Sequence[Generator]) -> Tensor:
        """Return the degraded images, with one link at a time for the whole batch."""
        import torch

        from lowvision_degradations.pixels import resized

        height, width = gt.shape[2] // self.scale, gt.shape[3] // self.scale
        images = self.link_batch(tuple(gt), generators, (height, width))
        lq = torch.stack([resized(image, (height, width)) for image in images])
        return lq.clamp(0, 1).mul(255).round().div(255)


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

    def link_batch(
        self, images: Sequence[Tensor], generators: Sequence[Generator], size: tuple[int, int]
    ) -> list[Tensor]:
        """Return the images after all links; images whose next link is the same pass it together."""
        import torch

        results, count = list(images), len(self.of)
        chosen = [n for n, own in enumerate(generators) if self.probability == 1 or uniform(own) < self.probability]
        for _ in range(self.repeat):
            orders = {n: torch.randperm(count, generator=generators[n]).tolist() for n in chosen if self.shuffle}
            for position in range(count):
                links = {n: orders[n][position] if self.shuffle else position for n in chosen}
                _apply(self.of, links, results, generators, size)
                for n in chosen:
                    results[n] = results[n].clamp(0, 1)
        return results


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
        return self.of[self._pick(generator)].link(image, generator, size)

    def link_batch(
        self, images: Sequence[Tensor], generators: Sequence[Generator], size: tuple[int, int]
    ) -> list[Tensor]:
        """Return the images, each after one of the tasks."""
        results = list(images)
        _apply(self.of, {n: self._pick(own) for n, own in enumerate(generators)}, results, generators, size)
        return results

    def _pick(self, generator: Generator) -> int:
        return picked(self.weights or (1.0,) * len(self.of), generator)


def _apply(
    tasks: Sequence[Task],
    choice: Mapping[int, int],
    images: list[Tensor],
    generators: Sequence[Generator],
    size: tuple[int, int],
) -> None:
    """Replace images by their results, where `choice` names the task of an image; a task gets its images together."""
    for number, task in enumerate(tasks):
        own = [n for n, chosen in choice.items() if chosen == number]
        results = task.link_batch([images[n] for n in own], [generators[n] for n in own], size) if own else []
        for n, result in zip(own, results, strict=True):
            images[n] = result


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
