"""Description of a spandrel network, sufficient to build it again. The only module that imports spandrel."""

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

MAX_BUFFER_SIZE = 4096
"""Upper bound, exclusive, of the elements of a buffer whose values are stored in a layout."""
TRIES = 4
"""Attempts with 0, 1, 2, ... buffers whose values are stored: DAT writes its window size into its first buffer."""
CHANNELS = (1, 3)
"""Grey and RGB: what lowvision restores."""
REACHES: Mapping[str, Callable[[Mapping[str, Any]], int | None]] = {
    # A sequence of 3x3 convolutions and a nearest-neighbour skip.
    "Compact": lambda options: options["num_conv"] + 2,
    # Fifteen 3x3 convolutions per block, one before and one after the blocks, the rest at larger sizes (x4 at most).
    "ESRGAN": lambda options: (15 * options["num_blocks"] + 4) * (options["shuffle_factor"] or 1),
    # One 3x3 convolution, three per block of six, and two more.
    "SPAN": lambda options: 21,
    "DnCNN": lambda options: options["nb"],
    # Each block: two 3x3 convolutions and a larger one. A sequence of four 3x3 convolutions surrounds the blocks.
    "MoSR": lambda options: (
        4 + options["n_block"] * (2 + options["kernel_size"] // 2) if options["upsampler"] == "ps" else None
    ),
    # Each block: one or two 3x3 convolutions, a larger one, and an attention by a 3x3 convolution.
    "PLKSR": lambda options: (
        2 + options["n_blocks"] * (_mixer(options) + options["kernel_size"] // 2 + options["use_ea"])
        if options.get("lk_type") == "PLK"  # RealPLKSR, which normalises over the whole input, has no such option
        else None
    ),
    # 9x9, two 3x3 per block, one after them, one before the first upsampling; the rest is at larger sizes.
    "SwiftSRGAN": lambda options: 8 + 2 * options["num_blocks"] if options["upscale_factor"] in (2, 4) else None,
}
"""Receptive field (radius in LQ pixels) of networks that consist of convolutions only, by the name of the architecture.

Tests compare them with gradients; PLKSR and MoSR with other kernels follow the formula only. Architectures that are not
listed see their whole input, attend within windows, or were not measured: their tiles are restored one by one."""


def _mixer(options: Mapping[str, Any]) -> int:
    """Return the number of 3x3 convolutions in PLKSR's channel mixer."""
    return 2 if options["ccm_type"] == "DCCM" else 1


@dataclass(frozen=True)
class Blueprint:
    """A spandrel network without weights."""

    architecture: str
    """Name in spandrel, e.g. `ESRGAN`."""
    name: str
    """Name with the tags of its variant, e.g. `ESRGAN 64nf 23nb x4`."""
    make: type[nn.Module]
    hyperparameters: Mapping[str, Any]
    """Arguments of `make`."""
    call: Callable[[nn.Module, Tensor], Tensor]
    """Call the network: some need more arguments than an image, or return more than one."""
    scale: int
    channels: int
    sizes: SizeRequirements
    """Requirements on height and width of the input."""

    @property
    def reach(self) -> int | None:
        """Return the receptive field as a radius in LQ pixels; None if it is unknown."""
        count = REACHES.get(self.architecture)
        return count(self.hyperparameters) if count else None

    def same_as(self, other: Blueprint) -> bool:
        """Return True if both blueprints build the same network."""
        keys = [(b.make, repr(b.hyperparameters), b.scale, b.channels, b.sizes) for b in (self, other)]
        return keys[0] == keys[1]


@dataclass(frozen=True)
class Detected:
    """A network that spandrel recognised in a state dict."""

    blueprint: Blueprint
    layout: str
    """Layout from which spandrel recognises it again."""
    state: Mapping[str, Tensor]
    """Its weights, by the network's names."""


def detect(state: Mapping[str, Tensor]) -> Detected | None:
    """Return the network that spandrel recognises in a state dict, if any.

    Raises ValueError for a recognised network that lowvision cannot use, or whose options follow from the values of its
    weights.
    """
    descriptor = _load(state)
    if descriptor is None:
        return None
    blueprint, weights = _blueprint(descriptor), descriptor.model.state_dict()
    buffers = sorted(
        name
        for name, buffer in descriptor.model.named_buffers()
        if name in weights and buffer.is_floating_point() and buffer.numel() < MAX_BUFFER_SIZE
    )
    for kept in ([], *(buffers[:count] for count in range(1, TRIES))):
        for candidate in (weights, canonicalize_state_dict(dict(state))):
            layout = layouts.pack(candidate, kept)
            if _builds(layout, blueprint):
                return Detected(blueprint, layout, weights)
    raise ValueError(
        f"{blueprint.name}: its options follow from its weights, not from their shapes, and cannot be stored"
    )


@functools.lru_cache(maxsize=32)
def read(layout: str) -> Blueprint:
    """Return the network that spandrel recognises by the tensors of `layout`. Raises ValueError if there is none."""
    descriptor = _load(layouts.unpack(layout))
    if descriptor is None:
        raise ValueError("spandrel recognises no network in this layout; install the version that wrote it")
    return _blueprint(descriptor)


def _load(state: Mapping[str, Tensor]) -> Any | None:
    """Return spandrel's descriptor of a state dict, which is not modified; None if it recognises nothing."""
    try:
        with torch.device("cpu"):  # constructors read values, which the meta device does not have
            return MAIN_REGISTRY.load(canonicalize_state_dict(dict(state)))
    except UnsupportedModelError:
        return None
    except Exception as error:  # spandrel detects by a few names only and fails on other networks in many ways
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"spandrel detects a network that it cannot build: {reason}") from None


def _builds(layout: str, expected: Blueprint) -> bool:
    """Return True if spandrel recognises the expected network in a layout."""
    try:
        return read(layout).same_as(expected)
    except ValueError:
        return False


def _blueprint(descriptor: Any) -> Blueprint:
    """Return the blueprint of a network that maps images to images. Raises ValueError for any other."""
    name = " ".join([descriptor.architecture.id, *descriptor.tags, f"x{descriptor.scale}"])
    inputs, outputs = descriptor.input_channels, descriptor.output_channels
    if not isinstance(descriptor, ImageModelDescriptor):
        raise ValueError(f"{name} is an inpainting network, which needs a mask in addition to the image")
    if inputs != outputs or inputs not in CHANNELS:
        raise ValueError(f"{name} maps {inputs} channels to {outputs}; lowvision restores grey or RGB")
    if descriptor.size_requirements.square:
        raise ValueError(f"{name} supports only square images")
    return Blueprint(
        architecture=descriptor.architecture.id,
        name=name,
        make=type(descriptor.model),
        hyperparameters=descriptor.model.hyperparameters,  # spandrel stores them with every network
        # The descriptor's `__call__` is for inference only and does not propagate gradients.
        call=descriptor._call_fn,
        scale=descriptor.scale,
        channels=inputs,
        sizes=descriptor.size_requirements,
    )
