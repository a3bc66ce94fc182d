"""Sparsestmax: logits become probabilities as sparse as a radius asks (Shao et al., CVPR 2019: Learning Sparse
Switchable Normalization via SparsestMax).

It is the point p of the simplex nearest to the logits z among those at least `radius` away from its middle u. Where
sparsemax, the nearest of all, is not so far away, p lies at that distance, so that all candidates have one norm and the
nearest has the largest p.z: by its optimality conditions p = max(0, (z - tau) / lambda), which is sparsemax of logits
divided by a temperature lambda < 1. For a support of k alternatives tau and lambda are closed forms: no iteration.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor

LEAST = 1e-6
"""A probability below this is 0: float32 cannot tell them apart, and at the largest radius all but one must be 0."""


def largest_radius(count: int) -> float:
    """How far the corners of the simplex of so many alternatives are from its middle."""
    return sqrt((count - 1) / count)


def sparsestmax(logits: Tensor, radius: Tensor | float) -> Tensor:
    """(..., K) logits -> (..., K) probabilities at least `radius` away from 1/K each: 0 gives sparsemax, the largest
    one-hot; as a tensor (..., 1) it may differ.

    Among equal logits at the top, where that does not say which is meant, the first is preferred. Differentiable where
    the support does not change; on a support of two the radius alone decides, so that the gradient is 0.
    """
    count = logits.shape[-1]
    places = torch.arange(count, dtype=logits.dtype, device=logits.device)
    ordered, order = torch.sort(logits, dim=-1, descending=True, stable=True)
    ordered = ordered - ordered[..., :1] - LEAST * places  # from the top, so that differences there are not rounded
    sizes = places + 1  # (K,) k, one for each support
    within = (places[:, None] >= places).to(logits.dtype)  # (K, K) the first k of row k
    means = ordered.cumsum(-1) / sizes  # (..., K)
    offsets = within * (ordered[..., None, :] - means[..., :, None])  # (..., K, K)
    norms = (offsets.square().sum(dim=-1) + LEAST**4).sqrt()  # (..., K) never 0, where a root has no gradient
    # ||p||^2 = radius^2 + 1/K there, of which 1/k is that of the support's middle.
    wanted = (radius**2 + 1 / count - 1 / sizes).clamp_min(LEAST**4).sqrt()  # (K,)
    slopes = (wanted / norms).clamp_min(1)  # (..., K) 1/lambda; 1: sparsemax is sparse enough
    candidates = within * (1 / sizes[:, None] + slopes[..., None] * offsets)  # (..., K, K) each row sums to 1
    # The largest support whose least probability is above 0 is the true one.
    valid = candidates.diagonal(dim1=-2, dim2=-1) > LEAST  # (..., K) the first always is
    support = (valid * sizes).argmax(dim=-1, keepdim=True)  # (..., 1)
    chosen = candidates.gather(-2, support[..., None].expand(*support.shape[:-1], 1, count)).squeeze(-2)  # (..., K)
    return torch.zeros_like(logits).scatter(-1, order, chosen)
