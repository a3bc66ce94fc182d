"""Options of the training stages of a recipe."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from lowvision.config.options import Options


class Fit(Options):
    """Training options. Default: Adam without weight decay, as in the paper."""

    steps: int = Field(default=1000, ge=1)
    """Updates of the weights."""
    batch: int = Field(default=16, ge=1)
    """Tiles per update, over all processes."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Tiles per forward pass; gradients accumulate. Default: the whole share of a process."""
    lr: float = Field(default=2e-4, gt=0)
    """Learning rate at the start."""
    min_lr: float = Field(default=1e-7, ge=0)
    """Learning rate at the end of the cosine."""
    warmup: int = Field(default=0, ge=0)
    """Steps of linear warm-up, starting at lr / warmup."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Schedule of the learning rate after the warm-up."""
    optimizer: str = "adam"
    """Name of an optimizer in timm."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Betas of Adam, from the reference code; the paper prints 0.999 for the second."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Weight decay."""
    clip: float | None = Field(default=None, gt=0)
    """Maximum norm of the gradient. Default: no clipping."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Decay of an exponential moving average of the weights, which is then validated and saved in their place."""
    keep: Literal["best", "last"] = "last"
    """Weights that the next stage uses: the best on `data.valid`, or the last."""
    valid_every: int = Field(default=500, ge=1)
    """Steps between validations on fixed tiles of `data.valid`; the last step always validates."""
    checkpoint_every: int = Field(default=500, ge=1)
    """Steps between checkpoints; resuming from one is bit-exact."""
    log_every: int = Field(default=50, ge=1)
    """Steps between lines in `metrics.jsonl`."""

    @property
    def fewest_steps(self) -> int:
        """Smallest number of steps over the networks that this stage trains."""
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
    """Training options of a classifier or a whole container: the weights of the three losses."""

    batch: int = Field(default=96, ge=1)
    """Tiles per update, over all processes."""
    image_weight: float = Field(default=1000.0, ge=0)
    """Weight of the image loss."""
    class_weight: float = Field(default=0.5, ge=0)
    """Weight of the class loss, which is normalised to 0 (certain) .. M-1 (undecided)."""
    average_weight: float = Field(default=3.0, ge=0)
    """Weight of the average loss, which is normalised to 0 (balanced) .. 1 (all tiles to one branch)."""
    start: str | None = None
    """Weights file of the whole container to start from, or the name of shipped weights."""
    shares: tuple[float, ...] | None = None
    """Target shares of tiles per branch in the average loss. Default: equal shares."""

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Self:
        if self.shares is not None and abs(sum(self.shares) - 1) > 1e-6:
            raise ValueError(f"shares {list(self.shares)} sum to {sum(self.shares):g}; they must sum to 1")
        return self
