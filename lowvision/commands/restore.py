"""Implement `lowvision restore`: restore every input, go on after a failed one, and report all of them."""

from __future__ import annotations

import logging
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from lowvision.commands.inputs import Input
from lowvision.commands.restore_outcomes import document
from lowvision.commands.restore_pipeline import outcomes
from lowvision.commands.restore_request import RestoreOptions, RestoreRequest
from lowvision.errors import UsageError
from lowvision.imaging import io
from lowvision.inference import package, restorer, trained_networks
from lowvision.inference.limits import Limits
from lowvision.inference.restorer import Restorer
from lowvision.models import calibration as curves
from lowvision.models.weights_header import Header
from lowvision.plugins.contracts import Task
from lowvision.plugins.registry import Registry
from lowvision.system.processes import ProcessGroup, join
from lowvision.system.progress import telling

logger = logging.getLogger("lowvision")


def validate(request: RestoreRequest, registry: Registry) -> None:
    """Check weights, inputs and output without restoring. Raises WeightsError and UsageError."""
    read_task(request.weights, registry)
    check_limits(request, registry)
    request.plan()
    if request.remote_output is None:
        check_writable(request.output)


def read_task(weights: Path, registry: Registry) -> Task:
    """Return the task of a weights file or an exported package. Raises WeightsError."""
    return _header(weights, registry).architecture.task


def check_limits(request: RestoreRequest, registry: Registry) -> None:
    """Raise UsageError if the weights cannot keep a budget, a loss or a speed, by their header.

    Loading them may measure every runtime, which takes minutes for a slow network.
    """
    options = request.options
    limits = (options.budget, options.max_loss, options.speed, options.worst)
    if all(limit is None for limit in limits):
        return
    header = _header(request.weights, registry)
    if not header.settings:  # otherwise the network itself is needed
        Limits(header.architecture, curves.read(header.measured), (), _not_loaded).check(*limits)


def _header(weights: Path, registry: Registry) -> Header:
    read = package.read if weights.is_dir() else trained_networks.read
    return read(weights, registry).header


def _not_loaded(number: int) -> NoReturn:
    raise AssertionError(f"operating point {number} of weights that have none")


def run(request: RestoreRequest, registry: Registry) -> dict[str, Any] | None:
    """Restore the inputs, together with the other processes of the group if there are any.

    Return the document in the main process, None in the others. Raises UsageError, WeightsError and RunError before
    the first input; later failures are in the document.
    """
    check_limits(request, registry)
    group = join(request.device)
    ignored: Counter[str] = Counter()
    planned = request.plan(ignored)
    began = time.perf_counter()  # the document's time includes loading
    network = restorer.load(
        request.weights,
        device=request.device,
        runtime=request.runtime,
        registry=registry,
        precision=request.precision,
    )
    group.wait()  # the results that a process writes would be inputs to one that is still searching for them
    if request.remote_output is None:
        check_writable(request.output)
    result = restore(planned, network, request.options, registry, group, began)
    result["ignored"] = dict(ignored.most_common())
    return result if group.is_main_process else None


def restore(
    inputs: Sequence[Input],
    network: Restorer,
    options: RestoreOptions,
    registry: Registry,
    group: ProcessGroup,
    began: float | None = None,
) -> dict[str, Any]:
    """Restore this process's share of the inputs and return the document of all processes.

    began: `time.perf_counter()` at the start of the measured time; None: now.
    Raises UsageError for a budget or a loss that the weights cannot keep; a failed input is in the document.
    """
    began = time.perf_counter() if began is None else began
    limits = (options.budget, options.max_loss, options.speed, options.worst)
    network.check_budget(*limits)
    if group.is_main_process and network.settings and any(limit is not None for limit in limits):
        logger.info("adaptive network with a budget or a loss: PyTorch runs it in float32, tile by tile")
    share = group.shard(inputs)
    with telling(len(share), group.is_main_process) as progress:
        results = list(outcomes(share, network, options, progress))
    return document(group.gather(results), network.architecture.task, registry, options, time.perf_counter() - began)


def check_writable(output: Path) -> None:
    """Create the output folder. Raises UsageError if it cannot be written."""
    folder = folder_of(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"{folder}: cannot write there: {error.strerror}; give another -o") from error


def folder_of(output: Path) -> Path:
    """Return the folder of the results: `output`, or that of the only result."""
    return output.parent if output.suffix.lower() in io.DEPTHS and not output.is_dir() else output
