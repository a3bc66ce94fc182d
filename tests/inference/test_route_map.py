"""Route maps tint each tile with the colour of its branch, above a legend with the shares."""

from __future__ import annotations

import pytest
import torch

from lowvision.imaging.palette import colours
from lowvision.inference import route_map
from lowvision.routing.tiling import plan


def overlaid(height: int, width: int, choice: list[int] | int, branches: int, channels: int = 3) -> torch.Tensor:
    """Return the route map of a mid-grey image at scale 2."""
    tiling = plan(height, width, 32, 4)
    image = torch.full((channels, 2 * height, 2 * width), 0.5)
    return route_map.overlay(image, torch.as_tensor(choice).expand(tiling.count), tiling, 2, branches)


def tinted(colour: tuple[int, int, int]) -> torch.Tensor:
    """Return mid-grey blended with the colour."""
    return 0.5 + route_map.TINT * (torch.tensor(colour) / 255 - 0.5)


def test_each_tile_shows_the_colour_of_its_branch():
    page = overlaid(60, 88, [0, 1, 2, 2, 1, 0], 3)
    corners = [page[:, 0, 0], page[:, 0, 175], page[:, 119, 0], page[:, 119, 175]]
    for corner, k in zip(corners, [0, 2, 2, 0], strict=True):
        torch.testing.assert_close(corner, tinted(colours(3)[k]))


def test_neighbours_meet_in_the_middle_of_their_overlap():
    page = overlaid(32, 60, [0, 1], 2)
    # Tiles 0..32 and 28..60 meet at 30, which is column 60 of the restored image.
    torch.testing.assert_close(page[:, 5, 59], tinted(colours(2)[0]))
    torch.testing.assert_close(page[:, 5, 60], tinted(colours(2)[1]))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (31, 200), (200, 33), (100, 101)])
def test_a_map_covers_any_size_above_the_legend(height, width):
    page = overlaid(height, width, 0, 3)
    assert page.shape[0] == 3
    assert page.shape[1] > 2 * height
    assert page.shape[2] >= 2 * width
    image = page[:, : 2 * height, : 2 * width]
    torch.testing.assert_close(image, tinted(colours(3)[0])[:, None, None].expand_as(image))


def test_a_wide_map_has_the_width_of_its_image():
    assert overlaid(32, 300, 0, 3).shape[2] == 600


def test_the_legend_shows_every_colour_whatever_the_number_of_branches():
    page = overlaid(40, 60, 0, 9)
    legend = {tuple(pixel) for pixel in (page[:, 80:] * 255).round().int().flatten(1).T.tolist()}
    assert legend >= set(colours(9))


def test_a_grey_image_gets_a_map_in_colour():
    grey, colour = (overlaid(40, 60, 1, 2, channels=c) for c in (1, 3))
    torch.testing.assert_close(grey, colour)


def test_the_image_is_not_modified():
    image, tiling = torch.full((3, 80, 120), 0.5), plan(40, 60, 32, 4)
    route_map.overlay(image, torch.zeros(tiling.count, dtype=torch.long), tiling, scale=2, branches=2)
    assert (image == 0.5).all()
