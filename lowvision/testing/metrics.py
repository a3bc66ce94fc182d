"""Check a metric against its contract."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from lowvision.imaging.metrics import eight_bit
from lowvision.plugins.metrics import Metric
from lowvision.testing import options
from lowvision.testing.subject import one_line

SIDE = 48
"""Smallest height of test images."""
NOISE = (0.02, 0.2)
"""Strength of a weak and a strong noise."""


def check_metric(metric: Metric, colours: tuple[int, ...] = (3, 1)) -> None:
    """Check a metric against its contract, for RGB and grey images.

    colours: the numbers of channels that it supports.

    Checks: serialization of options; a protocol; finite values of odd sizes, from `smallest` on; equal values for equal
    calls; images are not changed; its direction: with a reference, equal images are best, and strong noise is worse
    than weak noise. Raises AssertionError at the first failure.
    """
    options.check_options(metric)
    if not metric.protocol().strip():
        raise _failure(metric, "protocol returns nothing; return a phrase: what it measures, and how")
    for channels in colours:
        gt = _photograph(channels, max(SIDE, metric.smallest) + 1)
        generator = torch.Generator().manual_seed(1)
        noise = torch.randn(gt.shape, generator=generator)
        weak, strong = (eight_bit(gt + strength * noise, 0) for strength in NOISE)
        _check_equal(metric, weak, gt)
        edge = metric.smallest
        _value(metric, weak[:, :edge, :edge].clone(), gt[:, :edge, :edge].clone())
        if metric.full_reference:
            _check_direction(metric, gt, weak, strong)


def _photograph(channels: int, side: int) -> Tensor:
    """Return an image (channels,side,side+6) with slow waves and fine stripes."""
    rows, columns = torch.arange(side)[:, None] / 9, torch.arange(side + 6) / 7
    waves = torch.stack([(rows + colour).sin() * (columns - colour).cos() for colour in range(channels)])
    return eight_bit(0.5 + 0.35 * waves + 0.1 * (5 * rows + 3 * columns).sin(), 0)


def _check_equal(metric: Metric, restored: Tensor, gt: Tensor) -> None:
    kept = restored.clone(), gt.clone()
    first = _value(metric, restored, gt)
    if not (torch.equal(restored, kept[0]) and torch.equal(gt, kept[1])):
        raise _failure(metric, "measure changes its arguments; work on copies")
    again = _value(metric, restored, gt)
    if first != again:
        raise _failure(metric, f"two calls give {first:.6g} and {again:.6g}; draw no random numbers, and keep no state")


def _check_direction(metric: Metric, gt: Tensor, weak: Tensor, strong: Tensor) -> None:
    values = [_value(metric, image, gt) for image in (gt.clone(), weak, strong)]
    expected = sorted(values, reverse=metric.higher_is_better)
    if values != expected or values[0] == values[2]:
        shown = ", ".join(f"{value:.4g}" for value in values)
        raise _failure(
            metric,
            f"equal images, weak and strong noise have the values {shown}, but higher_is_better is "
            f"{metric.higher_is_better}; correct it",
        )


def _value(metric: Metric, restored: Tensor, gt: Tensor) -> float:
    """Return the first value of an image; all must be finite."""
    try:
        measured = metric.measure(restored, gt if metric.full_reference else None)
    except Exception as error:  # a plugin's metric may raise anything
        raise _failure(
            metric, f"an image of {tuple(restored.shape)} raises {type(error).__name__}: {one_line(error)}"
        ) from error
    values = measured if isinstance(measured, Mapping) else {"": measured}
    if not values:
        raise _failure(metric, "measure returns no value")
    for name, value in values.items():
        if not isinstance(value, float | int) or not math.isfinite(value):
            raise _failure(metric, f"its value {name} is {value!r}; return finite numbers, e.g. float(tensor)")
    return float(next(iter(values.values())))


def _failure(metric: Metric, message: str) -> AssertionError:
    return AssertionError(f"{options.name_of(metric)}: {message}")
