"""Execution by ONNX Runtime: one session for any shape."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from lowvision_runtimes import cores

ERRORS_ONLY = 3
"""Log level of ONNX Runtime: at a lower one it warns about every initializer that it folds."""


class Prepared:
    """(B,C,h,w) float32 on the CPU -> output on the CPU."""

    def __init__(self, path: Path, callers: int):
        options = onnxruntime.SessionOptions()
        # The calling thread works too: with as many callers as cores there are no additional threads.
        options.intra_op_num_threads = cores.threads_per_call(callers)
        # Spinning threads would occupy cores that other processes need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = ERRORS_ONLY
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        (network_input,) = self._session.get_inputs()
        self._name = network_input.name

    def __call__(self, x: Tensor) -> Tensor:
        (output,) = self._session.run(None, {self._name: x.detach().contiguous().numpy()})
        return torch.from_numpy(output)
