"""Blending joins restored windows without a visible seam: the weights of all windows add up to 1 at every pixel."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowvision.routing.blending import Band, BandMemory, SeamWeights
from lowvision.routing.regions import Geometry, Window, merged, window
from lowvision.routing.tiling import plan

SIZE = 16


def windows(height: int, width: int, overlap: int, merge: int) -> list[Window]:
    """Return the windows of an image whose tile rows alternate between two branches, two rows at a time."""
    tiling = plan(height, width, SIZE, overlap)
    rows, columns = len(tiling.tops), len(tiling.lefts)
    choice = [[row // 2 % 2] * columns for row in range(rows)]
    geometry = Geometry(merge)
    return [window(region, tiling, geometry) for region in merged(choice, geometry)]


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    overlap=st.integers(0, SIZE // 2),
    scale=st.integers(1, 3),
    merge=st.sampled_from([1, 2]),
)
def test_windows_cut_from_an_image_blend_to_that_image(height, width, overlap, scale, merge):
    image = torch.rand(3, scale * height, scale * width, generator=torch.Generator().manual_seed(0))
    band = Band(torch.zeros_like(image), 0, scale, SeamWeights(scale))
    for each in windows(height, width, overlap, merge):
        restored = torch.zeros(3, scale * each.height, scale * each.width)
        top, left = scale * each.top, scale * each.left
        part = image[:, top : top + restored.shape[1], left : left + restored.shape[2]]
        restored[:, : part.shape[1], : part.shape[2]] = part  # a window may reach over the border of a small image
        band.add(restored[None], [each])
    torch.testing.assert_close(band.above(height), image)


def test_blend_weights_across_a_seam_change_in_equal_steps():
    width, overlap = 28, 4
    band = Band(torch.zeros(1, SIZE, width), 0, 1, SeamWeights(1))
    for value, each in enumerate(windows(SIZE, width, overlap, merge=1)):
        band.add(torch.full((1, 1, SIZE, SIZE), float(value)), [each])
    expected = torch.tensor([0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1])  # the seam is the columns 12 .. 15
    torch.testing.assert_close(band.above(SIZE)[0], expected.new_zeros(SIZE, width) + torch.cat(
        [torch.zeros(10), expected, torch.ones(10)]
    ))  # fmt: skip


@pytest.mark.parametrize("row", [5, 9])
def test_a_band_splits_at_an_image_row(row):
    pixels = torch.rand(3, 2 * 8, 2 * 6)
    band = Band(pixels, 4, 2, SeamWeights(2))
    assert torch.equal(band.above(row), pixels[:, : 2 * (row - 4)])
    assert torch.equal(band.below(row), pixels[:, 2 * (row - 4) :])


def test_a_band_continues_the_unfinished_rows_of_the_band_above():
    height, width, overlap = 28, 10, 4
    image = torch.rand(1, height, width)
    upper, lower = windows(height, width, overlap, merge=1)
    first = Band(torch.zeros(1, 16, width), 0, 1, SeamWeights(1))
    first.add(torch.nn.functional.pad(image[None, :, :16], (0, SIZE - width)), [upper])
    pixels = torch.zeros(1, 16, width)
    pixels[:, :4] = first.below(12)
    second = Band(pixels, 12, 1, SeamWeights(1))
    second.add(torch.nn.functional.pad(image[None, :, 12:], (0, SIZE - width)), [lower])
    torch.testing.assert_close(torch.cat([first.above(12), second.above(28)], dim=1), image)


def test_bands_share_memory_and_continue_the_unfinished_rows():
    memory = BandMemory()
    first = memory.zeros((3, 8, 5), torch.zeros(0))
    first.fill_(7)
    memory.unfinished = Band(first, 0, 1, SeamWeights(1)).below(6)
    second = memory.zeros((3, 6, 5), torch.zeros(0))
    assert second.data_ptr() == first.data_ptr()
    assert second[:, :2].eq(7).all()
    assert second[:, 2:].eq(0).all()


def test_a_larger_band_gets_larger_memory():
    memory = BandMemory()
    memory.unfinished = memory.zeros((1, 2, 2), torch.zeros(0)).fill_(1)
    larger = memory.zeros((1, 4, 2), torch.zeros(0))
    assert larger[0, :, 0].tolist() == [1, 1, 0, 0]
