"""Runtimes, which execute a trained network: PyTorch, OpenVINO, ONNX Runtime, ncnn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from lowvision import Runtime, Trained, hookimpl

if TYPE_CHECKING:
    from torch import Tensor


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
    """OpenVINO on the CPU: fused layers, compiled per shape."""

    devices: ClassVar[tuple[str, ...] | None] = ("cpu",)

    precision: Literal["f32", "bf16"] = "f32"
    """Number format of convolutions and matrix products."""
    shapes: int = Field(default=32, ge=1)
    """Number of compiled shapes to cache per network; the least recently used is evicted first."""

    def missing(self) -> str | None:
        return _missing_library("openvino")

    def prepare(self, network: Trained, callers: int, device: str) -> Callable[[Tensor], Tensor]:
        from lowvision_runtimes.openvino_runtime import Prepared

        _require_cpu("openvino", device)
        return Prepared(network.onnx(), callers, self.precision, self.shapes)


class OnnxRuntime(Runtime):
    """ONNX Runtime on the CPU: one session for all shapes."""

    devices: ClassVar[tuple[str, ...] | None] = ("cpu",)

    precision: Literal["f32"] = "f32"
    """Precision of the computation; ONNX Runtime supports no other on CPUs."""

    def missing(self) -> str | None:
        return _missing_library("onnxruntime")

    def prepare(self, network: Trained, callers: int, device: str) -> Callable[[Tensor], Tensor]:
        from lowvision_runtimes.onnxruntime_runtime import Prepared

        _require_cpu("onnxruntime", device)
        return Prepared(network.onnx(), callers)


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

        _require_cpu("ncnn", device)
        return Prepared(network.ncnn(), callers, self.vulkan)


def _missing_library(library: str) -> str | None:
    if find_spec(library):
        return None
    return f"{library} is not installed; pip install 'lowvision-framework[{library}]'"


def _require_cpu(runtime: str, device: str) -> None:
    if device != "cpu":
        from lowvision import RunError

        raise RunError(f"runtime {runtime} supports only the CPU, not {device}; use device cpu, or runtime torch")


@hookimpl
def lowvision_runtimes() -> Mapping[str, type[Runtime]]:
    return {"torch": Torch, "openvino": OpenVINO, "onnxruntime": OnnxRuntime, "ncnn": Ncnn}
