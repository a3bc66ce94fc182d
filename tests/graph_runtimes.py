"""Exports for tests: graphs compared with PyTorch in every runtime, and exporters that change nothing else."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lowvision.plugins import registry
from lowvision.plugins.contracts import Runtime

KNOWN = registry.load()
RUNTIMES = ("openvino", "onnxruntime")
CLOSE = 1e-5
"""Tolerance for outputs in [0,1] of one operator."""
SHAPES = ((2, 3, 20, 24), (1, 3, 17, 9), (3, 3, 8, 8))


class GraphOnly:
    """The part of a trained network that graph runtimes use."""

    def __init__(self, path: Path):
        self.path = path

    def onnx(self) -> Path:
        return self.path


def each_runtime(path: Path) -> dict[str, Callable[[Tensor], Tensor]]:
    """Load a graph in every installed graph runtime."""
    runtimes_by_name: dict[str, Runtime] = {name: KNOWN.find("runtimes", name).component() for name in RUNTIMES}
    return {name: r.prepare(GraphOnly(path), 1, "cpu") for name, r in runtimes_by_name.items() if not r.missing()}  # type: ignore[arg-type]  # its graph is enough


def largest_deviations(network: nn.Module, path: Path, shapes: Any = SHAPES) -> dict[str, float]:
    """Return the largest deviation of each runtime from PyTorch over all shapes."""
    calls = each_runtime(path)
    if not calls:
        pytest.skip("neither openvino nor onnxruntime is installed")
    far = dict.fromkeys(calls, 0.0)
    for shape in shapes:
        x = torch.rand(shape)
        with torch.inference_mode():
            right = network(x)
        for name, call in calls.items():
            assert call(x).shape == right.shape
            far[name] = max(far[name], (call(x) - right).abs().max().item())
    return far


class PixelDependent(nn.Module):
    """A network whose path depends on its pixels."""

    def forward(self, lq: Tensor) -> Tensor:
        return lq * 2 if lq.mean() > 0.5 else lq


@contextmanager
def unnoticed(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail if the block changes random numbers or the level of a logger, or if it warns or logs."""
    caplog.set_level("INFO", "torch.onnx")
    random_state = torch.get_rng_state()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    assert torch.equal(torch.get_rng_state(), random_state)
    assert logging.getLogger("torch.onnx").level == logging.INFO
    assert [str(warning.message) for warning in caught] == []
    assert caplog.messages == []
