"""Stages train on tiles of the sizes that they set for themselves, also if the tiles were ranked at another size."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import tiny
from accelerate import Accelerator

from lowvision.errors import RunError
from lowvision.pipeline.core_stages import Branches, Joint
from lowvision.pipeline.stages import branches, tile_sizes
from lowvision.pipeline.stages.job import Job
from lowvision.pipeline.stages.rank import Ranking
from lowvision.plugins import registry
from lowvision.recipe import reading
from lowvision.training.log import Log


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("sizes")
    known = registry.load()
    recipe = reading.read(tiny.write_recipe(folder), known)
    return Job(recipe, known, Accelerator(cpu=True), folder, Log(folder, speaks=False), "joint")


def test_each_size_has_an_equal_part_of_the_steps(job: Job) -> None:
    options = Joint(steps=4, batch=2, tile=(8, 24))
    samples = tile_sizes.everywhere(job, options, "joint")
    assert [samples[number][0].shape[-1] for number in range(8)] == [8] * 4 + [24] * 4
    assert samples[7][1].shape == (3, 48, 48)


def test_without_a_size_of_its_own_a_stage_has_that_of_the_recipe(job: Job) -> None:
    assert tile_sizes.everywhere(job, Joint(), "joint")[0][0].shape == (3, 16, 16)


def test_a_ranked_tile_keeps_its_centre_or_the_nearest_place_in_its_photograph(job: Job) -> None:
    ranked, larger = job.extractor("train"), job.extractor("train", 24)
    (height, width), *_ = [photograph.lq_size for photograph in ranked.photographs]
    ranking = Ranking(np.array([[0, 10, 10], [1, 0, width - 16]]), np.array([30.0, 20.0]), np.array([0, 1]))
    assert ranking.resized(ranked, larger).coords_list.tolist() == [[0, 6, 6], [1, 0, width - 24]]
    assert ranking.resized(ranked, job.extractor("train", 8)).coords_list.tolist() == [[0, 14, 14], [1, 4, width - 12]]
    assert ranking.resized(ranked, ranked) is ranking
    assert height >= 24


def test_photographs_that_are_too_small_lose_their_tiles(job: Job) -> None:
    ranked, larger = job.extractor("train"), job.extractor("train", 24)
    fewer = type(larger)(larger.photographs[1:], larger.task, 24)
    ranking = Ranking(np.array([[0, 0, 0], [1, 4, 4]]), np.array([30.0, 20.0]), np.array([0, 1]))
    resized = ranking.resized(ranked, fewer)
    assert (resized.coords_list.tolist(), resized.classes.tolist()) == ([[0, 0, 0]], [1])
    samples = partial(branches._samples, job, Branches(tile=24), 1, ranking, ranked)
    assert samples(fewer)[0][0].shape == (3, 24, 24)
    with pytest.raises(RunError, match="branches/0: no tile of its class is in a photograph of 24 pixels; lower tile"):
        branches._samples(job, Branches(tile=24), 0, ranking, ranked, fewer)
