"""What a plugin may provide: small frozen options models that build the parts of a run.

Each contract is abstract. A plugin's class is final: it has the options as fields, validators as its laws,
and imports torch only inside its methods, so that listing and checking stay fast.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from lowvision.config.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Generator, Tensor, nn

Precision = Literal["f32", "bf16"]
"""What a network computes in: float32, or bfloat16, of 8 significant bits, which is faster where there are instructions
for it."""
Skip = Literal["none", "nearest", "bilinear", "bicubic"]
"""The interpolation that a super-resolution network may add to its output; `none` in most papers."""


class Task(Options, ABC):
    """What was done to a clean image, and so what a network has to undo."""

    random: ClassVar[bool] = False
    """Whether the degradation is drawn anew for every tile; a fixed one is applied to whole images, once."""

    scale: int = Field(default=1, ge=1)
    """Size of gt divided by size of lq; 1 where the size stays."""
    channels: Literal[1, 3] = 3
    """Colour channels of an image: 3 for RGB, 1 for grey."""

    @abstractmethod
    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        """Make lq (C,H/scale,W/scale) from gt (C,H,W) in [0,1]; H and W are multiples of `scale`.

        All randomness comes from `generator` (a CPU generator). The result may leave [0,1].
        """

    @abstractmethod
    def baseline(self, lq: Tensor) -> Tensor:
        """The restoration to beat, (B,C,h,w) -> (B,C,h*scale,w*scale): bicubic, or lq itself."""


class Backbone(Options, ABC):
    """A restoration network before it is built."""

    scales: ClassVar[tuple[int, ...] | None] = None
    """The scales that it can be built for; None: any."""
    multiple_of: ClassVar[int] = 1
    """Height and width of its input must be multiples of this."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if isinstance(cls.scales, int):
            raise TypeError(f"{cls.__name__}.scales is {cls.scales}; write scales = ({cls.scales},)")

    @abstractmethod
    def build(self, task: Task) -> nn.Module:
        """A network (B,C,h,w) in [0,1] -> (B,C,h*scale,w*scale), freshly initialised."""

    @abstractmethod
    def reach(self, task: Task) -> int | None:
        """How many LQ pixels in each direction an output pixel sees; None: the whole input."""

    def objective(self, network: nn.Module) -> nn.Module | None:
        """What trains its network alone, where that is more than L1 of the output; None: it is no more.

        A module that holds `network`, called with lq (B,C,h,w), gt (B,C,h*scale,w*scale) in [0,1] and the progress of
        the stage, from 0 at its first update to 1 at its last. It returns weighted losses by name, means over tiles,
        whose sum is made small. What grows, cools or is pruned with progress stands in buffers of the network, so
        that a checkpoint, a moving average and a weights file hold it too.
        """
        return None

    def exits(self) -> int:
        """After how many of its blocks its network, which is then a `EarlyExit`, may be left; 0: it may not be."""
        return 0

    def fuse(self) -> Backbone | None:
        """The backbone that computes the same by fewer convolutions, itself where it is that one; None: there is none.

        Where the network of this one has an nn.ModuleList of parallel convolutions, which read the same and are added,
        that of the other has under the same name the one nn.Conv2d that is their sum; all else is equal in both.
        """
        return None


class EarlyExit(ABC):
    """Mixed into the nn.Module of a backbone that runs block after block and can make its image after any of them.

    forward is to enter, to advance through every block from 0, and to leave. Left after k blocks it computes what the
    network of k blocks does that has the same weights.
    """

    @abstractmethod
    def forward_stem(self, lq: Tensor) -> tuple[Tensor, ...]:
        """What the first block reads of lq (B,C,h,w), each of B rows: the features, and whatever else is needed later.

        The features come first, here and after every block: (B,F,h',w'), of one shape all along.
        """

    @abstractmethod
    def forward_block(self, state: tuple[Tensor, ...], block: int) -> tuple[Tensor, ...]:
        """What there is after that block, made from what there was before it, which stays as it is."""

    @abstractmethod
    def forward_head(self, state: tuple[Tensor, ...], lq: Tensor) -> Tensor:
        """The image (B,C,h*scale,w*scale), from what there is after any block and lq (B,C,h,w)."""


class Adaptive(ABC):
    """Mixed into the nn.Module of a backbone that decides by itself how much of a tile to compute: masks, exits.

    Its forward stays a static graph, which costs the same for every tile and which every runtime can run. As trained,
    and until `set_budget` is called, `adapt` gives the same image.
    """

    @abstractmethod
    def adapt(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        """Restore tiles (B,C,h,w) in [0,1], computing on each only what it needs.

        Gives (B,C,s*h,s*w), and the multiply-adds that were really spent on each tile: (B,), int64, counted as
        `lowvision.multiply_adds` counts.
        """

    @abstractmethod
    def set_budget(self, share: float, lq: Tensor, gt: Tensor) -> None:
        """From now on `adapt` spends this share of forward's multiply-adds, in the mean over tiles like these.

        lq (N,C,h,w) and gt (N,C,s*h,s*w) in [0,1] are tiles of photographs that nothing was trained on. Where the share
        cannot be met, the nearest one below it that can; the least there is where that is dearer. What is set stands in
        buffers of the network, finite numbers that another network with the same weights takes over.
        """


class Classifier(Options, ABC):
    """A network that tells how hard a tile is, before it is built."""

    trained: ClassVar[bool] = True
    """Whether stages train it; one that they do not is fitted to tiles by `fit`."""
    predicts: ClassVar[Literal["class", "psnr", "error"]] = "class"
    """What its answers are: logits of classes, the PSNR in dB that each branch would reach, or minus its mean squared
    error, which over tiles adds up to that of the image."""

    @abstractmethod
    def build(self, task: Task, classes: int) -> nn.Module:
        """A network (B,C,h,w) in [0,1] -> logits (B,classes), class 0 the simplest."""

    def fit(self, network: nn.Module, tiles: Tensor, psnr: Tensor) -> None:
        """Set what a network of its own making has instead of learned weights, in place; by default there is nothing.

        tiles: (N,C,h,w) in [0,1], of photographs that nothing was trained on. psnr: (N,classes), what each branch
        reaches on each of them, in dB.
        """
        return


class Reducer(Options, ABC):
    """A function from a backbone to a smaller one."""

    @abstractmethod
    def reduce(self, backbone: Backbone, level: int | float | str) -> Backbone:
        """The backbone at `level`. Raises ValueError where the backbone has no such knob or level."""

    def reduce_trained(self, backbone: Backbone, level: int | float | str, network: nn.Module) -> Backbone:
        """The backbone at `level` that a trained `network` of it leads to; by default what it has learned is not asked.

        For what weights alone can tell, as which blocks a search has left; `reduce` may then refuse every level.
        Changes nothing. Raises ValueError as `reduce` does.
        """
        return self.reduce(backbone, level)

    def inherit(self, larger: nn.Module, smaller: nn.Module) -> bool:
        """Start a reduced network from the trained one that it is a smaller form of; True where that was done.

        `smaller` is freshly built, and changed in place. By default it is left as it is: it starts from noise.
        """
        return False


@dataclass(frozen=True)
class Photo:
    """One photograph of a data set: its name (unique in the set) and its files."""

    name: str
    gt: Path
    lq: Path | None = None
    """The degraded image where it exists as a file; otherwise the task makes it."""


class Dataset(Options, ABC):
    """A named set of photographs and what is done to each before it counts as ground truth."""

    downscale: float = Field(default=1.0, ge=1.0)
    """Shrink every photograph by this factor first (antialiased bicubic); 2 for soft photographs."""
    longer_side: int | None = Field(default=None, ge=1)
    """Shrink photographs whose longer side exceeds this many pixels to it (antialiased bicubic)."""
    scales: tuple[float, ...] = (1.0,)
    """Sizes at which every photograph is used besides its own; the paper trains at 1, 0.9, 0.8, 0.7, 0.6."""

    @abstractmethod
    def photos(self) -> tuple[Photo, ...]:
        """The photographs in a fixed order. Raises DataError where there are none."""


class Weights(Options, ABC):
    """A weights file that a plugin carries, for all who have no recipe of their own: its docstring says what for."""

    default: ClassVar[bool] = False
    """Whether `lowvision restore` takes it where none is named; one of all that are installed may say so."""

    @abstractmethod
    def path(self) -> Path:
        """The file, in lowvision's own format, on this machine already: nothing is downloaded."""


class Trained(ABC):
    """A trained network, in whichever form a runtime wants it."""

    @abstractmethod
    def module(self) -> nn.Module:
        """The network in eval(), float32, on the CPU; the caller's own copy.

        Raises WeightsError where only a graph was kept, as in an exported package.
        """

    def folded(self) -> nn.Module:
        """As `module`, its end rearranged so that a CPU is faster with it, where that is known: the same function."""
        return self.module()

    @abstractmethod
    def onnx(self) -> Path:
        """A self-contained ONNX file: one input and one output, of dynamic batch, height and width.

        Height and width are those of a tile where the network can be traced for one size alone.

        May take seconds when it is first asked for. Raises WeightsError where the network cannot be exported.
        """

    def unfolded(self) -> Trained:
        """The same with nothing rearranged, neither folded nor in its graph: for comparisons."""
        return self


class Runtime(Options, ABC):
    """What runs a trained network."""

    batch: int = Field(default=4, ge=1)
    """How many tiles of one shape it likes to be given at a time; on CPUs more would leave the cache."""
    precision: Precision = "f32"
    """What convolutions and products are computed in; images, and what is added to them, stay float32. A runtime that
    knows one alone narrows the type."""

    @abstractmethod
    def missing(self) -> str | None:
        """Why it cannot be used on this machine, and the way out; None: it can. Imports nothing heavy to know."""

    @abstractmethod
    def prepare(self, network: Trained, callers: int, device: str) -> Callable[[Tensor], Tensor]:
        """The network as a function of float32 tensors (B,C,h,w), on the CPU or on `device`, to its output.

        Any shape may come, few different ones will. Up to `callers` threads call it at once; each call then works
        on 1/callers of the cores, and its output stays as it is when the same thread calls again. `device` is
        `cpu`, `cuda` or `mps`. Raises RunError for a device that it does not know.
        """


@dataclass(frozen=True)
class Part:
    """A network that a format recognised in a file: what builds it, and its weights."""

    choice: Options | str | Mapping[str, Any]
    """The backbone or classifier that builds it: its options, or as a recipe would name it (`carn`,
    `{"carn": {"channels": 64}}`), which works across plugins."""
    state: Mapping[str, Tensor]
    """All of its tensors, under the names that they have in the file."""
    names: Mapping[str, str] = field(default_factory=dict)
    """From a name in the file to the name in the network that is built; a name that is not in here is the same."""


@dataclass(frozen=True)
class Recognised:
    """What a format found in a file: a network, or a classifier and branches."""

    task: Options | str | Mapping[str, Any]
    """The task, as `Part.choice` tells a network."""
    branches: tuple[Part, ...]
    """Cheapest first; a single network is the only one."""
    classifier: Part | None = None
    """Absent where there is a single network."""
    tile: tuple[int, int] | None = None
    """Size of a tile, and overlap, in LQ pixels; None: as lowvision does it unless told otherwise."""


class Format(Options, ABC):
    """A layout of weights files that another program writes."""

    general: ClassVar[bool] = False
    """Whether it knows so many layouts that it is asked only about files that no other format knows."""

    @abstractmethod
    def recognise(self, state: Mapping[str, Tensor]) -> Recognised | None:
        """What these tensors of a file, by name, are the weights of; None: they are of another layout.

        Tensors that no network is to have are left out of `Part.state`; names that are too many or too few need not
        be looked for, the caller tells them. Raises ValueError, with the reason, for what is of this layout but
        cannot be taken over.
        """
