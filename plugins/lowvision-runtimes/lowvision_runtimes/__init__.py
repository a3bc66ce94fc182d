"""Runtimes, which execute a trained network: PyTorch, OpenVINO, ONNX Runtime, ncnn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from pydantic import Field

from lowvision import Runtime, Trained, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

Provider: TypeAlias = Literal["cpu", "cuda", "tensorrt", "directml", "coreml"]
"""Execution providers of ONNX Runtime."""


class Torch(Runtime):
    """PyTorch on any device; always installed."""

    compile: bool = False
    """Use torch.compile, which takes seconds to minutes per new shape and needs a C++ compiler."""

    def missing(self) -> str | None:
        return None

    def prepare(self, network: Trained, callers: int, device: str) -> Callable[[Tensor], Tensor]:
        from lowvision_runtimes.torch_runtime import Prepared

        if device == "cpu" and self.precision == "f16":
            from lowvision import RunError

            raise RunError("runtime torch computes f16 on accelerators only; use bf16 or f32 on the CPU")
        module = network.folded() if device == "cpu" else network.module()
        return Prepared(module, callers, device, self.compile, self.precision)


class OpenVINO(Runtime):
    """OpenVINO on the CPU, or on Intel's GPUs and NPUs: fused layers, compiled per shape."""

    devices: ClassVar[tuple[str, ...] | None] = ("cpu",)

    precision: Literal["f32", "bf16"] = "f32"
    """Number format of convolutions and matrix products."""
    device: str = "CPU"
    """Device by OpenVINO's name, e.g. `GPU`, `GPU.1`, `NPU` or `AUTO`."""
    shapes: int = Field(default=32, ge=1)
    """Number of compiled shapes to cache per network; the least recently used is evicted first."""

    def missing(self) -> str | None:
        return _missing_library("openvino")

    def prepare(self, network: Trained, callers: int, device: str) -> Callable[[Tensor], Tensor]:
        from lowvision_runtimes.openvino_runtime import Prepared

        call = Prepared(network.onnx(), callers, self.precision, self.shapes, self.device)
        return _through_cpu("openvino", call, device, accelerated=self.device != "CPU")


class OnnxRuntime(Runtime):
    """ONNX Runtime on the CPU, or by another execution provider: one session for all shapes."""

    devices: ClassVar[tuple[str, ...] | None] = ("cpu",)

    precision: Literal["f32"] = "f32"
    """Precision of the computation; ONNX Runtime supports no other on CPUs."""
    provider: Provider = "cpu"
    """Execution provider; operators that it lacks run on the CPU. Others than `cpu` need another build of ONNX Runtime,
    e.g. onnxruntime-gpu or onnxruntime-directml."""
    device_id: int = Field(default=0, ge=0)
    """Number of the GPU, for `cuda`, `tensorrt` and `directml`."""

    def missing(self) -> str | None:
        return _missing_library("onnxruntime")

    def prepare(self, network: Trained, callers: int, device: str) -> Callable[[Tensor], Tensor]:
        from lowvision_runtimes.onnxruntime_runtime import Prepared

        call = Prepared(network.onnx(), callers, self.provider, self.device_id)
        return _through_cpu("onnxruntime", call, device, accelerated=self.provider != "cpu")


class Ncnn(Runtime):
    """ncnn on the CPU, or on a GPU by Vulkan: the engine of phones; one network for all shapes."""

    devices: ClassVar[tuple[str, ...] | None] = ("cpu",)
    automatic: ClassVar[bool] = False

    precision: Literal["f32"] = "f32"
    """Precision of the computation."""
    vulkan: bool = False
    """Compute on the first GPU with a Vulkan driver; images stay in the memory of the CPU."""

    def missing(self) -> str | None:
        return _missing_library("ncnn")

    def prepare(self, network: Trained, callers: int, device: str) -> Callable[[Tensor], Tensor]:
        from lowvision_runtimes.ncnn_runtime import Prepared

        call = Prepared(network.ncnn(), callers, self.vulkan)
        return _through_cpu("ncnn", call, device, accelerated=self.vulkan)


def _missing_library(library: str) -> str | None:
    if find_spec(library):
        return None
    return f"{library} is not installed; pip install 'lowvision-framework[{library}]'"


def _through_cpu(
    runtime: str, call: Callable[[Tensor], Tensor], device: str, accelerated: bool
) -> Callable[[Tensor], Tensor]:
    """Return `call`, which takes and returns tensors on the CPU, for tensors on `device`.

    Raises RunError for another device than the CPU if the runtime itself computes on the CPU.
    """
    if device == "cpu":
        return call
    if accelerated:
        return lambda x: call(x.cpu()).to(device)
    from lowvision import RunError

    raise RunError(f"runtime {runtime} supports only the CPU, not {device}; use device cpu, or runtime torch")


@hookimpl
def lowvision_runtimes() -> Mapping[str, type[Runtime]]:
    return {"torch": Torch, "openvino": OpenVINO, "onnxruntime": OnnxRuntime, "ncnn": Ncnn}
