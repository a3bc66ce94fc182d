"""`lowvision cache` and `lowvision cache clear`."""

from __future__ import annotations

import typer

cache = typer.Typer(
    help="Print the size of the cache, or clear it with `cache clear`.", add_completion=False, rich_markup_mode=None
)


@cache.callback(invoke_without_command=True)
def cache_size(context: typer.Context) -> None:
    """Print the size of the cache, or clear it with `cache clear`."""
    if context.invoked_subcommand is None:
        from lowvision.system import cache as cached

        typer.echo(f"{cached.root()}: {_gigabytes(cached.size())} of at most {_gigabytes(cached.limit())}")


@cache.command("clear")
def cache_clear() -> None:
    """Delete all cached photographs and ONNX graphs; they are created again when needed."""
    from lowvision.system import cache as cached

    typer.echo(f"{cached.root()}: {_gigabytes(cached.clear())} freed")


def _gigabytes(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
