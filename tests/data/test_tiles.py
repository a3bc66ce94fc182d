"""The tile of a training step depends only on the seed and the number of the sample."""

from __future__ import annotations

import dataclasses
import itertools
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowvision.data import augment, photographs
from lowvision.data.tiles import (
    DistributedBatchSampler,
    Grid,
    Listed,
    Mixed,
    Ranked,
    Samples,
    Successive,
    TileExtractor,
    fixed_tiles,
    too_small,
)
from lowvision.errors import DataError
from lowvision.imaging import io
from lowvision.plugins import registry
from lowvision.plugins.contracts import Task
from lowvision.plugins.folder_dataset import Folder

KNOWN = registry.load()


@pytest.fixture(scope="module", params=["sr", "denoise"])
def extractor(request, tmp_path_factory) -> TileExtractor:
    folder = tmp_path_factory.mktemp("tiles")
    rng = np.random.default_rng(0)
    for n, (height, width) in enumerate([(64, 48), (33, 80), (20, 90)]):
        io.write(folder / f"{n}.png", io.Image(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)))
    task = KNOWN.find("tasks", request.param).component(**({"scale": 2} if request.param == "sr" else {}))
    return TileExtractor(photographs.load(Folder(path=str(folder)), task), task, 12)


def samples(extractor: TileExtractor, seed: int = 0, purpose: str = "base") -> Samples:
    return Samples(extractor, Grid(extractor.photographs, 12, 1), augment.build(("D4",)), seed, purpose)


def test_every_tile_of_a_grid_lies_inside_its_photograph(extractor):
    grid = Grid(extractor.photographs, 12, 1)
    sizes = [photograph.lq_size for photograph in extractor.photographs]
    assert len(grid) == sum(max(h - 11, 0) * max(w - 11, 0) for h, w in sizes)
    coords_list = [grid.coords(n) for n in range(len(grid))]
    assert len(set(coords_list)) == len(grid)
    assert all(top + 12 <= sizes[p][0] and left + 12 <= sizes[p][1] for p, top, left in coords_list)


def test_the_candidate_tile_with_most_detail_is_selected(extractor):
    lively = dataclasses.replace(samples(extractor), candidates=8)

    def detail(drawn):
        return torch.stack([gt.diff(dim=1).abs().mean() + gt.diff(dim=2).abs().mean() for _, gt in drawn]).mean()

    assert detail([lively[n] for n in range(24)]) > detail([samples(extractor)[n] for n in range(24)])


def test_lq_and_gt_show_the_same_region(extractor):
    number, top, left = Grid(extractor.photographs, 12, 1).coords(37)
    lq, gt = extractor.fixed((number, top, left), seed=0)
    s = extractor.task.scale
    whole = io.to_tensor(extractor.photographs[number].gt)
    assert torch.equal(gt, whole[:, s * top : s * (top + 12), s * left : s * (left + 12)])
    assert lq.shape == (3, 12, 12)


def test_augmentation_transforms_lq_and_gt_equally(extractor):
    drawn = [samples(extractor)[n] for n in range(24)]
    for lq, gt in drawn:
        size = lq.shape[1:]
        small = torch.nn.functional.interpolate(gt[None], size=size, mode="area")[0]
        turned = small.transpose(1, 2).flip(1)
        assert (small - lq).abs().mean() < (turned - lq).abs().mean() or extractor.task.random


def test_a_sample_depends_only_on_seed_purpose_and_number(extractor):
    first, again = samples(extractor), samples(extractor)
    backwards = [again[n] for n in reversed(range(6))][::-1]
    for n in range(6):
        assert all(torch.equal(a, b) for a, b in zip(first[n], backwards[n], strict=True))
    assert not torch.equal(first[0][1], samples(extractor, seed=1)[0][1])
    assert not torch.equal(first[0][1], samples(extractor, purpose="joint")[0][1])


@settings(deadline=None)
@given(processes=st.sampled_from([1, 2, 3, 4]), first=st.integers(0, 5))
def test_every_number_of_processes_uses_the_same_samples_per_step(processes, first):
    alone = list(DistributedBatchSampler(first, 6, 12, 0, 1))
    shared = [list(DistributedBatchSampler(first, 6, 12, process, processes)) for process in range(processes)]
    assert [list(itertools.chain(*parts)) for parts in zip(*shared, strict=True)] == alone
    assert alone == list(DistributedBatchSampler(0, 6, 12, 0, 1))[first:]


@pytest.mark.parametrize("workers", [0, 2])
def test_any_number_of_workers_gives_the_same_tiles(extractor, workers):
    loader = torch.utils.data.DataLoader(
        samples(extractor), batch_sampler=DistributedBatchSampler(0, 3, 4, 0, 1), num_workers=workers
    )
    expected = [samples(extractor)[n][0] for n in range(12)]
    assert torch.equal(torch.cat([lq for lq, _ in loader]), torch.stack(expected))


def test_listed_tiles_have_the_listed_coordinates():
    pool = Listed(np.array([[0, 3, 4], [2, 5, 6]]))
    assert len(pool) == 2
    assert pool.coords(1) == (2, 5, 6)


def test_photographs_smaller_than_a_tile_are_listed_and_no_usable_one_is_an_error(extractor):
    assert too_small(extractor.photographs, 40)
    with pytest.raises(DataError, match="no photograph is as large as a tile of 99"):
        Grid(extractor.photographs, 99, 1)


def test_fixed_tiles_are_reproducible_and_at_most_the_requested_number(extractor):
    first, second = fixed_tiles(extractor, 5, seed=3), fixed_tiles(extractor, 5, seed=3)
    assert len(first[0]) == 5
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_ranked_tiles_have_classes_in_equal_numbers(extractor):
    simple, hard = Listed(np.array([[0, 0, 0]])), Listed(np.array([[1, 2, 3]]))
    turn = augment.build(())
    ranked = Ranked(tuple(Samples(extractor, pool, turn, 0, f"class {k}") for k, pool in enumerate((simple, hard))))
    drawn = [ranked[n] for n in range(6)]
    assert [int(k) for _, k in drawn] == [0, 1, 0, 1, 0, 1]
    if not extractor.task.random:
        assert torch.equal(drawn[1][0], extractor.fixed((1, 2, 3), 0)[0])


@pytest.mark.parametrize(("share", "owned"), [(1, 8), (0.5, 4), (0.25, 2), (0, 0)])
def test_every_mixed_batch_contains_the_requested_share_of_its_class(extractor, share, owned):
    own, others = samples(extractor, purpose="own"), samples(extractor, purpose="others")
    mixed = Mixed(own, others, share)
    for batch in range(3):
        numbers = range(8 * batch, 8 * batch + 8)
        assert sum(torch.equal(mixed[n][1], own[n][1]) for n in numbers) == owned
        assert sum(torch.equal(mixed[n][1], others[n][1]) for n in numbers) == 8 - owned


class Averaged(Task):
    """A task that averages 7x7 pixels and adds constant noise; its margin is 3 pixels."""

    random: ClassVar[bool] = True
    margin: ClassVar[int] = 3

    def degrade(self, gt: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        padded = torch.nn.functional.pad(gt[None], (3, 3, 3, 3), mode="replicate")
        return torch.nn.functional.avg_pool2d(padded, 7, 1)[0] + torch.rand((), generator=generator)

    def baseline(self, lq: torch.Tensor) -> torch.Tensor:
        return lq


@pytest.mark.parametrize("corner", [(0, 0), (0, 36), (30, 17), (52, 36)])
def test_a_random_degradation_includes_the_margin_of_its_tile(tmp_path, corner):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    io.write(tmp_path / "one.png", io.Image(pixels))
    task = Averaged()
    extractor = TileExtractor(photographs.load(Folder(path=str(tmp_path)), task), task, 12)
    lq, gt = extractor.fixed((0, *corner), 5)
    whole = task.degrade(io.to_tensor(pixels), torch.Generator().manual_seed(5))
    top, left = corner
    torch.testing.assert_close(gt, io.to_tensor(pixels[top : top + 12, left : left + 12]))
    torch.testing.assert_close(lq, whole[:, top : top + 12, left : left + 12])


def test_an_augmented_tile_with_a_margin_matches_its_ground_truth(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    io.write(tmp_path / "one.png", io.Image(pixels))
    task = Averaged()
    extractor = TileExtractor(photographs.load(Folder(path=str(tmp_path)), task), task, 12)
    drawn = samples(extractor)
    for number in range(8):
        lq, gt = drawn[number]
        difference = (torch.nn.functional.avg_pool2d(gt[None], 7, 1)[0] - lq[:, 3:-3, 3:-3]).flatten()
        torch.testing.assert_close(difference, difference[:1].expand_as(difference))  # the constant noise


@given(steps=st.integers(2, 20), batch=st.integers(1, 8), count=st.integers(1, 4))
@settings(deadline=None, max_examples=40)
def test_each_tile_size_is_used_for_an_equal_block_of_steps(steps, batch, count):
    parts = tuple([(size, number) for number in range(steps * batch)] for size in range(count))
    drawn = [Successive(parts, steps, batch)[number] for number in range(steps * batch)]
    assert [number for _, number in drawn] == list(range(steps * batch))
    sizes = [{size for size, _ in drawn[step * batch : (step + 1) * batch]} for step in range(steps)]
    assert all(len(of_step) == 1 for of_step in sizes)
    turns = [of_step.pop() for of_step in sizes]
    assert turns == sorted(turns)
    if steps >= count:
        assert max(map(turns.count, range(count))) - min(map(turns.count, range(count))) <= 1
