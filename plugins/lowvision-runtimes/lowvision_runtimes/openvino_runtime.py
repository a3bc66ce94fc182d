"""A network run by OpenVINO: compiled for every shape, an infer request for every thread, tensors without copies."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor
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
                self._shaped[shape] = Shaped(self._compiled(model))
                if len(self._shaped) > self._kept:
                    self._shaped.popitem(last=False)
            self._shaped.move_to_end(shape)
            return self._shaped[shape]

    def _compiled(self, model: openvino.Model) -> openvino.CompiledModel:
        """Compiled by a thread that ends with it.

        On a CPU with AMX the first compilation of a process gives its thread a stack for signal handlers, and frees
        that stack with the last network, whichever thread lets go of it: a thread that lived on would die of Ctrl-C.
        """
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(self._core.compile_model, model, "CPU", self._settings).result()


class Shaped:
    """The network for one shape."""

    def __init__(self, compiled: openvino.CompiledModel):
        self._compiled = compiled
        self._output_shape = tuple(compiled.output(0).shape)
        # A request has all memory that a call needs: made anew for every thread, its pages would be cleared again.
        self._idle: deque[openvino.InferRequest] = deque()

    def __call__(self, x: Tensor) -> Tensor:
        """The output is written into a tensor of its own, so that no later call changes it."""
        request = self._taken()
        given = x.detach().contiguous()
        output = torch.empty(self._output_shape)
        request.set_input_tensor(openvino.Tensor(given.numpy(), shared_memory=True))
        request.set_output_tensor(openvino.Tensor(output.numpy(), shared_memory=True))
        request.infer(share_outputs=True)
        self._idle.append(request)
        return output

    def _taken(self) -> openvino.InferRequest:
        """A request that no other thread works with."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._compiled.create_infer_request()
