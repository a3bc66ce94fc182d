"""The colour shift of CARN and RCAN: two 1x1 convolutions in the authors' files, a constant mean in our networks.

The convolutions are initialised to subtract and add the mean colour of DIV2K. The authors set `requires_grad = False`
on the layer, but PyTorch reads it from the weights; therefore the shifts were trained and hold arbitrary values.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lowvision_sr import DIV2K_MEAN, Colour

SUB, ADD = "sub_mean", "add_mean"
"""Layer names of the input's and the output's shift."""
SHIFT_TENSORS = {f"{layer}.{tensor}" for layer in (SUB, ADD) for tensor in ("weight", "bias")}


def fold_shifts(state: Mapping[str, Tensor], first: str, last: str, white: float) -> tuple[dict[str, Tensor], Colour]:
    """Fold the shifts into the convolutions next to them; return the state for pixels in [0,1] and the constant mean.

    first, last: names of the convolution after the input's shift and of the one before the output's. white: value of
    white in the pixels that the network was trained on. Raises KeyError if a tensor is missing, ValueError if the
    input's shift is singular.

    For an image x in [0,1] the input's shift is white A x + b = white A (x - mean), so zero padding stays zero;
    white A goes into the first convolution. The output (B y + d) / white equals mean + the output of the last one.
    """
    sub, add = (_matrix(state, layer) for layer in (SUB, ADD))  # (3, 3)
    b, d, y = (state[f"{name}.bias"].double() for name in (SUB, ADD, last))  # (3,)
    scaled_sub = white * sub
    if torch.linalg.cond(scaled_sub) > 1e6:
        raise ValueError(f"{SUB} is singular: it mixes the colours so that they cannot be separated")
    mean = -torch.linalg.solve(scaled_sub, b)
    folded = {
        f"{first}.weight": torch.einsum("nchw,cd->ndhw", state[f"{first}.weight"].double(), scaled_sub),
        f"{last}.weight": torch.einsum("dc,cnhw->dnhw", add / white, state[f"{last}.weight"].double()),
        f"{last}.bias": add @ y / white + (d / white - mean),
    }
    kept = {name: tensor for name, tensor in state.items() if name not in SHIFT_TENSORS}
    return kept | {name: tensor.float() for name, tensor in folded.items()}, _colour(mean)


def _matrix(state: Mapping[str, Tensor], layer: str) -> Tensor:
    return state[f"{layer}.weight"].double()[:, :, 0, 0]


def _colour(mean: Tensor) -> Colour:
    """Convert to a tuple; return DIV2K's mean in its few digits if it is equal in float32."""
    if torch.equal(mean.float(), torch.tensor(DIV2K_MEAN)):
        return DIV2K_MEAN
    r, g, b = mean.tolist()
    return r, g, b
