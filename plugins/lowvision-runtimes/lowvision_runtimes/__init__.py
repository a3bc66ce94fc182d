"""What runs a trained network: PyTorch, OpenVINO, ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lowvision import Runtime, Trained, hookimpl

if TYPE_CHECKING:
    from torch import Tensor


class Torch(Runtime):
    """PyTorch itself, on any device; always there."""

    compile: bool = False
    """Whether torch.compile makes kernels of its own: seconds to minutes for every new shape, and a C++ compiler."""

    def missing(self) -> str | None:
        return None

    def prepare(self, network: Trained, callers: int, device: str) -> Callable[[Tensor], Tensor]:
        from lowvision_runtimes.torch_runtime import Prepared

        module = network.folded() if device == "cpu" else network.module()
        return Prepared(module, callers, device, self.compile, self.precision)


class OpenVINO(Runtime):
    """OpenVINO on the CPU: fused layers, compiled anew for every shape."""

    shapes: int = Field(default=32, ge=1)
    """How many compiled shapes of a network are kept; the one used longest ago goes first."""

    def missing(self) -> str | None:
        return _absent("openvino")

    def prepare(self, network: Trained, callers: int, device: str) -> Callable[[Tensor], Tensor]:
        from lowvision_runtimes.openvino_runtime import Prepared

        _cpu_alone("openvino", device)
        return Prepared(network.onnx(), callers, self.precision, self.shapes)


class OnnxRuntime(Runtime):
    """ONNX Runtime on the CPU: one session for every shape."""

    precision: Literal["f32"] = "f32"
    """It has no other on CPUs."""

    def missing(self) -> str | None:
        return _absent("onnxruntime")

    def prepare(self, network: Trained, callers: int, device: str) -> Callable[[Tensor], Tensor]:
        from lowvision_runtimes.onnxruntime_runtime import Prepared

        _cpu_alone("onnxruntime", device)
        return Prepared(network.onnx(), callers)


def _absent(library: str) -> str | None:
    if find_spec(library):
        return None
    return f"{library} is not installed; pip install 'lowvision-framework[{library}]'"


def _cpu_alone(runtime: str, device: str) -> None:
    if device != "cpu":
        from lowvision import RunError

        raise RunError(f"runtime {runtime} works on the CPU alone, not on {device}; use device cpu, or runtime torch")


@hookimpl
def lowvision_runtimes() -> Mapping[str, type[Runtime]]:
    return {"torch": Torch, "openvino": OpenVINO, "onnxruntime": OnnxRuntime}
