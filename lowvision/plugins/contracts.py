"""The contracts of components that plugins provide: frozen options models that build the parts of a run.

A plugin subclasses a contract: options are its fields, constraints its validators. It imports torch only inside
methods, so that listing components and checking recipes stay fast.

Shapes: B batch, C colour channels, H and W height and width of the ground-truth image (GT), h and w those of the
low-quality image (LQ), s the task's scale; H = s*h, W = s*w. Images are float32 tensors, nominally in [0,1].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from lowvision.config.options import Options
from lowvision.errors import DataError
from lowvision.plugins.stored import Reader as Reader
from lowvision.plugins.stored import Stored as Stored
from lowvision.plugins.task import Task as Task
from lowvision.plugins.trained import Trained as Trained

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from lowvision.plugins.losses import ImageLoss

Precision = Literal["f32", "bf16", "f16"]
"""Number format of a network's arithmetic: float32; bfloat16 (8 significant bits), which is faster on processors with
bfloat16 instructions; or float16 (11 significant bits, largest value 65504), for accelerators."""
Skip = Literal["none", "nearest", "bilinear", "bicubic"]
"""Interpolation of the input that a super-resolution network adds to its output; `none` in most papers."""


class Backbone(Options, ABC):
    """The options of a restoration network, from which it is built."""

    scales: ClassVar[tuple[int, ...] | None] = None
    """Scales of tasks that it can be built for; None: all."""
    multiple_of: ClassVar[int] = 1
    """Height and width of its input must be multiples of this number of pixels."""
    trains_all: ClassVar[bool] = False
    """True: its `objective` gives every parameter a gradient in every step, which several processes need not check."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if isinstance(cls.scales, int):
            raise TypeError(f"{cls.__name__}.scales is {cls.scales}; write scales = ({cls.scales},)")

    @abstractmethod
    def build(self, task: Task) -> nn.Module:
        """Return a newly initialised network, (B,C,h,w) in [0,1] -> (B,C,h*scale,w*scale)."""

    @abstractmethod
    def reach(self, task: Task) -> int | None:
        """Return the radius of the receptive field in LQ pixels; None: each output pixel depends on the whole input."""

    def objective(self, network: nn.Module, image_loss: ImageLoss) -> nn.Module | None:
        """Return the training objective of a network; None: `image_loss` between its output and GT.

        `image_loss` is the weighted sum of the losses of the recipe, by default L1: (restored, gt) -> scalar. The
        objective is a module that holds `network`. It is called with `lq` (B,C,h,w), `gt` (B,C,h*scale,w*scale),
        both in [0,1], and the progress of the stage, from 0 at the first update to 1 at the last. It returns weighted
        losses by name, as means over tiles; training minimises their sum. State that changes with progress (a
        temperature, masks of pruned channels) must be in buffers of the network, so that checkpoints, moving averages
        and weights files contain it.
        """
        return None

    def exits(self) -> int:
        """Return the number of blocks after which its network, an `EarlyExit`, can exit; 0: it has no exits."""
        return 0

    def fuse(self) -> Backbone | None:
        """Return the deployed form of a backbone that is trained in another form; None: it has one form.

        Returns itself if it is the deployed form. Modules of the training form that are `lowvision.layers.Fusible` are,
        in the deployed form, the modules of the same name that their `fused` returns; all other modules are equal.
        """
        return None

    def deployed(self) -> Backbone:
        """Return the form that is validated, counted, evaluated and exported: `fuse`, or itself."""
        return self.fuse() or self


class EarlyExit(ABC):
    """Mixin for the nn.Module of a backbone that is a sequence of blocks and can output an image after each of them.

    forward(lq) equals forward_stem, forward_block for every block from 0, then forward_head. An exit after k blocks
    computes what a network of k blocks with the same weights computes.
    """

    @abstractmethod
    def forward_stem(self, lq: Tensor) -> tuple[Tensor, ...]:
        """Return the state before the first block for `lq` (B,C,h,w): features, then other tensors needed later.

        Each tensor has B rows. The features (B,F,h',w') come first, also after every block; their shape is constant.
        """

    @abstractmethod
    def forward_block(self, state: tuple[Tensor, ...], block: int) -> tuple[Tensor, ...]:
        """Return the state after block number `block`, from the state before it, which must not be modified."""

    @abstractmethod
    def forward_head(self, state: tuple[Tensor, ...], lq: Tensor) -> Tensor:
        """Return the image (B,C,h*scale,w*scale) from the state after any block and `lq` (B,C,h,w)."""


class Adaptive(ABC):
    """Mixin for the nn.Module of a backbone that adapts its computation to each tile, e.g. by masks or exits.

    Its forward is a static graph of constant cost, which all runtimes can run. Until `set_budget` is called, `adapt`
    returns the same image as forward.
    """

    @abstractmethod
    def adapt(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        """Restore tiles (B,C,h,w) in [0,1], with as much computation on each as it needs.

        Returns the images (B,C,s*h,s*w) and the multiply-adds spent on each tile (B,), int64, counted as
        `lowvision.multiply_adds` does.
        """

    @abstractmethod
    def set_budget(self, share: float, lq: Tensor, gt: Tensor) -> None:
        """Make `adapt` spend this fraction of forward's multiply-adds, on average over tiles like the given ones.

        `lq` (N,C,h,w) and `gt` (N,C,s*h,s*w), both in [0,1], are tiles of photographs that were not used in training.
        If the fraction cannot be reached exactly, use the nearest reachable one below it, or the smallest of all. The
        settings must be finite numbers in buffers of the network, valid for every network with the same weights.
        """


class Classifier(Options, ABC):
    """The options of a network that predicts the difficulty of tiles, from which it is built."""

    trained: ClassVar[bool] = True
    """True: stages train it. False: it is set by `fit`."""
    predicts: ClassVar[Literal["class", "psnr", "error"]] = "class"
    """Meaning of its output per branch: `class`, the logit of a class; `psnr`, the PSNR in dB that the branch would
    reach; `error`, its negated mean squared error, which is additive over tiles."""

    @abstractmethod
    def build(self, task: Task, classes: int) -> nn.Module:
        """Return a newly initialised network, (B,C,h,w) in [0,1] -> scores (B,classes); class 0 is the easiest."""

    def fit(self, network: nn.Module, tiles: Tensor, psnr: Tensor) -> None:
        """Set the parameters of an untrained classifier from measurements, in place; by default there are none.

        `network` comes from `build`. `tiles` (N,C,h,w) in [0,1] are from photographs that were not used in training.
        `psnr` (N,classes) is the PSNR in dB of each branch on each tile.
        """
        return


class Reducer(Options, ABC):
    """A function from a backbone to a smaller one."""

    @abstractmethod
    def reduce(self, backbone: Backbone, level: int | float | str) -> Backbone:
        """Return the smaller backbone at `level`. Raises ValueError if the backbone has no such option or level."""

    def reduce_trained(self, backbone: Backbone, level: int | float | str, network: nn.Module) -> Backbone:
        """Return the smaller backbone at `level`, given a trained `network` of `backbone`; by default, `reduce`.

        Override it if the result depends on the weights, e.g. on the blocks that a search has kept; `reduce` may then
        reject all levels. Must not modify the network. Raises ValueError as `reduce` does.
        """
        return self.reduce(backbone, level)

    def inherit(self, larger: nn.Module, smaller: nn.Module) -> bool:
        """Initialise a reduced network from the trained larger one, in place; return True if that was done.

        `smaller` is newly built. By default it keeps its random initialisation.
        """
        return False


@dataclass(frozen=True)
class Photo:
    """One photograph of a data set: its name, unique in the set, and its files. Raises DataError for other names."""

    name: str
    """A relative path without `..`, because reports have a folder of pictures of this name."""
    gt: Path | Stored | None
    """File of the ground truth, or its place in an archive; None: unknown, a `teacher` makes a target from `lq`."""
    lq: Path | Stored | None = None
    """File of the degraded image, or its place in an archive; None: the task degrades `gt`."""

    def __post_init__(self) -> None:
        path = PurePath(self.name)
        if not path.parts or path.is_absolute() or ".." in path.parts:
            raise DataError(f"photograph '{self.name}': its name must be a relative path without '..'; rename it")


class Dataset(Options, ABC):
    """A set of photographs, and how each is resized to become ground truth."""

    downscale: float = Field(default=1.0, ge=1.0)
    """Factor by which every photograph is shrunk first (antialiased bicubic), e.g. 2 for soft photographs."""
    longer_side: int | None = Field(default=None, ge=1)
    """Largest length of the longer side in pixels; larger photographs are shrunk to it (antialiased bicubic)."""
    scales: tuple[float, ...] = (1.0,)
    """Resize factors at each of which every photograph is used; the paper trains at 1, 0.9, 0.8, 0.7, 0.6."""

    @abstractmethod
    def photos(self) -> tuple[Photo, ...]:
        """Return the photographs in a fixed order. Raises DataError if there are none."""

    def parts(self) -> tuple[Dataset, ...]:
        """Return the data sets that it consists of, each with its own options; by default itself."""
        return (self,)

    def weights(self) -> tuple[float, ...] | None:
        """Return the fraction of training tiles from each of the parts, up to a common factor; None: by their size."""
        return None


class Weights(Options, ABC):
    """A weights file that a plugin ships; the class docstring describes its purpose."""

    default: ClassVar[bool] = False
    """True: `lowvision restore` uses it if no weights are named. Only one of all installed classes may set it."""

    @abstractmethod
    def path(self) -> Path:
        """Return the path of the file, in lowvision's format. It must exist locally; nothing is downloaded."""


class Runtime(Options, ABC):
    """An inference engine for trained networks."""

    devices: ClassVar[tuple[str, ...] | None] = None
    """Kinds of devices that it supports, e.g. `("cpu",)`; None: all. On others `auto` does not try it."""
    automatic: ClassVar[bool] = True
    """False: `auto` does not try it, e.g. because it needs a separate export."""
    batch: int | None = Field(default=None, ge=1)
    """Tiles of one shape per call; null: 4 on CPUs, where more exceed the cache, on accelerators by free memory."""
    precision: Precision = "f32"
    """Number format of convolutions and matrix products; images and additions to them stay float32. A runtime with
    only one format narrows the type."""

    @abstractmethod
    def missing(self) -> str | None:
        """Return why it cannot be used on this machine, and the way out; None: it can. Imports no heavy library."""

    @abstractmethod
    def prepare(self, network: Trained, callers: int, device: str) -> Callable[[Tensor], Tensor]:
        """Return the network as a function from float32 tensors (B,C,h,w), on the CPU or on `device`, to its output.

        Inputs may have any shape, but few different ones. Up to `callers` threads call the function concurrently; each
        call uses 1/callers of the cores, and its output must stay valid after later calls from the same thread.
        `device` is `cpu`, `mps`, or has a number: `cuda:0`. Raises RunError for a device that it does not support.
        """


@dataclass(frozen=True)
class Part:
    """A network that a format recognised in a file: its options and its weights."""

    choice: Options | str | Mapping[str, Any]
    """The backbone or classifier: an options model, or as written in recipes (`carn`, `{"carn": {"channels": 64}}`),
    which also works for components of other plugins."""
    state: Mapping[str, Tensor]
    """All of its tensors by their names in the file."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Name in the file -> name in the built network, for the names that differ."""


@dataclass(frozen=True)
class Recognised:
    """The content of a weights file: one network, or a classifier and branches."""

    task: Options | str | Mapping[str, Any]
    """The task: an options model, or as written in recipes."""
    branches: tuple[Part, ...]
    """The networks, cheapest first; a single network is the only branch."""
    classifier: Part | None = None
    """The classifier; None for a single network."""
    tile: tuple[int, int] | None = None
    """Size and overlap of tiles in LQ pixels; None: lowvision's defaults."""


class Format(Options, ABC):
    """A layout of another program's weights files."""

    general: ClassVar[bool] = False
    """True: it covers many layouts, and is tried only on files that no other format recognises."""

    @abstractmethod
    def recognise(self, state: Mapping[str, Tensor]) -> Recognised | None:
        """Return the network to which a file's tensors, by name, belong; None: they have another layout.

        Omit tensors that no network needs from `Part.state`. Missing and unexpected names need no check: the caller
        reports them. Raises ValueError, with the reason, if the layout is recognised but cannot be converted.
        """
