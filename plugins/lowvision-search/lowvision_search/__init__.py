"""Architecture search during training: blocks, kernels and widths for a target cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from lowvision import Backbone, ImageLoss, Options, Reducer, Skip, Task, hookimpl

if TYPE_CHECKING:
    from torch import nn

QUARTERS = 4
"""Number of widths in the search: multiples of a quarter of the channels."""
Kernels = tuple[Literal[1, 3], Literal[1, 3]]
"""Height and width of the kernels of the two convolutions of a block."""


class Supernet(Backbone):
    """Residual blocks whose paths, kernels and widths training selects (after Wu et al. 2021, Trilevel NAS)."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)

    channels: int = Field(default=64, ge=QUARTERS, multiple_of=QUARTERS)
    """Feature channels at full width, between and inside blocks; the smallest width is a quarter."""
    layers: int = Field(default=8, ge=1)
    """Number of residual blocks, which the search may remove."""
    cost: float = Field(default=0.5, gt=0, le=1)
    """Target cost, as a fraction of the cost of all blocks with 3x3 kernels at full width."""
    mu: float = Field(default=0.3, ge=0)
    """Weight of the distance between expected and target cost, relative to L1 of the image."""
    settled: float = Field(default=0.75, gt=0, le=1)
    """Fraction of the stage after which the architecture is fixed; the rest trains its weights."""
    skip: Skip = "none"
    """Interpolation of the input that is added to the output."""

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

    def objective(self, network: nn.Module, image_loss: ImageLoss) -> nn.Module:
        from lowvision_search.searching import Search

        return Search(network, image_loss, cost=self.cost, mu=self.mu, settled=self.settled)


class Block(Options):
    """A residual block: two convolutions with ReLU in between."""

    channels: int = Field(default=64, ge=1)
    """Channels between the two convolutions."""
    kernels: Kernels = (3, 3)
    """Kernel sizes of the two convolutions."""


class Searched(Backbone):
    """Residual blocks with individual widths and kernels: the result of a search, without gates."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)

    channels: int = Field(default=64, ge=1)
    """Feature channels between the blocks."""
    blocks: tuple[Block, ...] = Field(default_factory=lambda: (Block(),) * 8)
    """The blocks in order; by default those of the full default supernet."""
    skip: Skip = "none"
    """Interpolation of the input that is added to the output."""

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
    """The network that a trained supernet selected; the only level is `found`."""

    def reduce(self, backbone: Backbone, level: int | float | str) -> Backbone:
        _require_supernet(backbone, level)
        raise ValueError(
            "the result of a search is in trained weights; run `lowvision convert WEIGHTS -o OUT --reduce "
            "'{search: found}'`, and name OUT in a recipe as {weights: OUT}"
        )

    def reduce_trained(self, backbone: Backbone, level: int | float | str, network: nn.Module) -> Backbone:
        from lowvision_search.finding import selected_architecture

        supernet = _require_supernet(backbone, level)
        channels, blocks = selected_architecture(network)
        selected = tuple(Block(channels=width, kernels=kernels) for width, kernels in blocks)
        return Searched(channels=channels, blocks=selected, skip=supernet.skip)

    def inherit(self, larger: nn.Module, smaller: nn.Module) -> bool:
        from lowvision_search.finding import inherit_weights

        return inherit_weights(larger, smaller)


def _require_supernet(backbone: Backbone, level: int | float | str) -> Supernet:
    """Return the backbone, a supernet. Raises ValueError for another backbone or level."""
    if not isinstance(backbone, Supernet):
        raise ValueError(f"{type(backbone).__name__} is no supernet; train a supernet for a search")
    if level != "found":
        raise ValueError(f"the level must be found, not {level!r}; set the cost by the supernet's option `cost`")
    return backbone


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"supernet": Supernet, "searched": Searched}


@hookimpl
def lowvision_reducers() -> Mapping[str, type[Reducer]]:
    return {"search": Search}
