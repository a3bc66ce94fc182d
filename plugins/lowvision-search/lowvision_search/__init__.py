"""Search for a smaller network while it is trained: which blocks, which kernels, how wide, for a wanted cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from lowvision import Backbone, Options, Reducer, Skip, Task, hookimpl

if TYPE_CHECKING:
    from torch import nn

QUARTERS = 4
"""The widths among which is searched: so many parts of the channels."""
Kernels = tuple[Literal[1, 3], Literal[1, 3]]
"""Height and width of the kernels of the two convolutions of a block."""


class Supernet(Backbone):
    """Residual blocks among whose paths, kernels and widths training chooses (after Wu et al. 2021, Trilevel NAS)."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)

    channels: int = Field(default=64, ge=QUARTERS, multiple_of=QUARTERS)
    """Feature channels at full width, between the blocks and inside each; a quarter of them is the least."""
    layers: int = Field(default=8, ge=1)
    """Residual blocks, of which the search may leave out any."""
    cost: float = Field(default=0.5, gt=0, le=1)
    """The wanted cost, as a share of that of all blocks with 3x3 kernels at full width."""
    mu: float = Field(default=0.3, ge=0)
    """Weight of the distance between the expected and the wanted cost, against L1 of the image."""
    settled: float = Field(default=0.75, gt=0, le=1)
    """The progress of the stage at which everything is decided; what is left trains the weights of what was found."""
    skip: Skip = "none"
    """The interpolation of the input that is added to the output."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_search.supernet import Network

        return Network(
            colours=task.channels,
            scale=task.scale,
            channels=self.channels,
            layers=self.layers,
            skip=self.skip,
        )

    def reach(self, task: Task) -> int:
        return 2 + 2 * self.layers

    def objective(self, network: nn.Module) -> nn.Module:
        from lowvision_search.searching import Search

        return Search(network, cost=self.cost, mu=self.mu, settled=self.settled)


class Block(Options):
    """A residual block: two convolutions, and ReLU between them."""

    channels: int = Field(default=64, ge=1)
    """Channels between the two."""
    kernels: Kernels = (3, 3)
    """Height and width of the kernels of the two."""


class Searched(Backbone):
    """Residual blocks, each with a width and kernels of its own: what a search finds, without gates."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)

    channels: int = Field(default=64, ge=1)
    """Feature channels between the blocks."""
    blocks: tuple[Block, ...] = (Block(),) * 8
    """The blocks, in their order; the default is the whole of the default supernet."""
    skip: Skip = "none"
    """The interpolation of the input that is added to the output."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_search.searched import Network

        return Network(
            colours=task.channels,
            scale=task.scale,
            channels=self.channels,
            blocks=[(block.channels, block.kernels) for block in self.blocks],
            skip=self.skip,
        )

    def reach(self, task: Task) -> int:
        return 2 + sum(kernel // 2 for block in self.blocks for kernel in block.kernels)


class Search(Reducer):
    """What training left of a supernet, without all that it closed; the level is the word `found`."""

    def reduce(self, backbone: Backbone, level: int | float | str) -> Backbone:
        _require(backbone, level)
        raise ValueError(
            "what a search finds stands in trained weights; let `lowvision convert WEIGHTS -o OUT --reduce "
            "'{search: found}'` read it there, and name OUT in a recipe as {weights: OUT}"
        )

    def reduce_trained(self, backbone: Backbone, level: int | float | str, network: nn.Module) -> Backbone:
        from lowvision_search.finding import found

        supernet = _require(backbone, level)
        channels, blocks = found(network)
        chosen = tuple(Block(channels=width, kernels=kernels) for width, kernels in blocks)
        return Searched(channels=channels, blocks=chosen, skip=supernet.skip)

    def inherit(self, larger: nn.Module, smaller: nn.Module) -> bool:
        from lowvision_search.finding import hand_down

        return hand_down(larger, smaller)


def _require(backbone: Backbone, level: int | float | str) -> Supernet:
    """The backbone, which must be a supernet. Raises ValueError where it is none, or the level is another."""
    if not isinstance(backbone, Supernet):
        raise ValueError(f"{type(backbone).__name__} is no supernet; a search is trained as one")
    if level != "found":
        raise ValueError(f"give the word found, not {level!r}; the supernet's option `cost` says how small")
    return backbone


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"supernet": Supernet, "searched": Searched}


@hookimpl
def lowvision_reducers() -> Mapping[str, type[Reducer]]:
    return {"search": Search}
