"""Reports spell components as a recipe does, without what need not be written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowvision.config import yaml_reader
from lowvision.plugins import registry
from lowvision.plugins.choice import choose
from lowvision.plugins.spelling import in_words, spell

KNOWN = registry.load()


def task(choice: Any) -> Any:
    return choose("tasks", choice, KNOWN)


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({"sr": {"scale": 4}}, "sr, scale 4, channels 3"),
        (
            {"chain": {"scale": 2, "of": ({"blur": {"radius": (0.2, 3)}}, {"resize": {"factor": 0.5}}, "noise")}},
            "chain, scale 2, channels 3, context 8, of [{blur: {radius: [0.2, 3]}}, {resize: {factor: 0.5}}, noise], "
            "shuffle false, repeat 1, probability 1",
        ),
        ("real_esrgan", "real_esrgan, scale 4, channels 3, context 8, shuffle false, repeat 1, probability 1, order 2"),
    ],
)
def test_a_task_is_its_name_and_its_options(choice: Any, text: str) -> None:
    assert in_words(task(choice), KNOWN) == text


links = st.one_of(
    st.builds(lambda radius: {"blur": {"radius": (0.25, radius)}}, st.sampled_from([0.5, 2.25, 3.0])),
    st.sampled_from(["noise", "jpeg", {"jpeg": {"quality": (30, 60)}}]),
    st.sampled_from([{"resize": {"factor": 1.0, "relative_to": "lq"}}, {"real_esrgan": {"order": 1}}, "sinc"]),
)
chains = st.builds(
    lambda of, options: {"chain": {"of": tuple(of), **options}},
    st.lists(links, min_size=1, max_size=3),
    st.sampled_from([{}, {"shuffle": True}, {"scale": 4, "repeat": 2}, {"probability": 0.5}]),
)


@given(chains | st.builds(lambda of: {"chain": {"of": (of,)}}, chains))
def test_what_is_spelled_is_read_as_the_same_component(choice: Any) -> None:
    made = task(choice)
    assert task(yaml_reader.parse(f"task: {spell(made, KNOWN)}", "r.yml").value["task"]) == made
