"""Execution by ONNX Runtime: one session for any shape, by any of its execution providers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from torch import Tensor

from lowvision import RunError
from lowvision_runtimes import Provider, cores

onnxruntime.disable_telemetry_events()

ERRORS_ONLY = 3
"""Log level of ONNX Runtime: at a lower one it warns about every initializer that it folds."""
CPU = "CPUExecutionProvider"
PROVIDERS: Mapping[Provider, str] = {
    "cpu": CPU,
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}
"""ONNX Runtime's names of the providers."""
NUMBERED = ("cuda", "tensorrt", "directml")
"""Providers with one of several devices."""


class Prepared:
    """A prepared network: (B,C,h,w) float32 on the CPU -> output on the CPU."""

    def __init__(self, path: Path, callers: int, provider: Provider, device_id: int):
        providers = _providers(provider, device_id)
        options = onnxruntime.SessionOptions()
        # The calling thread works too: with as many callers as cores there are no additional threads.
        options.intra_op_num_threads = cores.threads_per_call(callers)
        # Spinning threads would occupy cores that other processes need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = ERRORS_ONLY
        self._session = onnxruntime.InferenceSession(path, options, providers=providers)
        if self._session.get_providers()[0] != PROVIDERS[provider]:
            raise RunError(
                f"ONNX Runtime cannot start provider '{provider}' on this machine, and would use the CPU; "
                "check its driver and libraries, or use provider cpu"
            )
        (network_input,) = self._session.get_inputs()
        self._name = network_input.name

    def __call__(self, x: Tensor) -> Tensor:
        (output,) = self._session.run(None, {self._name: x.detach().contiguous().numpy()})
        return torch.from_numpy(output)


def _providers(provider: Provider, device_id: int) -> list[Any]:
    """Return a provider with its options, and the CPU for operators that it lacks.

    Raises RunError if the installed build of ONNX Runtime does not have it.
    """
    available, name = onnxruntime.get_available_providers(), PROVIDERS[provider]
    if name not in available:
        known = {full: short for short, full in PROVIDERS.items()}
        names = ", ".join(known.get(full, full) for full in available)
        raise RunError(
            f"the installed onnxruntime has no provider '{provider}', but {names}; install a build that has it, "
            "e.g. onnxruntime-gpu or onnxruntime-directml"
        )
    if name == CPU:
        return [CPU]
    return [(name, {"device_id": device_id} if provider in NUMBERED else {}), CPU]
