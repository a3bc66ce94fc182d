"""Balanced sparsity: any backbone with equally many zero weights in every block, pruned during training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from lowvision import Backbone, ImageLoss, Reducer, Task, WrappedBackbone, hookimpl

if TYPE_CHECKING:
    from torch import nn


class Sparse(WrappedBackbone):
    """A wrapped backbone with equally many zero weights in every block (Yao et al., AAAI 2019)."""

    sparsity: float = Field(default=0.75, gt=0, lt=1)
    """Fraction of zeros in every block, rounded to whole weights; at least one weight is kept."""
    block: int = Field(default=16, ge=2)
    """Weights per block, or the nearest divisor of a row."""
    ends: bool = False
    """Prune the first and last layer, too; they read or write the image and are cheap."""
    settle: float = Field(default=0.75, gt=0, le=1)
    """Fraction of the stage after which pruning ends; the remaining weights continue to train."""

    def build(self, task: Task) -> nn.Module:
        """Build the sparse network. Raises ValueError if it has no layer to prune."""
        from lowvision_sparsity.pruning import make_sparse

        network = self.of.build(task)
        if not make_sparse(network, self.sparsity, self.block, self.ends):
            name = type(self.of).__name__
            raise ValueError(f"{name} has no layer to prune between its first and its last; set ends: true")
        return network

    def objective(self, network: nn.Module, image_loss: ImageLoss) -> nn.Module:
        from lowvision_sparsity.pruning import GradualPruning

        return GradualPruning(network, self.of.objective(network, image_loss), self.settle, image_loss)


class Sparsity(Reducer):
    """The backbone with equally many zeros in every block; a level is their fraction, 0 the backbone itself."""

    block: int = Field(default=16, ge=2)
    """Weights per block, or the nearest divisor of a row."""
    ends: bool = False
    """Prune the first and last layer, too."""
    settle: float = Field(default=0.75, gt=0, le=1)
    """Fraction of a stage after which pruning ends."""

    def reduce(self, backbone: Backbone, level: int | float | str) -> Backbone:
        if type(level) not in (int, float) or not 0 <= float(level) < 1:  # not isinstance: True is an int too
            raise ValueError(f"the level must be the fraction of zero weights, from 0 to less than 1, not {level!r}")
        share = float(level)
        if isinstance(backbone, Sparse):
            if share < backbone.sparsity:
                name, has = type(backbone.of).__name__, backbone.sparsity
                raise ValueError(
                    f"this sparse {name} has {has:g} zeros already; a reducer only makes a backbone smaller"
                )
            return backbone.replace(sparsity=share)
        if share == 0:
            return backbone
        return Sparse(of=backbone, sparsity=share, block=self.block, ends=self.ends, settle=self.settle)

    def inherit(self, larger: nn.Module, smaller: nn.Module) -> bool:
        from lowvision_sparsity.pruning import inherit

        return inherit(larger, smaller)


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"sparse": Sparse}


@hookimpl
def lowvision_reducers() -> Mapping[str, type[Reducer]]:
    return {"sparsity": Sparsity}
