"""The colour shift of CARN and RCAN: two 1x1 convolutions in the authors' files, a constant mean in our networks.

They begin as minus and plus the mean colour of DIV2K. But `requires_grad = False` is set on the layer, where PyTorch
looks for it at the weights: so they are trained with the rest, and hold whatever came of it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lowvision_sr import DIV2K_MEAN, Colour

TAKEN, GIVEN = "sub_mean", "add_mean"
"""The shift of the input, and of the output."""
OF_SHIFTS = {f"{layer}.{one}" for layer in (TAKEN, GIVEN) for one in ("weight", "bias")}


def folded(state: Mapping[str, Tensor], first: str, last: str, white: float) -> tuple[dict[str, Tensor], Colour]:
    """The state without the shifts, for pixels in [0,1], and the mean that is taken and given in their stead.

    first, last: the names of the convolutions behind the one and before the other. white: its value in the pixels that
    the network was trained on. Raises KeyError where a tensor is missing, ValueError where the shift of the input
    mixes colours so that they cannot be told apart.

    Of an image x in [0,1] the first shift makes white A x + b = white A (x - mean), so the zeros around it stay zeros;
    white A goes into the first convolution. The output, (B y + d) / white, is mean + what the last one gives.
    """
    taken, given = (_matrix(state, layer) for layer in (TAKEN, GIVEN))  # (3, 3)
    b, d, y = (state[f"{name}.bias"].double() for name in (TAKEN, GIVEN, last))  # (3,)
    into = white * taken
    if torch.linalg.cond(into) > 1e6:
        raise ValueError(f"{TAKEN} mixes the colours so that they cannot be told apart")
    mean = -torch.linalg.solve(into, b)
    changed = {
        f"{first}.weight": torch.einsum("nchw,cd->ndhw", state[f"{first}.weight"].double(), into),
        f"{last}.weight": torch.einsum("dc,cnhw->dnhw", given / white, state[f"{last}.weight"].double()),
        f"{last}.bias": given @ y / white + (d / white - mean),
    }
    kept = {name: tensor for name, tensor in state.items() if name not in OF_SHIFTS}
    return kept | {name: tensor.float() for name, tensor in changed.items()}, _colour(mean)


def _matrix(state: Mapping[str, Tensor], layer: str) -> Tensor:
    return state[f"{layer}.weight"].double()[:, :, 0, 0]


def _colour(mean: Tensor) -> Colour:
    """As options have it; DIV2K's own in few digits."""
    if torch.equal(mean.float(), torch.tensor(DIV2K_MEAN)):
        return DIV2K_MEAN
    r, g, b = mean.tolist()
    return r, g, b
