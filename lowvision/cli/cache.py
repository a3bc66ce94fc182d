"""`lowvision cache`, and `lowvision cache clear`."""

from __future__ import annotations

import typer

family = typer.Typer(help="The cache of photographs and graphs: its size, or `clear`.", rich_markup_mode=None)


@family.callback(invoke_without_command=True)
def cache_size(context: typer.Context) -> None:
    """The cache of photographs and graphs: its size, or `clear`."""
    if context.invoked_subcommand is None:
        from lowvision.system import cache

        typer.echo(f"{cache.root()}: {_gigabytes(cache.size())} of at most {_gigabytes(cache.limit())}")


@family.command("clear")
def cache_clear() -> None:
    """Delete what is cached; it is made again when it is needed."""
    from lowvision.system import cache

    typer.echo(f"{cache.root()}: {_gigabytes(cache.clear())} freed")


def _gigabytes(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
