"""A network run by OpenVINO: compiled for every shape, an infer request for every thread, tensors without copies."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

import openvino
import torch
from torch import Tensor

from lowvision_runtimes import cores


class Prepared:
    """(B,C,h,w) float32 on the CPU -> the output."""

    def __init__(self, path: Path, callers: int, precision: str, kept: int):
        self._core = openvino.Core()
        self._model = self._core.read_model(path)
        self._settings = {
            # Unsaid, a CPU with AMX would compute in bf16.
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": callers,
            "INFERENCE_NUM_THREADS": max(callers, cores.cores()),
            # Pinned, the threads of two processes would share one core.
            "ENABLE_CPU_PINNING": False,
        }
        self._kept = kept
        self._shaped: OrderedDict[tuple[int, ...], Shaped] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, x: Tensor) -> Tensor:
        return self._for(tuple(x.shape))(x)

    def _for(self, shape: tuple[int, ...]) -> Shaped:
        with self._lock:
            if shape not in self._shaped:
                model = self._model.clone()
                model.reshape(list(shape))
                self._shaped[shape] = Shaped(self._core.compile_model(model, "CPU", self._settings))
                if len(self._shaped) > self._kept:
                    self._shaped.popitem(last=False)
            self._shaped.move_to_end(shape)
            return self._shaped[shape]


class Shaped:
    """The network for one shape."""

    def __init__(self, compiled: openvino.CompiledModel):
        self._compiled = compiled
        self._output_shape = tuple(compiled.output(0).shape)
        self._this_thread = threading.local()

    def __call__(self, x: Tensor) -> Tensor:
        """The output is written into a tensor of its own, so that no later call changes it."""
        if not hasattr(self._this_thread, "request"):
            self._this_thread.request = self._compiled.create_infer_request()
        request: openvino.InferRequest = self._this_thread.request
        given = x.detach().contiguous()
        output = torch.empty(self._output_shape)
        request.set_input_tensor(openvino.Tensor(given.numpy(), shared_memory=True))
        request.set_output_tensor(openvino.Tensor(output.numpy(), shared_memory=True))
        request.infer(share_outputs=True)
        return output
