"""A network run by ONNX Runtime: one session, any shape."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from lowvision_runtimes import cores

ERRORS_ONLY = 3
"""Of the levels of its log: it warns of each initializer that it folds away."""


class Prepared:
    """(B,C,h,w) float32 on the CPU -> the output."""

    def __init__(self, path: Path, callers: int):
        options = onnxruntime.SessionOptions()
        # The calling thread works too, so with as many callers as cores there are no threads besides.
        options.intra_op_num_threads = cores.for_each(callers)
        # Waiting threads would take the cores of whoever else is at work.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = ERRORS_ONLY
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        (only,) = self._session.get_inputs()
        self._name = only.name

    def __call__(self, x: Tensor) -> Tensor:
        (output,) = self._session.run(None, {self._name: x.detach().contiguous().numpy()})
        return torch.from_numpy(output)
