"""The command line: parses words, prints answers and errors, sets exit codes. What is heavy is imported in commands."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lowvision import __version__
from lowvision.errors import LowvisionError, RecipeError, UsageError

app = typer.Typer(
    name="lowvision",
    help="Low-level vision that spends its effort where an image is hard.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich would take a third of the time
)
cache_app = typer.Typer(help="The cache of photographs and graphs: its size, or `clear`.", rich_markup_mode=None)
app.add_typer(cache_app, name="cache")

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the recipe, as stages.base.steps=1000."),
]
Device = Annotated[str, typer.Option(help="cpu, cuda, mps or auto.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
WEIGHTS_WANTED = """\
restore needs weights: -m FILE. A recipe makes them: `lowvision run recipes/sr_carn.yml` leaves
runs/sr_carn/joint/best.safetensors (last.safetensors where the recipe has no data.valid)"""


class Format(StrEnum):
    """What `--format` knows."""

    png = "png"
    jpg = "jpg"
    tif = "tif"
    webp = "webp"
    bmp = "bmp"


def main() -> None:
    """Run the command of this process's words; an error is one message and an exit code, not a traceback."""
    try:
        app()
    except LowvisionError as error:
        if "--debug" in sys.argv:
            raise
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lowvision {__version__}")
        raise typer.Exit


@app.callback()
def lowvision(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="The version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    # Both are seen to elsewhere: by the callback, and by `main`.
    pass


@app.command()
def run(
    recipe: RecipeFile,
    overrides: Overrides = None,
    name: Annotated[str | None, typer.Option(help="Name of the run's folder; else the recipe's.")] = None,
    runs: Annotated[Path, typer.Option(help="Where the folders of runs are.")] = Path("runs"),
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew: delete what the run has so far.")] = False,
    seed: Annotated[int | None, typer.Option(help="Short for the override seed=N.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="How many processes train together.")] = 1,
    device: Device = "auto",
) -> None:
    """Run a recipe from its first stage to its report; the same command again goes on where it stopped."""
    changes = [*(overrides or ()), *([] if seed is None else [f"seed={seed}"])]
    from lowvision import registry
    from lowvision.recipe import reading

    known = registry.load()
    found = reading.read(recipe, known, changes)
    if processes > 1:
        raise typer.Exit(_launched(processes, device))
    from lowvision import run

    run.run(found, known, recipe, runs / (name or recipe.stem), restart, device)


@app.command()
def restore(
    words: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Image files, folders (with all below), quoted patterns.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT", help="A folder for the results; for one file, its result.")
    ],
    weights: Annotated[
        Path | None,
        typer.Option("-m", "--weights", metavar="WEIGHTS", help="A weights file, or an exported package."),
    ] = None,
    budget: Annotated[float | None, typer.Option(help="The share of the base's cost to spend, as 0.6.")] = None,
    maps: Annotated[
        bool, typer.Option("--map", help="Also write which branch restored what, as NAME.map.png.")
    ] = False,
    form: Annotated[Format | None, typer.Option("--format", help="Of the results; else each keeps its own.")] = None,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG and WebP; WebP is lossless at 100.")] = 95,
    strip_metadata: Annotated[bool, typer.Option("--strip-metadata", help="Leave EXIF and ICC out.")] = False,
    skip_existing: Annotated[bool, typer.Option("--skip-existing", help="Leave alone what has a result.")] = False,
    max_megapixels: Annotated[float, typer.Option(min=0, help="Refuse larger inputs before decoding them.")] = 250,
    processes: Annotated[int, typer.Option(min=1, help="How many processes share the files.")] = 1,
    runtime: Annotated[
        str, typer.Option("--runtime", "--engine", help="What runs the networks; auto measures which is fastest, once.")
    ] = "auto",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Restore images with a weights file; goes on after a bad one. Exits with 1 where some failed."""
    if weights is None:
        raise UsageError(WEIGHTS_WANTED)
    from lowvision import export, inputs, registry, restore, trained
    from lowvision.processes import join

    known = registry.load()
    _ = export.read(weights, known) if weights.is_dir() else trained.read(weights, known)
    crew = join(device)
    planned = inputs.plan(words, output, form and f".{form}", maps)
    crew.wait()  # no process may write before all have looked: it could change what they find
    restore.check_writable(output)
    if processes > 1:
        raise typer.Exit(_launched(processes, device))
    manner = restore.Manner(budget, quality, strip_metadata, maps, skip_existing, int(max_megapixels * 1e6))
    document = restore.restore(planned, weights, manner, known, crew, device, runtime)
    if crew.leads:
        typer.echo(json.dumps(document, indent=1) if as_json else restore.text(document))
        raise typer.Exit(1 if document["failed"] else 0)


@app.command()
def evaluate(
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="A weights file (safetensors).")],
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Folders of ground truth, or of gt/ and lq/.")
    ],
    downscale: Annotated[float, typer.Option(min=1, help="Shrink every image by this factor first.")] = 1.0,
    longer_side: Annotated[int | None, typer.Option(min=1, help="Shrink images to this longer side first.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A folder for the report and its pictures.")
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure a weights file on folders of photographs: quality, exact cost and seconds beside its own base."""
    from lowvision import registry, report
    from lowvision.evaluate import evaluate
    from lowvision.folders import Folder

    sets = {
        name: Folder(path=str(folder), downscale=downscale, longer_side=longer_side)
        for name, folder in _named(folders).items()
    }
    document = evaluate(weights, sets, registry.load(), output, device)
    typer.echo(json.dumps(document, indent=1) if as_json else report.text(document))


@app.command()
def bench(
    weights: Annotated[
        Path,
        typer.Argument(metavar="WEIGHTS", help="A weights file, an exported package, or a recipe: networks untrained."),
    ],
    size: Annotated[
        list[str] | None, typer.Option(metavar="WxH", help="Of the input; several times for several. Else 960x540.")
    ] = None,
    shares: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Force these shares of tiles on the branches, as 61,23,16.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Timed runs of each row.")] = 3,
    rows: Annotated[
        str | None, typer.Option(metavar="ROW,...", help="Only these, as base_whole,routed:openvino.")
    ] = None,
    image: Annotated[Path | None, typer.Option(metavar="PHOTO", help="A photograph; else a sample.")] = None,
    as_json: AsJson = False,
) -> None:
    """Time every way to restore an image on this machine's CPU, each in a process of its own, turn by turn."""
    from lowvision import registry
    from lowvision.bench import measure, table
    from lowvision.bench import rows as ways

    known = registry.load()
    wanted = measure.Wanted(
        subject=weights,
        sizes=tuple(measure.size_of(words) for words in dict.fromkeys(size or ["960x540"])),
        rows=ways.usual(known) if rows is None else ways.named(rows.split(","), known),
        rounds=rounds,
        shares=shares,
        photo=image,
    )
    document = measure.measure(wanted, known)
    typer.echo(json.dumps(document, indent=1) if as_json else table.text(document))


@app.command()
def export(
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="A weights file (safetensors).")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="A folder that is not there yet.")],
) -> None:
    """Write every network of a weights file as an ONNX graph, and a manifest, into a folder."""
    from lowvision import export, registry

    export.write(weights, output, registry.load())
    typer.echo(f"{output}: {', '.join(sorted(path.name for path in output.iterdir()))}")


@app.command()
def check(
    recipe: RecipeFile,
    overrides: Overrides = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="Print the recipe with all defaults.")] = False,
    build: Annotated[bool, typer.Option("--build", help="Also try networks, files and names.")] = False,
) -> None:
    """Tell everything that is wrong with a recipe."""
    from lowvision import registry
    from lowvision.recipe import reading

    known = registry.load()
    found = reading.read(recipe, known, overrides or ())
    if build:
        from lowvision import preflight

        preflight.check(found, known)
    typer.echo(reading.resolved(found, known).rstrip() if resolved else f"{recipe}: nothing wrong")


@app.command()
def schema() -> None:
    """Print the JSON schema of recipes, for editors."""
    from lowvision import registry
    from lowvision.recipe.schema import schema

    typer.echo(json.dumps(schema(registry.load()), indent=1, ensure_ascii=False))


@app.command()
def ls(
    menu: Annotated[str | None, typer.Argument(help="One menu: tasks, backbones, ...")] = None, as_json: AsJson = False
) -> None:
    """List what recipes can name, and what can run a network."""
    from lowvision import hookspecs, listing, registry

    if menu is not None and menu not in hookspecs.MENUS:
        raise RecipeError(f"no menu '{menu}'; there are {', '.join(hookspecs.MENUS)}")
    known = registry.load()
    if as_json:
        typer.echo(json.dumps(listing.menus(known, menu), indent=1, ensure_ascii=False))
    else:
        typer.echo("\n".join(listing.menu_lines(known, menu)))
    for broken in known.broken:
        typer.echo(f"plugin {broken.plugin} failed to load: {broken.reason}", err=True)


@app.command()
def plugins(as_json: AsJson = False) -> None:
    """List the installed plugins, the broken ones with the reason."""
    from lowvision import listing, registry

    known = registry.load()
    if as_json:
        typer.echo(json.dumps(listing.plugins(known), indent=1, ensure_ascii=False))
    else:
        typer.echo("\n".join(listing.plugin_lines(known)))


@cache_app.callback(invoke_without_command=True)
def cache_size(context: typer.Context) -> None:
    """The cache of photographs and graphs: its size, or `clear`."""
    if context.invoked_subcommand is None:
        from lowvision.training import cache

        typer.echo(f"{cache.root()}: {_gigabytes(cache.size())} of at most {_gigabytes(cache.limit())}")


@cache_app.command("clear")
def cache_clear() -> None:
    """Delete what is cached; it is made again when it is needed."""
    from lowvision.training import cache

    typer.echo(f"{cache.root()}: {_gigabytes(cache.clear())} freed")


def _launched(processes: int, device: str) -> int:
    """The exit code of this process's command, done by several processes."""
    from lowvision.processes import launch

    return launch(_words_without("--processes"), processes, device)


def _words_without(option: str) -> list[str]:
    """The words of this process's command without an option and its value."""
    words = sys.argv[1:]
    kept = [word for word in words if not word.startswith(f"{option}=")]
    if option in kept:
        at = kept.index(option)
        del kept[at : at + 2]
    return kept


def _named(folders: list[Path]) -> dict[str, Path]:
    """Each folder by its own name, or by more of its path where two are called alike."""
    named: dict[str, Path] = {}
    for folder in folders:
        parts = [part for part in folder.resolve().parts if part != folder.anchor]
        names = ("-".join(parts[-n:]) for n in range(1, len(parts) + 1))
        named[next((name for name in names if name not in named), str(folder))] = folder
    return named


def _gigabytes(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
