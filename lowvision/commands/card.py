"""Write the model card of a weights file, in Markdown with the metadata that Hugging Face reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lowvision.commands.show import networks
from lowvision.config import yaml_reader
from lowvision.models import weights
from lowvision.models.weights_header import Header
from lowvision.plugins.registry import Registry

PROTOCOL = "on the fixed tiles of `data.valid` in training, without shaving borders"
"""Measurement protocol of values in a header whose names state no other."""


def card(path: Path, registry: Registry) -> str:
    """Return the card: task, networks, cost, measurements with their protocol, licence, plugins and use.

    Raises WeightsError if the file is not a weights file.
    """
    header = weights.read_header(path, registry)
    tile = header.architecture.tile.size
    heads = ("network", "parameters", "multiply-adds")
    described = networks.of_architecture(header.architecture.deployed(), registry, tile, tile)
    return "\n".join(
        [
            *_metadata(header, described),
            f"# {path.stem}",
            "",
            header.provenance.about or "The file states no purpose and no training data.",
            "",
            *_table("Model", ("property", "value"), _properties(header, described)),
            *_table(f"Cost for one tile of {tile}x{tile}", heads, _costs(described)),
            *_table(f"Measured {PROTOCOL}", ("metric", "value"), _measurements(header)),
            *_use(path, header),
        ]
    )


def _metadata(header: Header, described: Mapping[str, Any]) -> list[str]:
    task = next(iter(described["task"]))
    values = {
        "library_name": "lowvision",
        "pipeline_tag": "image-to-image",
        "tags": ["lowvision", task, *dict.fromkeys(_family(branch) for branch in described["branches"])],
    }
    if header.provenance.license:
        values = {"license": header.provenance.license.lower(), **values}
    return ["---", yaml_reader.dump(values).rstrip(), "---", ""]


def _family(network: Mapping[str, Any]) -> str:
    """Return the name of a component in a document of `networks`, which is its first key."""
    return str(next(iter(network)))


def _properties(header: Header, described: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "task", _component(described["task"])
    yield "kind", "classifier and branches" if header.kind == "container" else "one network"
    yield "networks", ", ".join(dict.fromkeys(_family(branch) for branch in described["branches"]))
    if "classifier" in described:
        yield "classifier", _family(described["classifier"])
    yield "licence", header.provenance.license or "not stated"
    if header.provenance.origin:
        yield "converted from", header.provenance.origin
    yield "plugins", ", ".join(f"{name} {version}" for name, version in header.plugins.items()) or "none"


def _component(document: Mapping[str, Any]) -> str:
    """Return a component as `name: option value, ...`."""
    ((name, options),) = document.items()
    text = ", ".join(f"{option} {value}" for option, value in options.items())
    return f"{name}: {text}" if text else str(name)


def _costs(described: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    rows = [(f"branch {k}", branch) for k, branch in enumerate(described["branches"])]
    if "classifier" in described:
        rows.append(("classifier", described["classifier"]))
    for name, network in rows:
        if "problem" in network:
            yield name, "", str(network["problem"])
        else:
            yield name, f"{network['parameters']:,}", f"{network['multiply_adds']:,}"


def _measurements(header: Header) -> Iterator[tuple[str, str]]:
    for name, value in header.measured.items():
        numbers = value if isinstance(value, tuple) else (value,)
        yield name, ", ".join(f"{number:.4g}" for number in numbers)


def _table(title: str, heads: Sequence[str], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    """Yield a section with a table; nothing if it has no rows."""
    listed = [tuple(cell.replace("|", "\\|") for cell in row) for row in rows]
    if not listed:
        return
    yield from (f"## {title}", "", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads))
    yield from (f"| {' | '.join(row)} |" for row in listed)
    yield ""


def _use(path: Path, header: Header) -> list[str]:
    plugins = " ".join(name for name in header.plugins if name != "lowvision-framework")
    return [
        "## Use",
        "",
        "```sh",
        f"pip install lowvision-framework {plugins}".rstrip(),
        f"lowvision restore photo.png -m {path.name}",
        "```",
        "",
    ]
