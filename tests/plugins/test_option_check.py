"""Claims about messages for options that a component declares wrongly; test_registry.py loads modules with them."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from pydantic import PydanticUserError

from lowvision.config.options import Options
from lowvision.plugins.option_check import declaration_problem, option_problem


class Assigning(Options):
    """A class whose `__init__` assigns an option."""

    channels: int = 8

    def __init__(self, channels: int = 8):
        self.channels = channels  # type: ignore[misc]  # the fault


class Forwarding(Options):
    """A class whose `__init__` sets options in the way of pydantic."""

    channels: int

    def __init__(self, **values: Any):
        super().__init__(**values)


@pytest.mark.parametrize(
    ("value", "written"),
    [(8, "channels: int = 8"), ("a.b", "channels: str = 'a.b'"), (object, "channels: TYPE = <class 'object'>")],
)
def test_an_option_without_a_type_is_reported_with_its_declaration(value: object, written: str) -> None:
    with pytest.raises(PydanticUserError) as caught:
        type("Plain", (Options,), {"channels": value, "__module__": __name__})
    problem = declaration_problem(caught.value)
    assert f"has no type; write `{written}`, or ClassVar for a constant" in problem
    assert "https" not in problem


@pytest.mark.parametrize("names", [("begin",), ("start")])
def test_a_weights_option_that_does_not_exist_is_reported(names: Any) -> None:
    class Blend(Options):
        weights_options: ClassVar = names
        start: str | None = None

    assert "which is none of its options; write a tuple" in str(option_problem(Blend, Options))
    Blend.weights_options = ("start",)
    assert option_problem(Blend, Options) is None


def test_other_errors_of_a_declaration_are_kept_without_a_link() -> None:
    error = PydanticUserError("a validator of\nno field", code="decorator-missing-field")
    assert "https" in str(error)
    assert declaration_problem(error) == "PydanticUserError: a validator of no field"


def test_an_init_that_assigns_options_is_reported_and_one_that_passes_them_on_is_not() -> None:
    problem = option_problem(Assigning, Options)
    assert problem is not None
    assert problem.startswith("an `__init__` that cannot set options; they need none: declare `channels: int = 8`")
    assert option_problem(Forwarding, Options) is None
