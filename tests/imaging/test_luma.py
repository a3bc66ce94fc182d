"""Claims about BT.601 luma in full and in studio range."""

from __future__ import annotations

import pytest
import torch

from lowvision.imaging import luma


@pytest.mark.parametrize(("value", "full", "studio"), [(0.0, 0.0, 16.0), (1.0, 1.0, 235.0)])
def test_black_and_white_map_to_the_ends_of_each_range(value: float, full: float, studio: float) -> None:
    rgb = torch.full((3, 2, 4), value, dtype=torch.float64)
    torch.testing.assert_close(luma.grey(rgb), torch.full((1, 2, 4), full, dtype=torch.float64))
    torch.testing.assert_close(luma.studio_luma(rgb), torch.full((2, 4), studio, dtype=torch.float64))


def test_both_ranges_use_the_same_colour_weights() -> None:
    rgb = torch.rand(3, 5, 4, dtype=torch.float64)
    scaled = 16 + 219 * luma.grey(rgb)[0]
    torch.testing.assert_close(luma.studio_luma(rgb), scaled, atol=0.01, rtol=0)
