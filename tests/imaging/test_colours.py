"""Claims about colours by name."""

from __future__ import annotations

import pytest

from lowvision.errors import UsageError
from lowvision.imaging import colours


@pytest.mark.parametrize(
    ("name", "colour"),
    [("white", (255, 255, 255)), ("#0080ff", (0, 128, 255)), ("#08f", (0, 136, 255)), ("#0080ff40", (0, 128, 255))],
)
def test_a_colour_is_a_name_or_hexadecimal_without_its_alpha(name: str, colour: tuple[int, int, int]) -> None:
    assert colours.parse(name) == colour


@pytest.mark.parametrize("name", ["", "whitish", "#12", "0080ff"])
def test_another_text_is_an_error_with_a_way_out(name: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}' is not a colour; give a name such as white, or #rrggbb"):
        colours.parse(name)
