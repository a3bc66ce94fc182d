"""Claims about architectures: what is built from them, and which tiles are refused."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import pairwise

import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from lowvision.models.architecture import Architecture, Tile
from lowvision.models.header_json import with_tuples
from lowvision.plugins import registry
from lowvision.routing.container import RoutedContainer
from lowvision.routing.tiling import plan

KNOWN = registry.load()
CONTAINER = tiny.architecture()


@given(size=st.integers(0, 100), overlap=st.integers(-5, 100))
def test_the_tiles_of_valid_options_advance(size: int, overlap: int) -> None:
    is_valid = size >= 8 and 0 <= 2 * overlap <= size
    with nullcontext() if is_valid else pytest.raises(ValidationError):
        Tile(size=size, overlap=overlap)


def test_an_overlap_that_is_too_large_names_both_numbers() -> None:
    with pytest.raises(ValidationError, match="overlap 9 must be at most half of the tile's size 16"):
        Tile(size=16, overlap=9)


@given(size=st.integers(8, 100), overlap=st.integers(0, 50), side=st.integers(200, 1000))
def test_tiles_cover_the_length_with_their_least_overlap(size: int, overlap: int, side: int) -> None:
    tile = Tile(size=size, overlap=min(overlap, size // 2))
    length = tile.covering(side)
    tiling = plan(length, length, tile.size, tile.overlap)
    assert side - length < tile.size - tile.overlap
    assert {after - before for before, after in pairwise(tiling.tops)} == {tile.size - tile.overlap}


def test_covered_lengths_hold_a_seam_between_merged_tiles() -> None:
    assert Tile(size=64, overlap=16).covering(100) == 2 * 48 + 16
    assert Tile(size=64, overlap=16, merge=4).covering(100) == 5 * 48 + 16


@pytest.mark.parametrize("merge", [0, 1, 17, "far"])
def test_tiles_merge_from_two_to_sixteen_rows(merge: object) -> None:
    with pytest.raises(ValidationError, match="merge"):
        Tile(merge=merge)  # type: ignore[arg-type]


def test_an_architecture_survives_the_json_of_a_header() -> None:
    written = CONTAINER.model_dump(mode="json", context=KNOWN)
    assert Architecture.model_validate(with_tuples(written), context=KNOWN) == CONTAINER


def test_a_container_builds_its_branches_and_a_classifier_of_as_many_classes() -> None:
    network = CONTAINER.build()
    assert isinstance(network, RoutedContainer)
    assert len(network.branches) == len(CONTAINER.branches)
    assert CONTAINER.kind == "container"


@pytest.mark.parametrize("k", [0, 2, -1])
def test_one_branch_is_a_single_network_on_the_same_tiles(k: int) -> None:
    only = CONTAINER.only(k)
    assert (only.kind, only.branches, only.tile) == ("backbone", (CONTAINER.branches[k],), CONTAINER.tile)
    built, branch = only.build(), CONTAINER.branches[k].build(CONTAINER.task)
    assert [p.shape for p in built.parameters()] == [p.shape for p in branch.parameters()]


def test_a_single_network_in_a_container_has_an_identity_as_classifier() -> None:
    container = CONTAINER.only(0).build_container()
    assert isinstance(container.classifier, nn.Identity)
    assert len(container.branches) == 1


def test_an_architecture_has_at_least_one_branch() -> None:
    with pytest.raises(ValidationError, match="branches"):
        CONTAINER.replace(branches=())
