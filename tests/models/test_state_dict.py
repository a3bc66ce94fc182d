"""Claims about tensors by name: their differences, and tensors with two names."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lowvision.models.state_dict import difference, few, unshared

STATES = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 3)).map(
    lambda sizes: {name: torch.zeros(size) for name, size in sizes.items()}
)


@settings(max_examples=50, deadline=None)
@given(expected=STATES, actual=STATES)
def test_there_is_no_difference_exactly_if_names_and_shapes_are_equal(
    expected: dict[str, torch.Tensor], actual: dict[str, torch.Tensor]
) -> None:
    shapes = [{name: tensor.shape for name, tensor in state.items()} for state in (expected, actual)]
    assert (difference(expected, actual) == "") == (shapes[0] == shapes[1])


def test_missing_unexpected_and_reshaped_tensors_are_counted_and_named() -> None:
    expected = {"head": torch.zeros(2, 3), "body": torch.zeros(4), "tail": torch.zeros(1)}
    actual = {"head": torch.zeros(3, 2), "tail": torch.zeros(1), **{f"extra{n}": torch.zeros(1) for n in range(5)}}
    assert difference(expected, actual) == (
        "1 missing: body; 5 unexpected: extra0, extra1, extra2, ...; 1 of another shape: head (3, 2) instead of (2, 3)"
    )


def test_a_shared_tensor_has_one_name_and_a_view_of_it_another() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    network[1].weight = network[0].weight
    assert list(unshared(network.state_dict())) == ["0.weight", "0.bias", "1.bias"]
    whole = torch.zeros(4)
    assert list(unshared({"whole": whole, "part": whole[:2], "again": whole})) == ["whole", "part"]


def test_tensors_on_the_meta_device_are_shared_if_they_are_one_object() -> None:
    one, other = torch.empty(3, device="meta"), torch.empty(3, device="meta")
    assert list(unshared({"one": one, "other": other, "again": one})) == ["one", "other"]


def test_more_than_three_names_are_shortened() -> None:
    assert few(["a", "b", "c"]) == "a, b, c"
    assert few(["a", "b", "c", "d"]) == "a, b, c, ..."
