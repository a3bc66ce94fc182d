"""Claims about lowvision-runtimes: every runtime returns the network's output, from any thread and for any shape."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from subprocess import check_output

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from lowvision import RunError, Runtime, Trained, WeightsError, upsample
from lowvision.inference import ncnn_graph, onnx_graph
from lowvision.plugins import registry
from lowvision_runtimes import Ncnn, OnnxRuntime, OpenVINO, Torch
from lowvision_runtimes.torch_runtime import Prepared, _halve

CLOSE = 1e-5
"""The sums of a convolution in another order."""
SHAPES = ((2, 3, 20, 24), (1, 3, 9, 7), (5, 3, 8, 8))


class Enlarge(nn.Module):
    """A convolution and a skip, x2."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 12, 3, padding=1)

    def forward(self, lq: Tensor) -> Tensor:
        return nn.functional.pixel_shuffle(self.convolution(lq), 2) + upsample(lq, 2, "bicubic")


@dataclass(frozen=True)
class Kept(Trained):
    """A network in memory, and its graph."""

    network: nn.Module
    graph: Path

    def module(self) -> nn.Module:
        return copy.deepcopy(self.network)

    def onnx(self) -> Path:
        return self.graph

    def ncnn(self) -> Path:
        return self.graph.with_suffix(".param")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    torch.manual_seed(0)
    network, path = Enlarge().eval(), tmp_path_factory.mktemp("graph") / "enlarge.onnx"
    if find_spec("onnxscript"):
        onnx_graph.write(network, path, 3, 16, 1)
    text, weights = ncnn_graph.convert(network, "enlarge", 3, 16, 1)
    path.with_suffix(".param").write_text(text)
    path.with_suffix(".bin").write_bytes(weights)
    return Kept(network, path)


@pytest.fixture(params=[Torch(), OpenVINO(), OnnxRuntime(), Ncnn()], ids=lambda runtime: type(runtime).__name__)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    if reason := request.param.missing():
        pytest.skip(reason)
    return request.param


def right(trained: Kept, x: Tensor) -> Tensor:
    with torch.inference_mode():
        return trained.network(x)


def test_all_of_them_stand_on_the_menu() -> None:
    provided = registry.load()["runtimes"]
    assert {"torch": Torch, "openvino": OpenVINO, "onnxruntime": OnnxRuntime, "ncnn": Ncnn}.items() <= {
        name: entry.component for name, entry in provided.items()
    }.items()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_every_shape_gives_what_the_network_gives(runtime: Runtime, trained: Kept, layout: torch.memory_format) -> None:
    call = runtime.prepare(trained, 1, "cpu")
    for shape in SHAPES:
        x = torch.rand(shape).contiguous(memory_format=layout)
        torch.testing.assert_close(call(x), right(trained, x), rtol=0, atol=CLOSE)


def test_a_part_of_a_tensor_is_taken_as_it_is(runtime: Runtime, trained: Kept) -> None:
    call, image = runtime.prepare(trained, 1, "cpu"), torch.rand(1, 3, 40, 40, requires_grad=True)
    part = image[..., 5:21, 7:19]
    torch.testing.assert_close(call(part), right(trained, part), rtol=0, atol=CLOSE)


def test_the_next_call_leaves_an_output_and_its_input_as_they_are(runtime: Runtime, trained: Kept) -> None:
    call = runtime.prepare(trained, 1, "cpu")
    inputs = [torch.rand(1, 3, 16, 16) for _ in range(3)]
    copies = [x.clone() for x in inputs]
    outputs = [call(x) for x in inputs]
    for x, before, output in zip(inputs, copies, outputs, strict=True):
        assert torch.equal(x, before)
        torch.testing.assert_close(output, right(trained, x), rtol=0, atol=CLOSE)


def test_many_threads_may_call_at_once(runtime: Runtime, trained: Kept) -> None:
    call = runtime.prepare(trained, 2, "cpu")
    inputs = [torch.rand(1 + n % 2, 3, 10 + n % 3, 12) for n in range(24)]
    with ThreadPoolExecutor(3) as threads:  # one more than was said: slower, but right
        outputs = list(threads.map(call, inputs))
    for x, output in zip(inputs, outputs, strict=True):
        torch.testing.assert_close(output, right(trained, x), rtol=0, atol=CLOSE)


def test_calls_from_many_threads_leave_the_cores_of_this_one_alone(runtime: Runtime, trained: Kept) -> None:
    torch.set_num_threads(2)
    try:
        call = runtime.prepare(trained, 2, "cpu")
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(call, [torch.rand(1, 3, 8, 8)] * 4))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_pytorch_on_a_cpu_runs_the_folded_network(trained: Kept) -> None:
    class Folding(Kept):
        def folded(self) -> nn.Module:
            return nn.Upsample(scale_factor=2)

    x = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(
        Torch().prepare(Folding(trained.network, trained.graph), 1, "cpu")(x), nn.Upsample(scale_factor=2)(x)
    )


def test_the_module_is_not_needed_where_a_graph_will_do(runtime: Runtime, trained: Kept) -> None:
    class GraphAlone(Kept):
        def module(self) -> nn.Module:
            raise WeightsError("a graph alone")

    alone = GraphAlone(trained.network, trained.graph)
    if isinstance(runtime, Torch):
        with pytest.raises(WeightsError, match="a graph alone"):
            runtime.prepare(alone, 1, "cpu")
    else:
        assert runtime.prepare(alone, 1, "cpu")(torch.rand(1, 3, 8, 8)).shape == (1, 3, 16, 16)


SIGNALLED = """
import os, signal, sys, threading
from pathlib import Path
import torch
from pydantic import ValidationError
from lowvision import Trained
from lowvision_runtimes import Ncnn, OnnxRuntime, OpenVINO
class Kept(Trained):
    module = None
    def onnx(self):
        return Path(sys.argv[2])
    def ncnn(self):
        return self.onnx().with_suffix(".param")
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
held = [{"OpenVINO": OpenVINO, "OnnxRuntime": OnnxRuntime, "Ncnn": Ncnn}[sys.argv[1]]().prepare(Kept(), 1, "cpu")]
held[0](torch.rand(1, 3, 8, 8))
released = threading.Thread(target=held.clear)
released.start()
released.join()
os.kill(os.getpid(), signal.SIGUSR1)
"""


def test_signals_are_handled_after_another_thread_let_go_of_a_network(runtime: Runtime, trained: Kept) -> None:
    if isinstance(runtime, Torch):
        pytest.skip("has nothing of its own to let go of")
    words = [sys.executable, "-c", SIGNALLED, type(runtime).__name__, str(trained.graph)]
    assert check_output(words, text=True).splitlines()[-1] == "handled"


@pytest.mark.parametrize("other", [OpenVINO(), OnnxRuntime(), Ncnn()], ids=lambda runtime: type(runtime).__name__)
def test_a_device_that_is_not_its_own_is_refused(other: Runtime, trained: Kept) -> None:
    if reason := other.missing():
        pytest.skip(reason)
    with pytest.raises(RunError, match=r"not cuda; use device cpu, or runtime torch"):
        other.prepare(trained, 1, "cuda")


def test_a_provider_that_onnxruntime_lacks_is_refused_with_those_that_it_has(trained: Kept) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CoreMLExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("has every provider of this test")
    with pytest.raises(RunError, match=r"no provider 'coreml', but (\w+, )*cpu; install a build that has it"):
        OnnxRuntime(provider="coreml").prepare(trained, 1, "cpu")


def test_another_provider_computes_the_same_on_any_device(trained: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    spare = "AzureExecutionProvider"  # the second one of the builds for CPUs; it leaves every operator to the CPU
    if spare not in onnxruntime.get_available_providers():
        pytest.skip("this build has one provider")
    from lowvision_runtimes import onnxruntime_runtime

    monkeypatch.setattr(onnxruntime_runtime, "PROVIDERS", {"coreml": spare})
    x = torch.rand(2, 3, 9, 7)
    for device in ("cpu", "cpu:0"):  # the second stands for a device that the runtime itself does not use
        call = OnnxRuntime(provider="coreml").prepare(trained, 1, device)
        torch.testing.assert_close(call(x), right(trained, x), rtol=0, atol=CLOSE)


def test_a_device_of_openvino_is_selected_by_its_name(trained: Kept) -> None:
    openvino = pytest.importorskip("openvino")
    x = torch.rand(1, 3, 9, 7)
    call = OpenVINO(device="AUTO").prepare(trained, 1, "cpu")
    torch.testing.assert_close(call(x), right(trained, x), rtol=0, atol=CLOSE)
    assert "GPU.7" not in openvino.Core().available_devices
    with pytest.raises(RunError, match=r"OpenVINO finds no device 'GPU\.7'; use one of CPU, .*AUTO, or install"):
        OpenVINO(device="GPU.7").prepare(trained, 1, "cpu")


def test_openvino_keeps_a_limited_number_of_shapes(trained: Kept) -> None:
    pytest.importorskip("openvino")
    call = OpenVINO(shapes=2).prepare(trained, 1, "cpu")
    for side in (8, 9, 10, 8, 9, 10):
        x = torch.rand(1, 3, side, 8)
        torch.testing.assert_close(call(x), right(trained, x), rtol=0, atol=CLOSE)


@pytest.mark.parametrize("kind", [Torch, OpenVINO])
def test_bfloat16_is_asked_for_and_spares_the_skip(kind: type[Runtime], trained: Kept) -> None:
    if kind().missing():
        pytest.skip("not installed")
    x = torch.rand(1, 3, 32, 32)
    off: Callable[[Runtime], float] = lambda r: (r.prepare(trained, 1, "cpu")(x) - right(trained, x)).abs().max().item()  # noqa: E731  # a formula
    assert off(kind()) < CLOSE
    with torch.inference_mode():
        learned = trained.network.convolution(x).abs().max()  # type: ignore[operator]  # a layer
    # Rounded is what was learned; the interpolated image, as large again, would be off by 2e-3 alone.
    assert off(kind(precision="bf16")) < learned / 2**7  # CPUs without bf16 compute in float32, which is nearer still


def test_what_torch_computes_in_bfloat16_is_float32_again(trained: Kept) -> None:
    halved = Torch(precision="bf16").prepare(trained, 1, "cpu")
    assert halved(torch.rand(1, 3, 8, 8)).dtype == torch.float32


def test_float16_is_for_accelerators_and_rounds_less_than_bfloat16(trained: Kept) -> None:
    with pytest.raises(RunError, match="f16 on accelerators only; use bf16 or f32 on the CPU"):
        Torch(precision="f16").prepare(trained, 1, "cpu")
    x = torch.rand(1, 3, 32, 32)
    errors = []
    for precision in ("f16", "bf16"):
        output = Prepared(trained.module(), 1, "cpu", False, precision)(x)  # type: ignore[arg-type]  # in a loop
        assert output.dtype == torch.float32
        errors.append((output - right(trained, x)).abs().max().item())
    assert 0 < errors[0] < errors[1] / 4


def test_linear_layers_are_rounded_once_not_in_every_call() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.LayerNorm(4), nn.Linear(4, 4))
    _halve(module, torch.bfloat16)
    dtypes = [next(layer.parameters()).dtype for layer in module]
    assert dtypes == [torch.bfloat16, torch.float32, torch.bfloat16]


def test_onnxruntime_has_no_bfloat16() -> None:
    with pytest.raises(ValidationError, match="precision"):
        OnnxRuntime(precision="bf16")  # type: ignore[arg-type]  # which is the point


def test_what_is_missing_is_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowvision_runtimes.find_spec", lambda library: None)
    assert Torch().missing() is None
    assert OpenVINO().missing() == "openvino is not installed; pip install 'lowvision-framework[openvino]'"
    assert OnnxRuntime().missing() == "onnxruntime is not installed; pip install 'lowvision-framework[onnxruntime]'"
    assert Ncnn().missing() == "ncnn is not installed; pip install 'lowvision-framework[ncnn]'"


def test_listing_them_imports_no_library() -> None:
    program = (
        "import sys, lowvision_runtimes\n"
        "for runtime in lowvision_runtimes.lowvision_runtimes().values(): runtime().missing()\n"
        "print({'torch', 'openvino', 'onnxruntime', 'onnxscript', 'ncnn'} & sys.modules.keys())"
    )
    assert check_output([sys.executable, "-c", program], text=True).strip() == "set()"
