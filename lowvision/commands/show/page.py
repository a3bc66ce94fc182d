"""Format the documents of `show` as text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lowvision.models.calibration import PREFIX
from lowvision.system.text_table import aligned

Document = Mapping[str, Any]

LONGEST_TEXT, SHOWN = 100, 12
"""Characters of an option above which it is cut, and those that are then printed."""


def text(documents: list[dict[str, Any]]) -> str:
    """Format documents, separated by empty lines."""
    return "\n\n".join("\n".join(_lines(document)) for document in documents)


def _lines(document: Document) -> Iterator[str]:
    if "plural" in document:
        yield from _component(document)
    else:
        yield from _architecture(document)


def _component(document: Document) -> Iterator[str]:
    owner = f"{document['plugin']} ({document['distribution']} {document['version']}".rstrip() + ")"
    kind = document["kind"] if document["plural"] == "weights" else f"a {document['kind']}"
    yield f"{document['name']}: {kind} of {owner}"
    yield from (f"  {line}".rstrip() for line in document["about"].splitlines())
    yield from _columns(
        [(option["name"], option["type"], _default(option), option["about"]) for option in document["options"]]
    )
    facts = {
        name: "any" if (name, value) == ("scales", None) else serialize(value)
        for name, value in document["properties"].items()
    }
    if document.get("missing"):
        facts["missing"] = document["missing"]
    if network := document.get("network"):
        facts |= _network(network)
    yield from _columns(list(facts.items()))


def _network(network: Document) -> dict[str, str]:
    if "with" not in network:
        return {"cost": network["problem"]}
    width, height = network["size"]
    return {"cost": f"{cost(network)}, for {named(network['task'])}, input {width}x{height}"}


def _architecture(document: Document) -> Iterator[str]:
    """Format a recipe, a weights file or an exported package."""
    yield f"{document['name']}: a {document['kind']}" + (
        f" that holds a {document['holds']}" if "holds" in document else ""
    )
    yield from (f"  {line}" for line in document.get("about", "").splitlines())
    size = f" ({document['bytes'] / 2**20:.1f} MiB)" if "bytes" in document else ""
    rows = [("file", document["file"] + size), ("task", named(document["task"]))]
    rows += [
        (f"branch {k}", _branch(branch, document["branches"][-1])) for k, branch in enumerate(document["branches"])
    ]
    if len(document["branches"]) > 1:
        rows.append(("base", f"branch {len(document['branches']) - 1}"))
    if "classifier" in document:
        rows.append(("classifier", _branch(document["classifier"])))
    rows.append(
        ("tile", f"{serialize(document['tile'])}; costs are for an input of {'x'.join(map(str, document['size']))}")
    )
    rows += [(f"data.{name}", named(data)) for name, data in document.get("data", {}).items()]
    rows += _measured(document)
    rows += [("plugins", serialize(document["plugins"]))] if document.get("plugins") else []
    rows += [(name, value) for name, value in document.get("provenance", {}).items() if value]
    yield from _columns(rows)
    stages = document.get("stages", [])
    yield from _columns([(stage["name"], stage["about"], serialize(stage["options"])) for stage in stages])


def _measured(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the rows of a file's figures; instead of those of its curve, loss and cost of each point."""
    figures = {name: value for name, value in document.get("measured", {}).items() if not name.startswith(PREFIX)}
    shares = figures.pop("shares", None)
    if figures:
        yield "measured", serialize(figures)
    if shares:
        by_branch = " / ".join(f"{share:.0%}" for share in shares)
        yield "shares", f"{by_branch} of the validation tiles by branch, without a limit on the cost"
    if curve := document.get("curve"):
        points = zip(curve["loss"], curve["share_of_base_whole"], strict=True)
        losses = ", ".join(f"{loss:.2g} at {share:.0%}" for loss, share in points)
        yield "curve", f"dB lost at a share of the base's cost on the whole image: {losses}"
        speeds = ", ".join(f"{name} {share:.0%} of the base" for name, share in curve["speeds"].items())
        yield "speeds", speeds or "none: every point loses more than `fast` allows"


def _branch(network: Document, base: Document | None = None) -> str:
    share = ""
    if base and base.get("multiply_adds") and "multiply_adds" in network and network is not base:
        fraction = network["multiply_adds"] / base["multiply_adds"]
        share = f", {fraction:.0%} of the base" if fraction >= 0.1 else f", {100 * fraction:.2g}% of the base"
    choice = {
        name: {option: _shortened(text) for option, text in value.items()}
        for name, value in network.items()
        if isinstance(value, Mapping) and name != "training"
    }
    return f"{named(choice)}: {cost(network)}{share}"


def _shortened(value: Any) -> Any:
    """Cut a text that is data, e.g. the packed layout of a network; `--json` prints all of it."""
    return f"{value[:SHOWN]}..." if isinstance(value, str) and len(value) > LONGEST_TEXT else value


def cost(network: Document) -> str:
    """Format a cost, e.g. `294,027 parameters, 229.6 M multiply-adds, receptive field: 21 px around`."""
    if "problem" in network:
        return str(network["problem"])
    line = f"{network['parameters']:,} parameters, {_scaled(network['multiply_adds'])} multiply-adds"
    if "theoretical_multiply_adds" in network:
        line += f" (without masked weights, in theory: {_scaled(network['theoretical_multiply_adds'])})"
    if "reach" in network:
        reach = network["reach"]
        line += ", receptive field: " + ("the whole input" if reach is None else f"{reach} px around")
    if training := network.get("training"):
        line += f"; in training: {cost({name: training[name] for name in training if name != 'reach'})}"
    return line


def named(choice: Document) -> str:
    """Format a component with its options, e.g. `carn (channels 36, layers 3)`."""
    ((name, options),) = choice.items()
    return f"{name} ({serialize(options)})" if options else name


def serialize(value: Any) -> str:
    """Format a value without JSON's quotes and braces, e.g. `size 32, overlap 4`."""
    if isinstance(value, Mapping):
        return ", ".join(
            f"{name} ({serialize(inner)})"
            if isinstance(inner, Mapping) and inner
            else f"{name} {serialize(inner)}".strip()
            for name, inner in value.items()
        )
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(serialize, value))}]"
    if value is None:
        return "none"
    return f"{value:.5g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def _default(option: Document) -> str:
    if option["required"]:
        return "required"
    return "absent" if option["default"] is None else serialize(option["default"])


def _scaled(count: int) -> str:
    return f"{count / 1e9:.2f} G" if count >= 1e9 else f"{count / 1e6:.2f} M"


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Align the cells of rows in indented columns, after an empty line; nothing if there are no rows."""
    if rows:
        yield ""
    yield from (f"  {line}" for line in aligned(rows))
