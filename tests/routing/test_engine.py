"""The engine restores images of any size, in bands, and counts what it spends."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lowvision.routing import budget, cost, networks
from lowvision.routing.container import RoutedContainer
from lowvision.routing.engine import Engine
from lowvision.routing.regions import Geometry
from lowvision.routing.tiling import cut, cut_all, plan

ALONE = Geometry()
GEOMETRIES = st.builds(Geometry, st.sampled_from([1, 2, 4]), st.integers(0, 5))


def repeating_container(scale: int = 2) -> RoutedContainer:
    """Return a container whose branch 0 repeats pixels, and branch 1 too, at the cost of a convolution."""
    idle = nn.Conv2d(3, 3, 1, bias=False)
    nn.init.dirac_(idle.weight)
    classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    branches = [nn.Upsample(scale_factor=scale), nn.Sequential(idle, nn.Upsample(scale_factor=scale))]
    return RoutedContainer(classifier, branches).eval()


def network_of_reach(reach: int, scale: int = 2) -> nn.Module:
    """Return a network with the given receptive-field radius."""
    torch.manual_seed(0)
    layers = [nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Tanh()) for _ in range(reach)]
    return nn.Sequential(*layers, nn.Upsample(scale_factor=scale)).eval()


def engine(container: RoutedContainer, geometry: Geometry = ALONE, callers: int = 1, batch: int = 3) -> Engine:
    return Engine(networks.of(container), 2, size=16, overlap=4, geometry=geometry, batch=batch, callers=callers)


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 200), width=st.integers(1, 200), geometry=GEOMETRIES, callers=st.integers(1, 2))
def test_an_image_of_any_size_is_returned_scaled_for_every_route(height, width, geometry, callers):
    image = torch.rand(3, height, width)
    restored = engine(repeating_container(), geometry, callers).route(image)
    torch.testing.assert_close(restored.image, image.repeat_interleave(2, 1).repeat_interleave(2, 2))
    assert len(restored.choice) == restored.tiling.count


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 90), width=st.integers(1, 90), merge=st.sampled_from([1, 2, 4]))
def test_a_halo_of_the_reach_gives_the_result_of_the_whole_image(height, width, merge):
    network = network_of_reach(reach=5).double()
    image = torch.rand(3, height, width, dtype=torch.float64)
    alone = RoutedContainer(nn.Identity(), [network])
    restored = engine(alone, Geometry(merge, halo=5)).restore(image, 0)
    with torch.no_grad():
        torch.testing.assert_close(restored.image, network(image[None])[0], rtol=0, atol=1e-12)


def test_several_threads_give_bit_identical_results():
    image = torch.rand(3, 150, 170)
    container = RoutedContainer(
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)),
        [network_of_reach(1), network_of_reach(4)],
    ).eval()
    single_thread, two_threads = (engine(container, Geometry(2, 1), callers).route(image) for callers in (1, 2))
    assert torch.equal(single_thread.image, two_threads.image)
    assert torch.equal(single_thread.choice, two_threads.choice)


def test_different_branches_blend_without_a_jump_at_the_seam():
    black, white = (nn.Sequential(nn.Conv2d(3, 3, 1), nn.Upsample(scale_factor=2)) for _ in range(2))
    for network, level in ((black, 0.0), (white, 1.0)):
        nn.init.zeros_(network[0].weight)
        nn.init.constant_(network[0].bias, level)
    choice = torch.tensor([0, 1, 0])
    restored = engine(RoutedContainer(nn.Identity(), [black, white])).restore(torch.rand(3, 16, 40), choice)
    row = restored.image[0, 0]  # seams of 4 pixels, 8 when enlarged
    assert row[:24].eq(0).all()
    torch.testing.assert_close(row[24:32], (torch.arange(8) + 0.5) / 8)
    assert row.diff().abs().max() < 0.126


def test_bands_are_yielded_from_top_to_bottom_and_computed_one_at_a_time(monkeypatch):
    monkeypatch.setattr("lowvision.routing.layout.BAND_BYTES", 1)
    image = torch.rand(3, 100, 30)
    routing = engine(repeating_container(), Geometry(merge=2))
    bands = [band.clone() for band in routing.bands(image, routing.decide(image))]  # each overwrites the one before
    assert [band.shape[1] for band in bands] == [48, 48, 48, 56]
    torch.testing.assert_close(torch.cat(bands, dim=1), image.repeat_interleave(2, 1).repeat_interleave(2, 2))


def test_progress_callbacks_count_every_tile():
    progress = []
    image = torch.rand(3, 100, 100)
    routing = engine(repeating_container(), Geometry(merge=2))
    list(routing.bands(image, routing.decide(image), lambda done, total: progress.append((done, total))))
    assert progress[-1] == (64, 64)
    assert [done for done, _ in progress] == sorted({done for done, _ in progress})


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_integer_images_are_scaled_by_their_value_range(dtype):
    largest = torch.iinfo(dtype).max
    image = torch.randint(0, largest + 1, (3, 20, 20)).to(dtype)
    restored = engine(repeating_container()).route(image).image
    torch.testing.assert_close(restored[:, ::2, ::2], image.float() / largest)


def test_the_cost_of_an_image_includes_classifier_and_overlap():
    image = torch.rand(3, 40, 40)  # 3 x 3 tiles of 16 at stride 12
    classifier, branch = 3 * 2, 3 * 3 * 16 * 16
    routed = engine(repeating_container()).route(image)
    assert routed.tiling.count == 9
    assert routed.cost == 9 * classifier + branch * int((routed.choice == 1).sum())


def test_merged_tiles_cost_as_much_as_their_windows():
    network = network_of_reach(3)
    routing = engine(RoutedContainer(nn.Identity(), [network]), Geometry(merge=2, halo=2))
    restored = routing.restore(torch.rand(3, 52, 52), 0)  # 4 x 4 tiles: 4 regions of 28 + 2 * 2 pixels
    assert restored.cost == 4 * cost.multiply_adds(network, (1, 3, 32, 32))


def test_the_base_restores_all_tiles_if_that_costs_no_more():
    routing = engine(repeating_container(), Geometry(merge=4))
    image = torch.rand(3, 40, 40)  # 9 tiles of 16: one window of 40 pixels
    choice = torch.tensor([0, 1, 1, 1, 1, 1, 1, 1, 1])
    assert routing.given(image, choice).cost > routing.given(image, 1).cost
    scores = torch.nn.functional.one_hot(choice, 2).float()
    decided = replace(routing, networks=replace(routing.networks, classify=lambda _: scores), batch=9)
    assert decided.decide(image, k=0).choice.tolist() == [1] * 9


def test_the_most_expensive_windows_run_first():
    ran = []
    routing = engine(RoutedContainer(nn.Identity(), [network_of_reach(1), network_of_reach(4)]), Geometry(merge=2))
    branches = tuple(
        lambda x, k=k, run=run: (ran.append(routing.networks.costs(tuple(x.shape[1:]))[k]), run(x))[1]
        for k, run in enumerate(routing.networks.branches)
    )
    choice = torch.zeros(6, 6, dtype=torch.long)
    choice[2, 2] = 1
    recorded = replace(routing, networks=replace(routing.networks, branches=branches), batch=1)
    recorded.restore(torch.rand(3, 76, 76), choice.flatten())
    assert ran == sorted(ran, reverse=True)
    assert len(set(ran)) > 1


def test_a_given_choice_does_not_run_or_count_the_classifier():
    routing = engine(repeating_container())
    assert routing.restore(torch.rand(3, 40, 40), 0).cost == 0
    assert routing.restore(torch.rand(3, 40, 40), 1).cost == 9 * 3 * 3 * 16 * 16


def test_shares_list_every_branch_including_unused_ones():
    restored = engine(repeating_container()).restore(torch.rand(3, 40, 40), torch.tensor([1, 0, 0, 0, 0, 0, 0, 0, 0]))
    assert [round(share, 3) for share in restored.shares(3)] == [0.889, 0.111, 0.0]


@settings(max_examples=20, deadline=None)
@given(share=st.floats(0.05, 1.3), merge=st.sampled_from([1, 2]))
def test_a_budget_is_spent_and_not_exceeded(share, merge):
    torch.manual_seed(0)
    classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    container = RoutedContainer(classifier, [network_of_reach(1), network_of_reach(2), network_of_reach(4)]).eval()
    routing = engine(container, Geometry(merge))
    image = torch.rand(3, 200, 200)
    whole = cost.multiply_adds(container.branches.networks[-1], (1, *image.shape))
    cheapest, most_expensive = (routing.given(image, k).cost + 17 * 17 * 9 for k in (0, 2))
    routes = routing.decide(image, int(share * whole))
    assert routes.cost <= max(cheapest, share * whole)
    assert routes.cost >= min(most_expensive, (share - 0.02) * whole)


def test_out_of_memory_halves_the_batch_and_is_logged(caplog):
    class MemoryLimited(nn.Module):
        def forward(self, x):
            if len(x) > 2:
                raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate much")
            return x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    image = torch.rand(3, 100, 100)
    restored = engine(RoutedContainer(nn.Identity(), [MemoryLimited()]), batch=16).restore(image, 0)
    torch.testing.assert_close(restored.image, image.repeat_interleave(2, 1).repeat_interleave(2, 2))
    messages = [record.message for record in caplog.records]
    assert messages[-1] == "out of memory: the batch size is now at most 2 tiles"


class Counting:
    """A network's function that records the shape of each batch."""

    def __init__(self, network):
        self.network, self.shapes = network, []

    def __call__(self, tiles):
        self.shapes.append(tuple(tiles.shape))
        return self.network(tiles)


def test_an_accelerator_gets_the_image_once_unconverted_and_classifies_all_tiles_in_one_batch():
    container = repeating_container()
    made = networks.of(container)
    classify = Counting(lambda tiles: tiles.new_zeros(len(tiles), 2, device="cpu"))
    fast = replace(engine(container), device=torch.device("meta"), networks=replace(made, classify=classify))
    image = torch.zeros(3, 200, 200, dtype=torch.uint8)
    moved = fast.on_device(image)
    assert (moved.device.type, moved.dtype) == ("meta", torch.uint8)
    assert fast.on_device(moved) is moved
    assert fast.on_device(image.to(torch.uint16)).dtype == torch.float32  # accelerators lack operations on uint16
    assert len(fast.decide(image).choice) == 17 * 17
    assert classify.shapes == [(17 * 17, 3, 16, 16)]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 60), width=st.integers(1, 60), size=st.integers(1, 40))
def test_tiles_cut_in_a_batch_equal_tiles_cut_one_by_one(dtype, height, width, size):
    image = (torch.rand(3, height, width) * 255).to(dtype)
    tiling = plan(height, width, size, size // 2)
    corners = [(top, left) for top in tiling.tops for left in tiling.lefts]
    together = cut_all(image, corners, size, size)
    assert torch.equal(together, torch.stack([cut(image, top, left, size, size) for top, left in corners]))


def by_windows(border: tuple[float, ...]) -> Engine:
    """Return an engine whose base leaves no error on bright tiles; the other branch leaves 1 there, 0 elsewhere."""

    def classify(tiles: torch.Tensor) -> torch.Tensor:
        bright = (tiles.mean(dim=(1, 2, 3)) > 0.5).float()
        return torch.stack([-bright, torch.zeros_like(bright)], dim=1)

    branches = (nn.Upsample(scale_factor=2),) * 2
    prices = networks.Networks(classify, branches, lambda shape: (1, shape[1] * shape[2]), lambda shape: 0)
    return Engine(
        prices, 2, size=16, overlap=4, geometry=Geometry(2), weigh=budget.shares_of_largest_cost, border=border
    )


def test_a_base_that_needs_context_takes_no_tile_alone():
    image = torch.zeros(3, 100, 100)
    image[:, :16, :16] = 1  # one tile
    image[:, 48:76, 48:76] = 1  # two by two tiles
    borders = (*(1.0,) * 5, 0.0), (0.0,)
    far, near = (by_windows(each).decide(image, k=0.5).choice.unflatten(0, (8, 8)) for each in borders)
    assert near[0, 0] == 1
    assert far[0, 0] == 0
    assert near[4:6, 4:6].all()
    assert far[4:6, 4:6].all()


@settings(max_examples=20, deadline=None)
@given(share=st.floats(0.05, 1.2), seed=st.integers(0, 99))
def test_a_choice_by_windows_keeps_a_budget(share, seed):
    image = torch.rand(3, 7, 7, generator=torch.Generator().manual_seed(seed))
    image = image.repeat_interleave(14, 1).repeat_interleave(14, 2)
    engine = by_windows((1.0, 0.5, 0.0))
    routes = engine.decide(image, budget=int(share * 98**2))
    assert routes.cost == engine.given(image, routes.choice).cost
    assert routes.cost <= share * 98**2 or not routes.choice.any()
