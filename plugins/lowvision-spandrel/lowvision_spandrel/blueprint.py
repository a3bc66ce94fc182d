"""What spandrel knows of a network: enough to build it anew. The one door to spandrel."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from spandrel import (
    MAIN_REGISTRY,
    ImageModelDescriptor,
    SizeRequirements,
    UnsupportedModelError,
    canonicalize_state_dict,
)
from torch import Tensor, nn

from lowvision_spandrel import layout as layouts

MANY = 4096
"""Numbers of the largest buffer whose values are kept in a layout."""
TRIES = 4
"""So many buffers are tried, less one: DAT writes the size of its windows into its first."""
CHANNELS = (1, 3)
"""Grey and RGB: what lowvision restores."""
REACHES: Mapping[str, Callable[[Mapping[str, Any]], int]] = {
    # 3x3 convolutions one after the other, and a nearest-neighbour skip.
    "Compact": lambda options: options["num_conv"] + 2,
    # Fifteen 3x3 convolutions a block, one on each side of them, and at most five at the size of the output of x4.
    "ESRGAN": lambda options: (15 * options["num_blocks"] + 4) * (options["shuffle_factor"] or 1),
}
"""The reach of networks that are nothing but convolutions."""


@dataclass(frozen=True)
class Blueprint:
    """A network of spandrel's, without weights."""

    architecture: str
    """As spandrel calls it, such as `ESRGAN`."""
    name: str
    """With what tells it from others of its architecture, such as `ESRGAN 64nf 23nb x4`."""
    make: type[nn.Module]
    hyperparameters: Mapping[str, Any]
    """What `make` is given."""
    call: Callable[[nn.Module, Tensor], Tensor]
    """Runs the network: some want more than an image, or give more than one."""
    scale: int
    channels: int
    sizes: SizeRequirements
    """What spandrel says of the height and width of its input."""

    @property
    def reach(self) -> int | None:
        """How many LQ pixels in each direction an output pixel sees, where that is known; None: it is not."""
        count = REACHES.get(self.architecture)
        return count(self.hyperparameters) if count else None

    def same_as(self, other: Blueprint) -> bool:
        """Whether both build the same network."""
        kinds = [(b.make, repr(b.hyperparameters), b.scale, b.channels, b.sizes) for b in (self, other)]
        return kinds[0] == kinds[1]


@dataclass(frozen=True)
class Found:
    """A network that spandrel recognised in a state."""

    blueprint: Blueprint
    layout: str
    """From which spandrel recognises it again."""
    state: Mapping[str, Tensor]
    """Its weights, under the network's own names."""


def of(state: Mapping[str, Tensor]) -> Found | None:
    """What spandrel recognises in a state; None: nothing.

    Raises ValueError for a network that is recognised, but is none that restores images as lowvision does, or whose
    options follow from the values of its weights.
    """
    found = _recognised(state)
    if found is None:
        return None
    blueprint, own = _restoring(found), found.model.state_dict()
    numbers = sorted(
        n for n, b in found.model.named_buffers() if n in own and b.is_floating_point() and b.numel() < MANY
    )
    for kept in ([], *(numbers[:count] for count in range(1, TRIES))):
        for candidate in (own, canonicalize_state_dict(dict(state))):
            layout = layouts.pack(candidate, kept)
            if _builds(layout, blueprint):
                return Found(blueprint, layout, own)
    raise ValueError(
        f"{blueprint.name}: its options follow from its weights, not from their shapes, and cannot be kept"
    )


@functools.lru_cache(maxsize=32)
def read(layout: str) -> Blueprint:
    """The network that spandrel recognises in a layout. Raises ValueError where there is none."""
    found = _recognised(layouts.unpack(layout))
    if found is None:
        raise ValueError("spandrel recognises no network in this layout; install the version that it was made with")
    return _restoring(found)


def _recognised(state: Mapping[str, Tensor]) -> Any | None:
    """What spandrel makes of a state, which is left as it is; None: nothing."""
    try:
        with torch.device("cpu"):  # a network reads numbers while it is made, which it cannot on the meta device
            return MAIN_REGISTRY.load(canonicalize_state_dict(dict(state)))
    except UnsupportedModelError:
        return None
    except Exception as error:  # it detects by a few names alone, and stumbles over another's network in many ways
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"spandrel takes it for a network that it then cannot build: {reason}") from None


def _builds(layout: str, wanted: Blueprint) -> bool:
    """Whether spandrel recognises the wanted network in a layout."""
    try:
        return read(layout).same_as(wanted)
    except ValueError:
        return False


def _restoring(found: Any) -> Blueprint:
    """The blueprint of a network that makes images of images."""
    tags = " ".join([found.architecture.id, *found.tags, f"x{found.scale}"])
    if not isinstance(found, ImageModelDescriptor):
        raise ValueError(f"{tags} fills holes, it needs a mask beside the image")
    if found.input_channels != found.output_channels or found.input_channels not in CHANNELS:
        raise ValueError(
            f"{tags} makes {found.output_channels} channels of {found.input_channels}; lowvision restores grey or RGB"
        )
    if found.size_requirements.square:
        raise ValueError(f"{tags} takes square images alone")
    return Blueprint(
        architecture=found.architecture.id,
        name=tags,
        make=type(found.model),
        hyperparameters=found.model.hyperparameters,  # spandrel keeps them with every network
        # Its own `__call__` is for inference alone: what it gives cannot be trained through.
        call=found._call_fn,
        scale=found.scale,
        channels=found.input_channels,
        sizes=found.size_requirements,
    )
