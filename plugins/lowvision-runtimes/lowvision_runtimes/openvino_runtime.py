"""Execution by OpenVINO: compiled per shape, one infer request per thread, tensors without copies."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lowvision import RunError
from lowvision_runtimes import cores
from lowvision_runtimes.telemetry import openvino

CPU, AUTO = "CPU", "AUTO"


class Prepared:
    """A prepared network: (B,C,h,w) float32 on the CPU -> output on the CPU."""

    def __init__(self, path: Path, callers: int, precision: str, cache_size: int, device: str):
        self._core = openvino.Core()
        self._device = device if device == CPU else _in_a_thread(_available, self._core, device)
        self._model = self._core.read_model(path)
        # By default a CPU with AMX computes in bf16.
        self._settings: dict[str, str | int | bool] = {"INFERENCE_PRECISION_HINT": precision}
        if device == CPU:
            self._settings |= {
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
        compiled: openvino.CompiledModel = _in_a_thread(self._core.compile_model, model, self._device, self._settings)
        return compiled


def _in_a_thread(call: Callable[..., Any], *arguments: Any) -> Any:
    """Call in a thread that ends afterwards.

    On a CPU with AMX the first use of the CPU in a process sets a signal stack for its thread, and frees that stack
    with the last network, from any thread: a thread that still ran would crash on Ctrl-C.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(call, *arguments).result()


def _available(core: openvino.Core, device: str) -> str:
    """Return a device. Raises RunError if OpenVINO has none of that name on this machine."""
    available = core.available_devices
    # `GPU` is the first of `GPU.0` and `GPU.1`.
    if device != AUTO and device not in {*available, *(name.partition(".")[0] for name in available)}:
        raise RunError(
            f"OpenVINO finds no device '{device}'; use one of {', '.join([*available, AUTO])}, or install its driver"
        )
    return device


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
