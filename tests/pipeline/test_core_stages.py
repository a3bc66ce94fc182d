"""Claims about the stages of the core: which recipes they refuse, and where the issue stands."""

from __future__ import annotations

from pathlib import Path

import pytest
import toys

from lowvision.pipeline.core_stages import Branches, Distil, OwnTiles


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  rank:\n", "", "stages.branches: needs stages.rank, which sorts the tiles by difficulty"),
        ("{steps: 1000}", "{steps_each: [5, 5]}", "stages.branches.steps_each: has 2 values for 3 branches"),
        ("classifier: gauge\n", "", "stages.classifier: needs a classifier; add one to the recipe"),
        ("  joint:\n", "  joint: {shares: [0.5, 0.5]}\n", "stages.joint.shares: has 2 values for 3 branches"),
        ("  joint:\n", "  distil: {steps: 5}\n", "stages.distil: needs a `teacher`"),
    ],
)
def test_a_stage_that_cannot_run_is_an_error_at_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    changed = toys.RECIPE.replace(old, new, 1)
    assert changed != toys.RECIPE
    lines = [line.partition(": ")[2] for line in toys.complaints(tmp_path, changed)]
    assert message in lines


def test_all_tiles_of_a_stage_must_fit_its_networks() -> None:
    class Even(toys.Net):
        """A network for sides that are multiples of 4."""

        multiple_of = 4

    tiles = OwnTiles(tile=(16, 18, 20, 30))
    issues = list(tiles.tile_issues([toys.Net(), Even()]))
    assert issues == [("tile", f"{size} must be a multiple of 4 for its backbone") for size in (18, 30)]


@pytest.mark.parametrize(("tile", "sizes"), [(None, ()), (32, (32,)), ((32, 48), (32, 48))])
def test_one_size_of_tiles_is_a_list_of_one(tile: object, sizes: tuple[int, ...]) -> None:
    assert OwnTiles(tile=tile).tiles == sizes


def test_each_network_of_a_stage_has_its_own_steps() -> None:
    branches = Branches(steps=100, warmup=9, steps_each=(10, 0, 20))
    assert [branches.of(k).steps for k in range(3)] == [10, 0, 20]
    assert branches.of(0).of(2).steps == 20
    assert branches.fewest_steps == 10  # a branch of 0 steps is not trained
    assert Distil(steps=100, steps_each=(10, 20)).of(1).steps == 20
    assert Branches(steps=100).of(2).steps == 100


@pytest.mark.parametrize("stage", [Branches, Distil])
def test_the_warmup_ends_within_the_shortest_training(stage: type[Branches] | type[Distil]) -> None:
    with pytest.raises(ValueError, match="warmup 10 must be less than steps 10"):
        stage(steps=100, warmup=10, steps_each=(10, 20))
