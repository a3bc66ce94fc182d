"""Sparsestmax: probabilities whose sparsity a radius controls (Shao et al., CVPR 2019: Learning Sparse Switchable
Normalization via SparsestMax).

It is the point p of the simplex nearest to the logits z among those at least `radius` away from its centre u. If
sparsemax, the nearest point of all, is closer than that, p lies exactly at the radius. Then all candidates have the
same norm, and the nearest has the largest p.z: by the optimality conditions p = max(0, (z - tau) / lambda), which is
sparsemax of logits divided by a temperature lambda < 1. For a support of k alternatives tau and lambda have closed
forms.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor

EPSILON = 1e-6
"""Probabilities below this are 0: float32 does not resolve them, and at the largest radius all but one must be 0."""


def largest_radius(count: int) -> float:
    """Return the distance of the corners of the simplex of `count` alternatives from its centre."""
    return sqrt((count - 1) / count)


def sparsestmax(logits: Tensor, radius: Tensor | float) -> Tensor:
    """Return probabilities (..., K) at least `radius` away from uniform, from logits (..., K).

    Radius 0 gives sparsemax, the largest radius one-hot; a tensor (..., 1) sets it per row. Ties at the top are broken
    in favour of the first. Differentiable where the support does not change; on a support of two the radius determines
    the result, so that the gradient is 0.
    """
    count = logits.shape[-1]
    indices = torch.arange(count, dtype=logits.dtype, device=logits.device)
    ordered, order = torch.sort(logits, dim=-1, descending=True, stable=True)
    ordered = ordered - ordered[..., :1] - EPSILON * indices  # relative to the top, to keep small differences
    sizes = indices + 1  # (K,) k, one for each support
    within = (indices[:, None] >= indices).to(logits.dtype)  # (K, K) the first k of row k
    means = ordered.cumsum(-1) / sizes  # (..., K)
    offsets = within * (ordered[..., None, :] - means[..., :, None])  # (..., K, K)
    norms = (offsets.square().sum(dim=-1) + EPSILON**4).sqrt()  # (..., K) never 0, where a root has no gradient
    # At the radius ||p||^2 = radius^2 + 1/K, of which 1/k belongs to the centre of the support.
    distances = (radius**2 + 1 / count - 1 / sizes).clamp_min(EPSILON**4).sqrt()  # (K,)
    slopes = (distances / norms).clamp_min(1)  # (..., K) 1/lambda; 1: sparsemax is sparse enough
    candidates = within * (1 / sizes[:, None] + slopes[..., None] * offsets)  # (..., K, K) each row sums to 1
    # The solution is the largest support whose smallest probability is positive.
    valid = candidates.diagonal(dim1=-2, dim2=-1) > EPSILON  # (..., K) the first always is
    support = (valid * sizes).argmax(dim=-1, keepdim=True)  # (..., 1)
    solution = candidates.gather(-2, support[..., None].expand(*support.shape[:-1], 1, count)).squeeze(-2)  # (..., K)
    return torch.zeros_like(logits).scatter(-1, order, solution)
