"""Claims about the names of an architecture's components."""

from __future__ import annotations

import tiny

from lowvision.config.options import Options
from lowvision.models import component_names
from lowvision.models.architecture import Architecture
from lowvision.plugins import registry

KNOWN = registry.load()
CONTAINER = tiny.architecture()


def wrapped() -> Architecture:
    """Return a single network whose backbone has another one among its options."""
    value = {
        "task": {"sr": {"scale": 2}},
        "branches": ({"exits": {"of": {"srresnet": {"layers": 8, "channels": 16}}}},),
    }
    return Architecture.model_validate(value, context=KNOWN)


def test_a_container_and_a_single_network_are_named() -> None:
    assert component_names.brief(CONTAINER, KNOWN) == "a container of fsrcnn, fsrcnn, fsrcnn for sr x2"
    assert component_names.brief(CONTAINER.only(0), KNOWN) == "fsrcnn for sr x2"


def test_the_distributions_of_all_components_are_listed() -> None:
    assert set(component_names.plugins_of(CONTAINER, KNOWN)) == {
        KNOWN.entry_of(component).distribution
        for component in (CONTAINER.task, CONTAINER.branches[0], CONTAINER.classifier)
        if component is not None
    }


def test_backbones_among_the_options_of_a_backbone_are_components_too() -> None:
    names = [KNOWN.name_of(component) for component in component_names.components_of(wrapped())]
    assert names == ["sr", "exits", "srresnet"]


def test_options_are_shown_also_inside_other_backbones() -> None:
    text = component_names.shown(wrapped(), KNOWN)
    assert text.startswith("exits(")
    assert "of=srresnet(" in text
    assert "channels=16" in text
    assert text.endswith(" for sr x2")


def test_a_single_network_has_no_classifier_among_its_components() -> None:
    parts: list[Options] = component_names.components_of(CONTAINER.only(1))
    assert parts == [CONTAINER.task, CONTAINER.branches[1]]
