"""Execution by OpenVINO: compiled per shape, one infer request per thread, tensors without copies."""

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
    """(B,C,h,w) float32 on the CPU -> output on the CPU."""

    def __init__(self, path: Path, callers: int, precision: str, cache_size: int):
        self._core = openvino.Core()
        self._model = self._core.read_model(path)
        self._settings = {
            # By default a CPU with AMX computes in bf16.
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": callers,
            "INFERENCE_NUM_THREADS": max(callers, cores.cores()),
            # With pinning, the threads of two processes would share one core.
            "ENABLE_CPU_PINNING": False,
        }
        self._cache_size = cache_size
        self._networks: OrderedDict[tuple[int, ...], FixedShapeNetwork] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, x: Tensor) -> Tensor:
        return self._network(tuple(x.shape))(x)

    def _network(self, shape: tuple[int, ...]) -> FixedShapeNetwork:
        with self._lock:
            if shape not in self._networks:
                model = self._model.clone()
                model.reshape(list(shape))
                self._networks[shape] = FixedShapeNetwork(self._compile(model))
                if len(self._networks) > self._cache_size:
                    self._networks.popitem(last=False)
            self._networks.move_to_end(shape)
            return self._networks[shape]

    def _compile(self, model: openvino.Model) -> openvino.CompiledModel:
        """Compile in a thread that ends afterwards.

        On a CPU with AMX the first compilation of a process sets a signal stack for its thread, and frees that stack
        with the last network, from any thread: a thread that still ran would crash on Ctrl-C.
        """
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(self._core.compile_model, model, "CPU", self._settings).result()


class FixedShapeNetwork:
    """The network compiled for one shape."""

    def __init__(self, compiled: openvino.CompiledModel):
        self._compile = compiled
        self._output_shape = tuple(compiled.output(0).shape)
        # A request owns the memory of a call: a new request per call would have its pages cleared again.
        self._idle: deque[openvino.InferRequest] = deque()

    def __call__(self, x: Tensor) -> Tensor:
        """Write the output into a new tensor, which no later call changes."""
        request = self._acquire()
        x = x.detach().contiguous()
        output = torch.empty(self._output_shape)
        request.set_input_tensor(openvino.Tensor(x.numpy(), shared_memory=True))
        request.set_output_tensor(openvino.Tensor(output.numpy(), shared_memory=True))
        request.infer(share_outputs=True)
        self._idle.append(request)
        return output

    def _acquire(self) -> openvino.InferRequest:
        """Return a request that no other thread uses."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._compile.create_infer_request()
