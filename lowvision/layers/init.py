"""Initialisation: Kaiming, scaled fusible blocks and residual branches, a zero-mean first, a near-zero last layer."""

from __future__ import annotations

from math import prod, sqrt

import torch
from torch import Tensor, nn

from lowvision.layers.reparam import Fusible

WEAK = 0.1
"""Scale of the last convolution of a residual branch, relative to Kaiming."""
QUIET = 0.3
"""Scale of the first layer of a network with a skip, relative to Kaiming."""
FAINT = 1e-3
"""Standard deviation of the weights of the last layer."""
TOLERANCE = 1e-3
"""Relative error of the standard deviation of a fused weight."""
ATTEMPTS = 100
"""Largest number of times that a fusible block is scaled."""
STEP = 1 / 3
"""Exponent of the scale of each attempt, which converges for 1 to 5 convolutions in sequence."""


def init_kaiming_(network: nn.Module, slope: float = 0.0) -> None:
    """Initialise convolutions to keep the variance across a (leaky) ReLU; biases 0 (He et al. 2015)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, a=slope)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


@torch.no_grad()
def init_fused_(block: Fusible, std: float | None = None, slope: float = 0.0) -> None:
    """Scale the parameters of a block until the convolution that `fused` returns has Kaiming weights; biases 0.

    std: standard deviation of the fused weight; default: Kaiming, before a (leaky) ReLU of this slope.

    Branches add up and convolutions in sequence multiply, so Kaiming weights of each part make features grow in every
    block. All trainable parameters are scaled alike. On the meta device nothing is scaled. Raises ValueError if `fused`
    returns no convolution, or if constant parts of the block prevent the standard deviation.
    """
    parameters = _parameters(block)
    if any(parameter.is_meta for parameter in parameters.values()):
        return
    biases = {name for name in parameters if name.rpartition(".")[2] == "bias"}
    for name in biases:
        parameters[name].zero_()
    scaled = [parameters[name] for name in parameters.keys() - biases]
    for _ in range(ATTEMPTS):
        weight = _fused_weight(block)
        target = sqrt(2 / ((1 + slope**2) * prod(weight.shape[1:]))) if std is None else std
        reached = weight.double().std().item()
        if abs(reached - target) <= TOLERANCE * target:
            return
        if not 0 < reached < float("inf"):
            break
        for parameter in scaled:
            parameter.mul_((target / reached) ** STEP)
    raise ValueError(
        f"{type(block).__name__}: the standard deviation of its fused weight stays at {reached:.2g} instead of "
        f"{target:.2g}; start from weights that are finite and not 0, and add no constant kernels"
    )


def _parameters(block: Fusible) -> dict[str, nn.Parameter]:
    """Return the trainable parameters by name."""
    assert isinstance(block, nn.Module)  # Fusible is a mixin
    return {name: parameter for name, parameter in block.named_parameters() if parameter.requires_grad}


def _fused_weight(block: Fusible) -> Tensor:
    with torch.random.fork_rng(devices=[]):  # a new convolution draws weights; later layers must not depend on that
        convolution = block.fused()
    if not isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d):
        raise ValueError(
            f"{type(block).__name__}: `fused` returns a {type(convolution).__name__}, not a convolution; initialise "
            "its parts instead"
        )
    return convolution.weight


def scale_residual_(residual_end: nn.Conv2d) -> None:
    """Scale the last convolution of a residual branch by 0.1; otherwise every block doubles the variance."""
    with torch.no_grad():
        residual_end.weight.mul_(WEAK)


def init_zero_mean_(first: nn.Conv2d) -> None:
    """Make the kernels of a first layer sum to zero, so that the features of flat areas start at zero.

    For networks with a skip: the interpolation provides the colour, and the network only learns detail. If every
    feature contained brightness, the first steps of Adam would shift whole images, and hundreds more would undo that.
    Scaling the features by 0.3 makes those steps smaller still.
    """
    with torch.no_grad():
        first.weight.sub_(first.weight.mean(dim=(2, 3), keepdim=True)).mul_(QUIET)  # (channels, colours, k, k)


def init_near_zero_(last: nn.Conv2d | nn.ConvTranspose2d | Fusible) -> None:
    """Initialise a last layer near zero, so that a network with a skip starts at the interpolation.

    The parameters of a fusible layer are scaled, until the convolution that `fused` returns is near zero.

    Dong et al. 2016 (FSRCNN) initialise their transposed convolution like this. Only the last layer may be near zero:
    if all layers are, the gradient falls below Adam's epsilon and the network never leaves the interpolation.
    """
    if isinstance(last, Fusible):
        init_fused_(last, std=FAINT)
        return
    nn.init.normal_(last.weight, std=FAINT)
    if last.bias is not None:
        nn.init.zeros_(last.bias)
