"""Options of the stages that train."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from lowvision.config.options import Options
from lowvision.plugins.choice import Choice
from lowvision.plugins.choices import Choices
from lowvision.plugins.l1_loss import L1
from lowvision.plugins.losses import Loss
from lowvision.plugins.metrics import Metric


class Best(Options):
    """Selection of the best weights by a metric."""

    best: Annotated[Metric, Choice("metrics")]
    """The metric, measured on each of the fixed tiles of `data.valid`."""


class Fit(Options):
    """Options of a training stage; by default Adam without weight decay, as in the paper."""

    steps: int = Field(default=1000, ge=1)
    """Number of training steps."""
    batch: int = Field(default=16, ge=1)
    """Tiles per step, over all processes."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Tiles per forward pass; gradients are accumulated over them. Null: all tiles of a process."""
    loss: Annotated[tuple[Loss, ...], Choices("losses")] = Field(default_factory=lambda: (L1(),))
    """Losses between restored images and ground truth, one or a list, e.g. [charbonnier, {fft: {weight: 0.05}}]; they
    are added up."""
    lr: float = Field(default=2e-4, gt=0)
    """Initial learning rate."""
    min_lr: float = Field(default=1e-7, ge=0)
    """Final learning rate of `cosine`, of each cycle of `restarts`, and of `one_cycle`."""
    warmup: int = Field(default=0, ge=0)
    """Steps over which the learning rate rises linearly from lr / warmup."""
    schedule: Literal["cosine", "constant", "multistep", "restarts", "one_cycle"] = "cosine"
    """Schedule of the learning rate after the warm-up."""
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.5, 0.8, 0.9, 0.95)
    """Fractions of the steps after which `multistep` multiplies the learning rate by `gamma`."""
    gamma: float = Field(default=0.5, gt=0, lt=1)
    """Factor of `multistep`."""
    cycles: int = Field(default=4, ge=1)
    """Number of equal cosine cycles of `restarts`."""
    peak_at: float = Field(default=0.3, gt=0, lt=1)
    """Fraction of the steps at which `one_cycle` reaches `lr`; it starts at lr / 25 and ends at `min_lr`."""
    optimizer: str | dict[str, dict[str, Any]] = "adam"
    """Name of an optimizer in timm, or {name: arguments}, e.g. {adan: {betas: [0.98, 0.92, 0.99]}}."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Betas of optimizers that have two, as in the reference code; the paper gives 0.999 for the second."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Weight decay."""
    clip: float | None = Field(default=None, gt=0)
    """Maximum norm of the gradient; null: no clipping."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Decay of an exponential moving average of the weights, which is then validated and saved; null: no average."""
    compile: bool = False
    """Compile the network by torch.compile: minutes per stage, and a C++ compiler, for faster steps."""
    keep: Literal["best", "last"] | Best = "last"
    """Weights that the next stage uses: the best ones on `data.valid`, by PSNR or {best: METRIC}, or the last ones."""
    valid_every: int = Field(default=500, ge=1)
    """Steps between validations on fixed tiles of `data.valid`; one is always at the end."""
    checkpoint_every: int = Field(default=500, ge=1)
    """Steps between checkpoints; a run resumes from the last one with identical results."""
    log_every: int = Field(default=50, ge=1)
    """Steps between entries in `metrics.jsonl`."""

    @property
    def kept(self) -> Literal["best", "last"]:
        """Name of the weights that the next stage uses."""
        return self.keep if isinstance(self.keep, str) else "best"

    @property
    def selecting_metric(self) -> Metric | None:
        """Metric that selects the best weights; None: PSNR."""
        return None if isinstance(self.keep, str) else self.keep.best

    @property
    def optimizer_name(self) -> str:
        """Name of the optimizer in timm."""
        return self.optimizer if isinstance(self.optimizer, str) else next(iter(self.optimizer))

    @property
    def optimizer_arguments(self) -> dict[str, Any]:
        """Arguments of the optimizer; lists are tuples, as optimizers expect."""
        if isinstance(self.optimizer, str):
            return {}
        arguments = self.optimizer[self.optimizer_name]
        return {name: tuple(value) if isinstance(value, list) else value for name, value in arguments.items()}

    @property
    def fewest_steps(self) -> int:
        """Smallest number of steps over the networks that this stage trains."""
        return self.steps

    @field_validator("optimizer", mode="before")
    @classmethod
    def _one_optimizer(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if len(value) != 1:
            raise ValueError(f"must be one name, or one name with its arguments, not {len(value)} names")
        ((name, arguments),) = value.items()
        arguments = {} if arguments is None else arguments
        if isinstance(arguments, dict) and "lr" in arguments:
            raise ValueError("lr is an option of the stage, not an argument of the optimizer")
        return {name: arguments}

    @model_validator(mode="after")
    def _one_cycle_warms_up_itself(self) -> Self:
        if self.schedule == "one_cycle" and self.warmup:
            raise ValueError("schedule one_cycle has its own warm-up; omit warmup, or set peak_at")
        return self

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        if self.warmup >= self.fewest_steps:
            raise ValueError(f"warmup {self.warmup} must be less than steps {self.fewest_steps}")
        return self

    @model_validator(mode="after")
    def _micro_batch_divides(self) -> Self:
        if self.micro_batch and self.batch % self.micro_batch:
            raise ValueError(f"batch {self.batch} must be a multiple of micro_batch {self.micro_batch}")
        return self


class RoutedFit(Fit):
    """Options of stages that train the classifier, alone or with the branches: three losses and their weights."""

    batch: int = Field(default=96, ge=1)
    """Tiles per step, over all processes."""
    image_weight: float = Field(default=1000.0, ge=0)
    """Weight of the image loss."""
    class_weight: float = Field(default=0.5, ge=0)
    """Weight of the class loss, which is 0 for certain and M-1 for uniform predictions over M classes."""
    average_weight: float = Field(default=3.0, ge=0)
    """Weight of the average loss, which is 0 for balanced branches and 1 if one branch gets all tiles."""
    start: str | None = None
    """Initial weights of the whole container: a weights file or a name of shipped weights."""
    shares: tuple[float, ...] | None = None
    """Target fractions of tiles per branch in the average loss; null: equal fractions."""

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Self:
        if self.shares is not None and abs(sum(self.shares) - 1) > 1e-6:
            raise ValueError(f"shares {list(self.shares)} sum to {sum(self.shares):g}; they must sum to 1")
        return self
