"""Claims about the engine of clips: what did not change is not run again, and every frame is exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lowvision.imaging import io
from lowvision.routing import networks
from lowvision.routing.container import RoutedContainer
from lowvision.routing.engine import Engine
from lowvision.routing.networks import Networks
from lowvision.routing.regions import Geometry
from lowvision.routing.still import StillEngine, recollection

MERGED = Geometry(merge=2, halo=2)


def container() -> RoutedContainer:
    torch.manual_seed(0)
    classifier = nn.Sequential(nn.Conv2d(3, 2, 5), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    branches = [nn.Conv2d(3, 3, 3, padding=1), nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1))]
    return RoutedContainer(classifier, branches).eval()


def counting(run: Networks, windows: list[int]) -> Networks:
    """Return networks that note the number of windows of each call of a branch."""

    def noted(branch: networks.Run) -> networks.Run:
        def call(batch: Tensor) -> Tensor:
            windows.append(len(batch))
            return branch(batch)

        return call

    return replace(run, branches=tuple(noted(branch) for branch in run.branches))


def engines(geometry: Geometry, windows: list[int]) -> tuple[StillEngine, Engine]:
    run = networks.of(container())
    options = {"scale": 1, "size": 16, "overlap": 4, "geometry": geometry}
    still = StillEngine(counting(run, windows), **options, recalled=recollection("exact"))
    return still, Engine(run, **options)


def seen(still: StillEngine, pixels: np.ndarray) -> Tensor:
    still.recalled.changes.see(pixels)
    still.recalled.begin()
    return still.route(io.to_tensor(pixels)).image


SPOTS = st.lists(st.tuples(st.integers(0, 39), st.integers(0, 51)), max_size=3)


@settings(max_examples=15, deadline=None)
@given(frames=st.lists(SPOTS, min_size=1, max_size=4), merged=st.booleans())
def test_every_frame_is_restored_as_if_it_were_the_only_one(frames: list[list[tuple[int, int]]], merged: bool) -> None:
    still, plain = engines(MERGED if merged else Geometry(), [])
    pixels = np.random.default_rng(0).integers(0, 256, (40, 52, 3), np.uint8)
    for spots in frames:
        for row, column in spots:
            pixels[row, column] ^= 0x55
        torch.testing.assert_close(seen(still, pixels), plain.route(io.to_tensor(pixels)).image, rtol=0, atol=1e-6)


def test_only_windows_with_a_changed_pixel_run_again() -> None:
    windows: list[int] = []
    still, plain = engines(Geometry(), windows)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    tiles = plain.route(io.to_tensor(pixels)).tiling.count
    seen(still, pixels)
    assert sum(windows) == tiles
    assert still.recalled.reused_tiles == 0
    windows.clear()
    pixels[0, 0] ^= 0xFF  # the corner belongs to one tile
    seen(still, pixels)
    assert sum(windows) == 1
    assert still.recalled.reused_tiles == tiles - 1


def test_an_unchanged_frame_costs_nothing() -> None:
    windows: list[int] = []
    still, plain = engines(Geometry(), windows)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    cost = plain.route(io.to_tensor(pixels)).cost
    first = seen(still, pixels)
    windows.clear()
    assert torch.equal(seen(still, pixels), first)
    assert not windows
    assert still.recalled.reused_cost == cost


def test_frames_of_another_size_reuse_nothing() -> None:
    still, plain = engines(Geometry(), [])
    for height in (40, 24, 40):
        pixels = np.full((height, 40, 3), 90, np.uint8)
        restored = seen(still, pixels)
        assert still.recalled.reused_tiles == 0
        torch.testing.assert_close(restored, plain.route(io.to_tensor(pixels)).image)
