"""Claims about the colours of classes."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from lowvision.imaging.palette import ANCHORS, colours, hexadecimal


@pytest.mark.parametrize("classes", [1, 2, 3, 5, 12])
def test_every_class_has_a_distinct_colour(classes):
    assert len(set(colours(classes))) == classes


@pytest.mark.parametrize("classes", [2, 3, 4, 9])
def test_the_simplest_and_hardest_class_have_the_end_colours(classes):
    assert (colours(classes)[0], colours(classes)[-1]) == (ANCHORS[0], ANCHORS[-1])


# Simulation of protanopia and deuteranopia in linear RGB (Viénot, Brettel and Mollon 1999).
BLINDNESS = {
    "protan": ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0)),
    "deutan": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
}


@pytest.mark.parametrize("kind", BLINDNESS)
@pytest.mark.parametrize("classes", [2, 3, 4, 5])
def test_classes_stay_distinct_under_red_green_blindness(kind, classes):
    linear = (np.array(colours(classes)) / 255) ** 2.2
    perceived = 255 * (linear @ np.array(BLINDNESS[kind]).T).clip(0, 1) ** (1 / 2.2)  # (M, 3)
    distances = [float(np.linalg.norm(a - b)) for a, b in combinations(perceived, 2)]
    assert min(distances) > 40


def test_html_colours_have_six_hex_digits():
    assert hexadecimal((0, 16, 255)) == "#0010ff"
