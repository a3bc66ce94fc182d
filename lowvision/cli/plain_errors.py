"""Errors of arguments without the words of the library that parses them."""

from __future__ import annotations

import typer
from typer.core import TyperCommand

PREFIX = "Value error, "
"""Text that pydantic, which parses the arguments for typer, puts before a message."""


class PlainCommand(TyperCommand):
    """A command whose messages about arguments do not begin with pydantic's words."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # typer's own class
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix(PREFIX)
            raise
