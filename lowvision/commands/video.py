"""Implement `lowvision restore` for clips: restore every clip, go on after a failed one, and report all of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lowvision.commands import clip_request
from lowvision.commands.clip_one import restore_clip
from lowvision.commands.clip_request import ClipOptions
from lowvision.commands.restore import check_limits, check_writable
from lowvision.commands.restore_outcomes import SCHEMA
from lowvision.commands.restore_request import RestoreOptions, RestoreRequest
from lowvision.errors import LowvisionError, UsageError, summary_of
from lowvision.inference import restorer
from lowvision.inference.restorer import Restorer
from lowvision.plugins.registry import Registry
from lowvision.system.printable import printable
from lowvision.video import encoding
from lowvision.video.selection import is_sequence


def run(request: RestoreRequest, options: ClipOptions, registry: Registry) -> dict[str, Any]:
    """Restore the clips and return the document. Raises UsageError, WeightsError and RunError before the first one."""
    clips = clip_request.plan(request.patterns, request.output, request.name_suffix)
    for each in clips:
        if not is_sequence(each.result):
            encoding.encoding(each.result.suffix, options.codec, options.crf, options.preset)
            encoding.container_of(each.result.suffix)
    check_limits(request, registry)
    began = time.perf_counter()
    network = restorer.load(
        request.weights,
        device=request.device,
        runtime=request.runtime,
        registry=registry,
        precision=request.precision,
    )
    _check(request.options, network)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "task": registry.serialize(network.architecture.task),
        "clips": [],
        "skipped": [],
        "failed": [],
    }
    for each in clips:
        check_writable(each.result.parent)
        if request.options.skips_existing and each.result.is_file() and each.result.stat().st_size:
            document["skipped"].append(str(each.path))
            continue
        try:
            document["clips"].append(restore_clip(each, network, request, options))
        except (LowvisionError, OSError) as error:
            document["failed"].append({"input": str(each.path), "reason": _reason(error, each.path)})
    document["total"] = {
        **{key: len(document[key]) for key in ("clips", "skipped", "failed")},
        "frames": sum(each["frames"] for each in document["clips"]),
        "seconds": time.perf_counter() - began,
    }
    return document


def text(document: dict[str, Any]) -> str:
    """Format the document: a line per clip, and a line per failure."""
    lines = [_line(each) for each in document["clips"]]
    lines += [f"{printable(path)}: skipped, its result exists" for path in document["skipped"]]
    lines += [f"failed: {printable(failed['input'])}: {printable(failed['reason'])}" for failed in document["failed"]]
    return "\n".join(lines)


def _line(facts: dict[str, Any]) -> str:
    line = (
        f"{printable(facts['input'])} -> {printable(facts['result'])}: {facts['width']}x{facts['height']} -> "
        f"{facts['result_width']}x{facts['result_height']}, {facts['frames']} frames, "
        f"{facts['share_reused']:.0%} of tiles reused, "
        f"{facts['share_of_base']:.0%} of the base, {facts['seconds']:.1f} s, {facts['fps']:.2f} fps"
    )
    if facts["broken_frames"]:
        line += f"; {facts['broken_frames']} broken frames replaced by the last good one"
    return line


def _check(options: RestoreOptions, network: Restorer) -> None:
    """Raise UsageError for options that clips do not have."""
    network.check_budget(options.budget, options.max_loss, options.speed, options.worst)
    if options.draws_maps or options.passes > 1 or options.restores_alpha:
        raise UsageError("--map, --passes and --alpha are for images; omit them for clips")


def _reason(error: Exception, path: Path) -> str:
    """Return the reason of a failure in one line, without the name of the clip."""
    if isinstance(error, LowvisionError):
        return str(error).removeprefix(f"{path}: ")
    return summary_of(error)
