"""Outcomes of `lowvision restore`, and the document and text that sum them up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lowvision.commands.inputs import Input
from lowvision.commands.restore_request import RestoreOptions
from lowvision.plugins.contracts import Task
from lowvision.plugins.registry import Registry
from lowvision.system.printable import printable

SCHEMA = 1
"""Version of the document; incremented on incompatible changes."""
MOST_NAMED = 5
"""Kinds of ignored files that the text names."""


@dataclass(frozen=True)
class Done:
    """An input that was restored."""

    source: Input
    height: int
    """Height of the input."""
    width: int
    """Width of the input."""
    tiles: tuple[int, ...]
    """Number of tiles per branch."""
    cost: int
    """Multiply-adds."""
    base_cost: int
    """Multiply-adds of the base on the whole image."""
    seconds: float
    """Time of restoring, without reading and writing."""
    result_height: int
    result_width: int
    frames: int = 1
    """Number of frames or pages."""


@dataclass(frozen=True)
class Skipped:
    """An input whose result existed."""

    source: Input


@dataclass(frozen=True)
class Failed:
    """An input that could not be restored, or whose result could not be written."""

    source: Input
    reason: str


Outcome = Done | Skipped | Failed


def document(
    outcomes: Sequence[Outcome], task: Task, registry: Registry, options: RestoreOptions, seconds: float
) -> dict[str, Any]:
    """Build the JSON document of all outcomes; keys and units are those of reports."""
    done = [outcome for outcome in outcomes if isinstance(outcome, Done)]
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    skipped = [outcome for outcome in outcomes if isinstance(outcome, Skipped)]
    total: dict[str, Any] = {"restored": len(done), "skipped": len(skipped), "failed": len(failed)}
    if done:
        tiles = tuple(sum(counts) for counts in zip(*(outcome.tiles for outcome in done), strict=True))
        total |= _costs(tiles, sum(outcome.cost for outcome in done), sum(outcome.base_cost for outcome in done))
    return {
        "schema": SCHEMA,
        "task": registry.serialize(task),
        "images": [_image(outcome, options) for outcome in done],
        "skipped": [outcome.source.names[0] for outcome in skipped],
        "failed": [{"input": outcome.source.names[0], "reason": outcome.reason} for outcome in failed],
        "total": {**total, "seconds": seconds},
    }


def _image(outcome: Done, options: RestoreOptions) -> dict[str, Any]:
    name, result, route_map = outcome.source.names
    return {
        "input": name,
        "result": result,
        **({"map": route_map} if options.draws_maps else {}),
        "height": outcome.height,
        "width": outcome.width,
        "frames": outcome.frames,
        **_costs(outcome.tiles, outcome.cost, outcome.base_cost),
        "seconds": outcome.seconds,
    }


def _costs(tiles: Sequence[int], cost: int, base_cost: int) -> dict[str, Any]:
    return {
        "shares": [count / sum(tiles) for count in tiles],
        "gmac": cost / 1e9,
        "gmac_of_base": base_cost / 1e9,
        "share_of_base": cost / base_cost,
    }


def text(document: dict[str, Any]) -> str:
    """Format the document: one line of totals, and a line per failure."""
    total = document["total"]
    lines = [f"{total['restored']} restored, {total['skipped']} skipped, {total['failed']} failed"]
    if total["restored"]:
        lines[0] += f"; {_work(total)}"
    lines[0] += f"; {total['seconds']:.1f} s"
    if ignored := document.get("ignored"):
        lines.append(_ignored(ignored))
    lines += [f"failed: {printable(failed['input'])}: {printable(failed['reason'])}" for failed in document["failed"]]
    return "\n".join(lines)


def _work(total: Mapping[str, Any]) -> str:
    """Return the share of tiles per branch, and the cost."""
    cost, shares = f"{total['share_of_base']:.0%}", total["shares"]
    if len(shares) == 1:
        return f"cost {cost} of the network on whole images, since tiles overlap"
    tiles = " / ".join(f"{share:.0%}" for share in shares)
    return f"tiles by branch, cheapest first: {tiles}; cost {cost} of the base on whole images"


def _ignored(counts: Mapping[str, int]) -> str:
    """Return the line about files that were ignored, by their numbers per suffix."""
    total = sum(counts.values())
    files = "1 other file in the folders was" if total == 1 else f"{total} other files in the folders were"
    names = ", ".join(f"{count} {printable(name)}" for name, count in list(counts.items())[:MOST_NAMED])
    more = ", ..." if len(counts) > MOST_NAMED else ""
    return f"{files} ignored: {names}{more}"
