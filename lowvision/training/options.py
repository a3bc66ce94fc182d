"""What a recipe may say of any stage that trains."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from lowvision.config.options import Options


class Fit(Options):
    """How something is trained: Adam without weight decay, as in the paper, unless said otherwise."""

    steps: int = Field(default=1000, ge=1)
    """Updates of the weights."""
    batch: int = Field(default=16, ge=1)
    """Tiles in an update, over all processes."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Tiles that go through the network at a time (gradients accumulate); absent: all of a process's share."""
    lr: float = Field(default=2e-4, gt=0)
    """Learning rate at the start."""
    min_lr: float = Field(default=1e-7, ge=0)
    """Learning rate at the end of the cosine."""
    warmup: int = Field(default=0, ge=0)
    """Steps over which the learning rate rises in a line, from lr / warmup."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """The course of the learning rate after the warm-up."""
    optimizer: str = "adam"
    """An optimizer by timm's name for it."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Adam's betas; the reference code's, the paper prints 0.999 for the second."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Weight decay."""
    clip: float | None = Field(default=None, gt=0)
    """Largest norm of the gradient; absent: not clipped."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Decay of an exponential moving average of the weights, which is then what is validated and kept."""
    keep: Literal["best", "last"] = "last"
    """Which weights the next stage takes: the best on `data.valid`, or the last."""
    valid_every: int = Field(default=500, ge=1)
    """Steps between validations on fixed tiles of `data.valid`; there is always one at the end."""
    checkpoint_every: int = Field(default=500, ge=1)
    """Steps between checkpoints, from which a run resumes bit for bit."""
    log_every: int = Field(default=50, ge=1)
    """Steps between lines in `metrics.jsonl`."""

    @property
    def fewest_steps(self) -> int:
        """Of all that it trains."""
        return self.steps

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        if self.warmup >= self.fewest_steps:
            raise ValueError(f"warmup {self.warmup} must end before steps {self.fewest_steps}")
        return self

    @model_validator(mode="after")
    def _micro_batch_divides(self) -> Self:
        if self.micro_batch and self.batch % self.micro_batch:
            raise ValueError(f"batch {self.batch} must be a multiple of micro_batch {self.micro_batch}")
        return self


class RoutedFit(Fit):
    """How a classifier, or a whole container, is trained: the three losses and their weights."""

    batch: int = Field(default=96, ge=1)
    """Tiles in an update, over all processes."""
    image_weight: float = Field(default=1000.0, ge=0)
    """Weight of the image loss."""
    class_weight: float = Field(default=0.5, ge=0)
    """Weight of the class loss, normalised to 0 (certain) .. M-1 (undecided)."""
    average_weight: float = Field(default=3.0, ge=0)
    """Weight of the average loss, normalised to 0 (balanced) .. 1 (all tiles to one branch)."""
    start: str | None = None
    """A weights file of the whole container, or the name of a shipped one, to start from."""
    shares: tuple[float, ...] | None = None
    """The shares of tiles that the average loss asks of each branch; absent: equal ones."""

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Self:
        if self.shares is not None and abs(sum(self.shares) - 1) > 1e-6:
            raise ValueError(f"shares {list(self.shares)} sum to {sum(self.shares):g}; they must sum to 1")
        return self
