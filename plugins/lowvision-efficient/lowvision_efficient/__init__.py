"""Efficient networks for super-resolution and for tasks that keep the size: DISP, SPAN, PlainUSR, RLFN, BSRN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from lowvision import Backbone, Format, Recognised, Skip, Task, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

Colour = tuple[float, float, float]
"""R, G, B."""
DIV2K_MEAN: Colour = (0.4488, 0.4371, 0.4040)
"""Mean colour of the DIV2K training photographs, in [0,1]."""
Form = Literal["plain", "branches"]
"""One 3x3 convolution, or the four convolutions of SPAN's training form."""
Size = Literal["U", "T", "S", "M", "B", "L"]
"""Sizes of PlainUSR, smallest first."""


class DISP(Backbone):
    """Residual blocks of four 3x3 convolutions with SiLU; the default is the network of NTIRE 2026 ESR, team 18."""

    channels: int = Field(default=32, ge=1)
    """Feature channels."""
    layers: int = Field(default=4, ge=1)
    """Number of residual blocks of four convolutions."""
    unshuffle: int = Field(default=1, ge=1, le=8)
    """Pixel-unshuffle factor of the input: 2 computes at half its size, the cheaper way where the output is no larger
    (FFDNet, Zhang et al., TIP 2018)."""
    skip: Skip = "none"
    """Interpolation of the input that is added to the output."""

    @property
    def multiple_of(self) -> int:  # type: ignore[override]  # it depends on an option
        return self.unshuffle

    def build(self, task: Task) -> nn.Module:
        from lowvision_efficient.disp import Network

        return Network(
            colours=task.channels,
            scale=task.scale,
            channels=self.channels,
            layers=self.layers,
            unshuffle=self.unshuffle,
            skip=self.skip,
        )

    def reach(self, task: Task) -> int:
        # Head; four per block; the convolution before the shuffle: cells of unshuffle x unshuffle pixels.
        return self.unshuffle * (1 + 4 * self.layers + 1) + self.unshuffle - 1


class SPAN(Backbone):
    """Blocks with parameter-free attention (Wan et al., CVPRW 2024); the default has 48 channels."""

    channels: int = Field(default=48, ge=1)
    """Feature channels: 28, 48 and 52 are the authors' networks."""
    layers: int = Field(default=6, ge=1)
    """Number of blocks of three convolutions."""
    form: Form = "plain"
    """`branches` trains four convolutions instead of each 3x3 convolution, into which they are fused after training."""
    mean: Colour = DIV2K_MEAN
    """Mean colour, subtracted from the input; grey images use its average."""
    skip: Skip = "none"
    """Interpolation of the input that is added to the output."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_efficient.span import Network

        return Network(
            colours=task.channels,
            scale=task.scale,
            channels=self.channels,
            layers=self.layers,
            branches=self.form == "branches",
            mean=self.mean,
            skip=self.skip,
        )

    def reach(self, task: Task) -> int:
        # Head; three per block; the end of the blocks; the convolution before the shuffle.
        return 1 + 3 * self.layers + 2

    def fuse(self) -> SPAN:
        return self.replace(form="plain")


class RLFN(Backbone):
    """Residual blocks with spatial attention (Kong et al., CVPRW 2022); the default is RLFN-S."""

    channels: int = Field(default=48, ge=1)
    """Feature channels: 48 for RLFN-S, 52 for RLFN."""
    layers: int = Field(default=6, ge=1)
    """Number of residual blocks of three convolutions."""
    hidden: int = Field(default=16, ge=1)
    """Channels inside the attention."""
    skip: Skip = "none"
    """Interpolation of the input that is added to the output."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_efficient.rlfn import Network

        return Network(
            colours=task.channels,
            scale=task.scale,
            channels=self.channels,
            layers=self.layers,
            hidden=self.hidden,
            skip=self.skip,
        )

    def reach(self, task: Task) -> None:
        # The attention is resized to the input.
        return None


class BSRN(Backbone):
    """Distillation blocks of blueprint separable convolutions (Li et al., CVPRW 2022)."""

    channels: int = Field(default=64, ge=2)
    """Feature channels; each step of a block distils half of them."""
    layers: int = Field(default=8, ge=1)
    """Number of distillation blocks."""
    skip: Skip = "none"
    """Interpolation of the input that is added to the output."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_efficient.bsrn import Network

        return Network(
            colours=task.channels,
            scale=task.scale,
            channels=self.channels,
            layers=self.layers,
            skip=self.skip,
        )

    def reach(self, task: Task) -> None:
        # Spatial attention is resized to the input, channel attention averages over it.
        return None


PRESETS: Mapping[Size, Mapping[str, Any]] = {
    "U": {"channels": 16, "narrower": (8,), "layers": 3, "convolutions": 2, "attention": "local", "hidden": 1},
    "T": {"channels": 32, "narrower": (16,), "layers": 3, "convolutions": 2, "attention": "local", "hidden": 1},
    "S": {"channels": 32, "narrower": (16, 8), "layers": 5, "convolutions": 2, "attention": "pooled", "hidden": 4},
    "M": {"channels": 48, "narrower": (32, 16), "layers": 5, "convolutions": 2, "attention": "pooled", "hidden": 8},
    "B": {"channels": 64, "narrower": (48, 32), "layers": 5, "convolutions": 2, "attention": "pooled", "hidden": 16},
    "L": {"channels": 80, "narrower": (64, 48), "layers": 5, "convolutions": 3, "attention": "pooled", "hidden": 16},
}
"""Options of each size of PlainUSR, as its authors chose them."""


def preset(option: str) -> Callable[[dict[str, Any]], Any]:
    """Make a function from the options validated so far to the value of `option` in their size."""
    return lambda validated: PRESETS[validated.get("size", "M")][option]


class PlainUSR(Backbone):
    """Convolutions on ever fewer channels (Wang et al., ACCV 2024), in six sizes."""

    size: Size = "M"
    """Default of every other option."""
    channels: int = Field(default_factory=preset("channels"), ge=1)
    """Feature channels, the width of the first and last block; by default those of `size`."""
    layers: int = Field(default_factory=preset("layers"), ge=1)
    """Number of blocks, which are narrower towards the middle; by default that of `size`."""
    narrower: tuple[int, ...] | None = None
    """Channels of the second block, the third and so on up to the middle block; by default in the proportions of
    `size`."""
    convolutions: int = Field(default_factory=preset("convolutions"), ge=1)
    """Convolutions per block; by default those of `size`."""
    attention: Literal["local", "pooled"] = Field(default_factory=preset("attention"))
    """`local`: by a convolution, in all blocks except the outermost; `pooled`: by a map of the whole input, in all
    blocks. By default that of `size`."""
    hidden: int = Field(default_factory=preset("hidden"), ge=1)
    """Channels inside a pooled attention; by default those of `size`."""
    skip: Skip = "none"
    """Interpolation of the input that is added to the output."""

    @model_validator(mode="after")
    def _narrows(self) -> Self:
        widths = self._levels()
        if min(widths) < 1 or list(widths) != sorted(widths, reverse=True):
            raise ValueError(
                f"channels {self.channels} and narrower {list(widths[1:])} must not grow and be at least 1; "
                "leave narrower out for the proportions of the size"
            )
        return self

    def widths(self) -> tuple[int, ...]:
        """Return the channels that each block works on."""
        levels = self._levels()
        depths = (min(k, self.layers - 1 - k) for k in range(self.layers))
        return tuple(levels[min(depth, len(levels) - 1)] for depth in depths)

    def build(self, task: Task) -> nn.Module:
        from torch import nn

        from lowvision_efficient.plainusr import Block, LocalAttention, Network, PooledAttention

        def attention(width: int, number: int) -> nn.Module:
            if self.attention == "pooled":
                return PooledAttention(width, self.hidden)
            return LocalAttention(width) if self._is_attended(number) else nn.Identity()

        return Network(
            colours=task.channels,
            scale=task.scale,
            channels=self.channels,
            blocks=[Block(width, self.convolutions, attention(width, k)) for k, width in enumerate(self.widths())],
            skip=self.skip,
        )

    def reach(self, task: Task) -> int | None:
        # Pooled attention is resized to the input. Otherwise: the head, the blocks, the convolution before the shuffle.
        if self.attention == "pooled":
            return None
        return 1 + self.layers * self.convolutions + sum(map(self._is_attended, range(self.layers))) + 1

    def _is_attended(self, number: int) -> bool:
        return self.attention == "pooled" or 0 < number < self.layers - 1

    def _levels(self) -> tuple[int, ...]:
        """Widths from the outermost block to the middle one."""
        if self.narrower is not None:
            return self.channels, *self.narrower
        sizes = PRESETS[self.size]
        widths = (max(1, round(self.channels * width / sizes["channels"])) for width in sizes["narrower"])
        return self.channels, *widths


class DISPFile(Format):
    """Files of DISP's authors: fused convolutions."""

    def recognise(self, state: Mapping[str, Tensor]) -> Recognised | None:
        from lowvision_efficient.authors import disp

        return complete(lambda: disp.recognise(state))


class SPANFile(Format):
    """Files of SPAN's authors, and ncnn files of SPAN: fused convolutions, training branches, or both."""

    form: Form = "plain"
    """`plain` folds training branches into one convolution each; `branches` keeps them, for further training."""

    def recognise(self, state: Mapping[str, Tensor]) -> Recognised | None:
        from lowvision_efficient.authors import span

        return complete(lambda: span.recognise(state, self.form))


class PlainUSRFile(Format):
    """Files of PlainUSR's authors: fused networks of six sizes."""

    def recognise(self, state: Mapping[str, Tensor]) -> Recognised | None:
        from lowvision_efficient.authors import plainusr

        return complete(lambda: plainusr.recognise(state))


class RLFNFile(Format):
    """Files of RLFN's authors."""

    white: float = Field(default=255.0, gt=0)
    """Value of white in the pixels that the network was trained on: 255 in the authors' code, 1 in some other code."""

    def recognise(self, state: Mapping[str, Tensor]) -> Recognised | None:
        from lowvision_efficient.authors import rlfn

        return complete(lambda: rlfn.recognise(state, self.white))


class BSRNFile(Format):
    """Files of BSRN's authors."""

    def recognise(self, state: Mapping[str, Tensor]) -> Recognised | None:
        from lowvision_efficient.authors import bsrn

        return complete(lambda: bsrn.recognise(state))


def complete(recognise: Callable[[], Recognised | None]) -> Recognised | None:
    """Call `recognise`; convert its KeyError for a missing tensor to a ValueError."""
    try:
        return recognise()
    except KeyError as missing:
        raise ValueError(f"{missing.args[0]} is missing") from None


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"disp": DISP, "span": SPAN, "plainusr": PlainUSR, "rlfn": RLFN, "bsrn": BSRN}


@hookimpl
def lowvision_formats() -> Mapping[str, type[Format]]:
    return {
        "disp_file": DISPFile,
        "span_file": SPANFile,
        "plainusr_file": PlainUSRFile,
        "rlfn_file": RLFNFile,
        "bsrn_file": BSRNFile,
    }
