"""The commands of `lowvision`, each imported and built when it is called."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from lowvision.cli.plain_errors import PlainCommand

COMMANDS = (
    "run.run",
    "restore.restore",
    "serve.serve",
    "web_app.app",
    "evaluate.evaluate",
    "bench.bench",
    "accelerate.accelerate",
    "export.export",
    "convert.convert",
    "check.check",
    "cp.cp",
    "schema.schema",
    "ls.ls",
    "show.show",
    "plugins.plugins",
    "doctor.doctor",
    "card.card",
    "new_plugin.new_plugin",
    "cache.cache",
)
"""Commands in the order of `--help`: file in this folder and its function, whose name the command has."""


class Commands(Mapping[str, Any]):
    """The commands by name, in classes that typer keeps to itself; each is imported and built when it is looked up.

    Building all of them takes a third of the time of `lowvision --help`.
    """

    def __init__(self) -> None:
        self._places = {place.rpartition(".")[2].replace("_", "-"): place for place in COMMANDS}

    def __getitem__(self, name: str) -> Any:
        return _built(_imported(self._places[name]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def without_parameters(self) -> dict[str, Any]:
        """Return the commands with nothing but their help."""
        return {name: TyperCommand(name, help=_help(_imported(place))) for name, place in self._places.items()}


class CommandGroup(TyperGroup):
    """The group of all commands."""

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self.commands = Commands()  # type: ignore[assignment]  # typer only reads them

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # typer's own class
        return list(self.commands)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # as above
        """Run the command; Ctrl-C ends it with a word and exit code 130, where typer would say nothing."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(130) from None

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # as above
        TyperGroup(commands=Commands().without_parameters()).format_commands(ctx, formatter)


def _imported(place: str) -> Any:
    """Return the function of a command, or the app of a command that has commands itself."""
    module, _, name = place.rpartition(".")
    return getattr(import_module(f"{__package__}.{module}"), name)


def _built(command: Any) -> Any:
    if isinstance(command, typer.Typer):
        return typer.main.get_command(command)
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(cls=PlainCommand)(command)
    return typer.main.get_command(single)


def _help(command: Any) -> str | None:
    return command.info.help if isinstance(command, typer.Typer) else inspect.getdoc(command)
