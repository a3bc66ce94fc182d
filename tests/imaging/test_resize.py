"""Claims about the only resize in the project.

Three sources hold it to MATLAB's `imresize`: values that MATLAB returned, values that GNU Octave's `imresize` returned,
another implementation (octave_bicubic.txt), and the definition in plain loops below. Octave agrees with MATLAB if the
taps of the widened kernel sum to 1: when enlarging, and when shrinking by a whole factor. Otherwise Octave does not
normalise them (a constant image of 1 becomes 0.998), so the golden cases have whole factors where they shrink.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from lowvision import resize, upsample

SIDES = st.integers(min_value=1, max_value=41)


def keys(x: float) -> float:
    """Return the cubic convolution kernel with a = -0.5 as in Keys 1981, eq. 15."""
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def imresize_line(line: list[float], length: int) -> list[float]:
    """Resize one line of pixels as MATLAB's imresize does, in plain loops."""
    old, scale = len(line), length / len(line)
    narrow = min(scale, 1.0)
    result = []
    for out in range(length):
        centre = (out + 0.5) / scale - 0.5
        reach = math.ceil(2 / narrow) + 1
        taps = range(math.floor(centre) - reach, math.floor(centre) + reach + 1)
        weights = [narrow * keys(narrow * (centre - tap)) for tap in taps]
        mirrored = [tap % (2 * old) if tap % (2 * old) < old else 2 * old - 1 - tap % (2 * old) for tap in taps]
        result.append(sum(w * line[at] for w, at in zip(weights, mirrored, strict=True)) / sum(weights))
    return result


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@settings(deadline=None)
@given(old=SIDES, new=SIDES)
def test_a_line_is_resized_as_by_matlab(old: int, new: int) -> None:
    line = noise(old)
    expected = torch.tensor(imresize_line(line.tolist(), new), dtype=torch.float64)
    torch.testing.assert_close(resize(line.view(1, -1), (1, new))[0], expected)
    torch.testing.assert_close(resize(line.view(-1, 1), (new, 1))[:, 0], expected)


@settings(deadline=None)
@given(height=SIDES, width=SIDES, new_height=SIDES, new_width=SIDES)
def test_the_axes_are_independent(height: int, width: int, new_height: int, new_width: int) -> None:
    x = noise(2, height, width)
    one_by_one = resize(resize(x, (new_height, width)), (new_height, new_width))
    torch.testing.assert_close(resize(x, (new_height, new_width)), one_by_one)


def octave_cases() -> list[tuple[Tensor, Tensor]]:
    """Yield each image that Octave resized, and its result."""
    cases = []
    for case in (Path(__file__).parent / "octave_bicubic.txt").read_text().split("case ")[1:]:
        head, *lines = case.strip().splitlines()
        height, width, *size = map(int, head.split())
        i, j = torch.arange(height, dtype=torch.float64)[:, None], torch.arange(width, dtype=torch.float64)
        result = torch.tensor([[float(value) for value in line.split()] for line in lines], dtype=torch.float64)
        assert list(result.shape) == size
        cases.append(((37 * i**2 + 91 * j + 17 * i * j) % 256, result))
    return cases


@pytest.mark.parametrize(("image", "result"), octave_cases(), ids=lambda image: "x".join(map(str, image.shape)))
def test_a_resized_image_equals_the_values_of_octave(image: Tensor, result: Tensor) -> None:
    height, width = result.shape
    torch.testing.assert_close(resize(image, (height, width)), result, atol=1e-9, rtol=0)


def test_two_pixels_resized_to_three_equal_the_values_of_matlab() -> None:
    # MATLAB's imresize([10 6], [1 3], "cubic"), as the tests of Octave's image package 2.14.0 quote it.
    expected = torch.tensor([[10.27777777777777, 8, 5.72222222222222]], dtype=torch.float64)
    torch.testing.assert_close(resize(torch.tensor([[10.0, 6.0]], dtype=torch.float64), (1, 3)), expected)


def test_a_halved_step_equals_the_values_of_the_formula() -> None:
    # Halving, the kernel has the taps (-3, -9, 29, 111, 111, 29, -9, -3) / 256: the step sums them from the right.
    step = torch.tensor([[0.0] * 6 + [1.0] * 6], dtype=torch.float64)
    expected = torch.tensor([[0, -3, 17, 239, 259, 256]], dtype=torch.float64) / 256
    torch.testing.assert_close(resize(step, (1, 6)), expected)


@settings(deadline=None)
@given(height=SIDES, width=SIDES, new_height=SIDES, new_width=SIDES)
def test_resizing_keeps_a_constant_image_constant(height: int, width: int, new_height: int, new_width: int) -> None:
    x = torch.full((3, height, width), 0.7)
    torch.testing.assert_close(resize(x, (new_height, new_width)), torch.full((3, new_height, new_width), 0.7))


def test_resizing_to_the_same_size_returns_the_same_image() -> None:
    x = noise(3, 5, 7)
    assert resize(x, (5, 7)) is x


def test_lines_longer_than_a_block_have_no_seams() -> None:
    line = noise(1000)
    expected = torch.tensor(imresize_line(line.tolist(), 437), dtype=torch.float64)
    torch.testing.assert_close(resize(line.view(1, -1), (1, 437))[0], expected)


def test_float32_is_kept_and_accurate_to_its_precision() -> None:
    x = noise(3, 50, 70)
    assert resize(x.float(), (13, 19)).dtype == torch.float32
    torch.testing.assert_close(resize(x.float(), (13, 19)).double(), resize(x, (13, 19)), atol=1e-6, rtol=0)


@pytest.mark.parametrize("shape", [(30, 20), (3, 30, 20), (2, 3, 30, 20)])
def test_leading_axes_are_kept(shape: tuple[int, ...]) -> None:
    assert resize(torch.zeros(shape), (15, 7)).shape == (*shape[:-2], 15, 7)


def test_resizing_is_differentiable() -> None:
    x = noise(1, 8, 8).requires_grad_()
    resize(x, (4, 4)).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad.sum(), torch.tensor(16.0, dtype=torch.float64))


def test_integers_and_empty_sides_are_refused() -> None:
    with pytest.raises(TypeError, match="divide 8-bit values by 255"):
        resize(torch.zeros(3, 4, 4, dtype=torch.uint8), (2, 2))
    with pytest.raises(ValueError, match="at least 1"):
        resize(torch.zeros(3, 4, 4), (0, 2))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_upsample_equals_resize_away_from_the_border(scale: int) -> None:
    x = noise(1, 3, 9, 11)
    inner = (..., slice(2 * scale, -2 * scale), slice(2 * scale, -2 * scale))
    torch.testing.assert_close(upsample(x, scale, "bicubic")[inner], resize(x, (9 * scale, 11 * scale))[inner])


@pytest.mark.parametrize("scale", [2, 3])
def test_nearest_upsample_repeats_pixels_and_bilinear_equals_torch(scale: int) -> None:
    x = noise(1, 3, 4, 5)
    repeated = x.repeat_interleave(scale, dim=-1).repeat_interleave(scale, dim=-2)
    torch.testing.assert_close(upsample(x, scale, "nearest"), repeated)
    torch.testing.assert_close(
        upsample(x, scale, "bilinear"),
        functional.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False),
    )


def test_upsample_by_one_returns_the_input() -> None:
    x = noise(1, 3, 4, 5)
    assert upsample(x, 1, "bicubic") is x
