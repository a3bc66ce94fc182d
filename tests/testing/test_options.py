"""Claims about check_options: options models that files cannot hold are reported with a way out."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import field_validator

from lowvision.config.options import Options
from lowvision.testing.options import check_options, name_of


class Sound(Options):
    """Options that survive a file."""

    width: int = 4
    """A number."""
    levels: tuple[float, ...] = (0.5, 1.0)
    """Numbers."""


class Undescribed(Options):
    """Options of which one has no docstring."""

    width: int = 4


class Inherited(Sound):
    pass


class Drifting(Options):
    """Options whose validator changes its own result."""

    width: int = 4
    """A number."""

    @field_validator("width")
    @classmethod
    def _doubles(cls, value: int) -> int:
        return 2 * value


class Unwritable(Options):
    """Options that JSON cannot hold."""

    anything: Any = None
    """Any value."""


@pytest.mark.parametrize("options", [Sound(), Sound(width=8, levels=())])
def test_sound_options_pass(options: Options) -> None:
    check_options(options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Undescribed(), "Undescribed: give the option 'width' a docstring below it"),
        (Inherited(), "Inherited: give the class a docstring; `lowvision ls` shows its first line"),
        (Drifting(width=3), r"Drifting: .* but .* is read; a validator must not change its own results"),
        (Unwritable(anything=object()), "Unwritable: its options cannot be written to JSON and read again"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Options) else "",
)
def test_options_that_files_cannot_hold_are_reported(options: Options, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_options(options)


def test_options_are_named_by_what_was_set() -> None:
    assert name_of(Sound()) == "Sound()"
    assert name_of(Sound(width=8)) == "Sound(width=8)"
