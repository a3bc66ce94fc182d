"""Claims about lowvision-runtimes: every runtime returns the network's output, from any thread and for any shape."""

from __future__ import annotations

import copy
import importlib
import sys
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
from lowvision_runtimes.torch_runtime import ImageShuffle, Prepared, _halve

CLOSE = 1e-5
"""Tolerance for the sums of a convolution in another order."""
SHAPES = ((2, 3, 20, 24), (1, 3, 9, 7), (5, 3, 8, 8))


class Enlarge(nn.Module):
    """A convolution and a skip, x2."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 12, 3, padding=1)

    def forward(self, lq: Tensor) -> Tensor:
        return nn.functional.pixel_shuffle(self.convolution(lq), 2) + upsample(lq, 2, "bicubic")


@dataclass(frozen=True)
class InMemoryNetwork(Trained):
    """A trained network with its module and its ONNX graph."""

    network: nn.Module
    graph: Path

    def module(self) -> nn.Module:
        return copy.deepcopy(self.network)

    def onnx(self) -> Path:
        return self.graph

    def ncnn(self) -> Path:
        return self.graph.with_suffix(".param")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> InMemoryNetwork:
    torch.manual_seed(0)
    network, path = Enlarge().eval(), tmp_path_factory.mktemp("graph") / "enlarge.onnx"
    if find_spec("onnxscript"):
        onnx_graph.write(network, path, 3, 16, 1)
    text, weights = ncnn_graph.convert(network, "enlarge", 3, 16, 1)
    path.with_suffix(".param").write_text(text)
    path.with_suffix(".bin").write_bytes(weights)
    return InMemoryNetwork(network, path)


@pytest.fixture(params=[Torch(), OpenVINO(), OnnxRuntime(), Ncnn()], ids=lambda runtime: type(runtime).__name__)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    if reason := request.param.missing():
        pytest.skip(reason)
    return request.param


def expected_output(trained: InMemoryNetwork, x: Tensor) -> Tensor:
    with torch.inference_mode():
        return trained.network(x)


def test_the_plugin_registers_its_runtimes() -> None:
    provided = registry.load()["runtimes"]
    assert {"torch": Torch, "openvino": OpenVINO, "onnxruntime": OnnxRuntime, "ncnn": Ncnn}.items() <= {
        name: entry.component for name, entry in provided.items()
    }.items()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_every_input_shape_gives_the_output_of_the_network(
    runtime: Runtime, trained: InMemoryNetwork, layout: torch.memory_format
) -> None:
    call = runtime.prepare(trained, 1, "cpu")
    for shape in SHAPES:
        x = torch.rand(shape).contiguous(memory_format=layout)
        torch.testing.assert_close(call(x), expected_output(trained, x), rtol=0, atol=CLOSE)


def test_a_view_of_a_tensor_is_accepted(runtime: Runtime, trained: InMemoryNetwork) -> None:
    call, image = runtime.prepare(trained, 1, "cpu"), torch.rand(1, 3, 40, 40, requires_grad=True)
    part = image[..., 5:21, 7:19]
    torch.testing.assert_close(call(part), expected_output(trained, part), rtol=0, atol=CLOSE)


def test_a_call_does_not_modify_earlier_outputs_and_inputs(runtime: Runtime, trained: InMemoryNetwork) -> None:
    call = runtime.prepare(trained, 1, "cpu")
    inputs = [torch.rand(1, 3, 16, 16) for _ in range(3)]
    copies = [x.clone() for x in inputs]
    outputs = [call(x) for x in inputs]
    for x, before, output in zip(inputs, copies, outputs, strict=True):
        assert torch.equal(x, before)
        torch.testing.assert_close(output, expected_output(trained, x), rtol=0, atol=CLOSE)


def test_concurrent_calls_give_the_right_outputs(runtime: Runtime, trained: InMemoryNetwork) -> None:
    call = runtime.prepare(trained, 2, "cpu")
    inputs = [torch.rand(1 + n % 2, 3, 10 + n % 3, 12) for n in range(24)]
    with ThreadPoolExecutor(3) as threads:  # more threads than `callers`: slower, but correct
        outputs = list(threads.map(call, inputs))
    for x, output in zip(inputs, outputs, strict=True):
        torch.testing.assert_close(output, expected_output(trained, x), rtol=0, atol=CLOSE)


def test_concurrent_calls_do_not_change_the_threads_of_the_caller(runtime: Runtime, trained: InMemoryNetwork) -> None:
    torch.set_num_threads(2)
    try:
        call = runtime.prepare(trained, 2, "cpu")
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(call, [torch.rand(1, 3, 8, 8)] * 4))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_pytorch_on_a_cpu_runs_the_folded_network(trained: InMemoryNetwork) -> None:
    class Folding(InMemoryNetwork):
        def folded(self) -> nn.Module:
            return nn.Upsample(scale_factor=2)

    x = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(
        Torch().prepare(Folding(trained.network, trained.graph), 1, "cpu")(x), nn.Upsample(scale_factor=2)(x)
    )


def test_graph_runtimes_do_not_read_the_module(runtime: Runtime, trained: InMemoryNetwork) -> None:
    class GraphAlone(InMemoryNetwork):
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


def test_signals_are_handled_after_another_thread_frees_a_network(runtime: Runtime, trained: InMemoryNetwork) -> None:
    if isinstance(runtime, Torch):
        pytest.skip("has nothing of its own to let go of")
    command = [sys.executable, "-c", SIGNALLED, type(runtime).__name__, str(trained.graph)]
    assert check_output(command, text=True).splitlines()[-1] == "handled"


@pytest.mark.parametrize("other", [OpenVINO(), OnnxRuntime(), Ncnn()], ids=lambda runtime: type(runtime).__name__)
def test_an_unsupported_device_is_refused(other: Runtime, trained: InMemoryNetwork) -> None:
    if reason := other.missing():
        pytest.skip(reason)
    with pytest.raises(RunError, match=r"not cuda; use device cpu, or runtime torch"):
        other.prepare(trained, 1, "cuda")


def test_a_provider_that_onnxruntime_lacks_is_refused_with_those_that_it_has(trained: InMemoryNetwork) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CoreMLExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("has every provider of this test")
    with pytest.raises(RunError, match=r"no provider 'coreml', but (\w+, )*cpu; install a build that has it"):
        OnnxRuntime(provider="coreml").prepare(trained, 1, "cpu")


def test_another_provider_computes_the_same_on_any_device(
    trained: InMemoryNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    spare = "AzureExecutionProvider"  # the second one of the builds for CPUs; it leaves every operator to the CPU
    if spare not in onnxruntime.get_available_providers():
        pytest.skip("this build has one provider")
    from lowvision_runtimes import onnxruntime_runtime

    monkeypatch.setattr(onnxruntime_runtime, "PROVIDERS", {"coreml": spare})
    x = torch.rand(2, 3, 9, 7)
    for device in ("cpu", "cpu:0"):  # the second stands for a device that the runtime itself does not use
        call = OnnxRuntime(provider="coreml").prepare(trained, 1, device)
        torch.testing.assert_close(call(x), expected_output(trained, x), rtol=0, atol=CLOSE)


def test_a_device_of_openvino_is_selected_by_its_name(trained: InMemoryNetwork) -> None:
    openvino = pytest.importorskip("openvino")
    x = torch.rand(1, 3, 9, 7)
    call = OpenVINO(device="AUTO").prepare(trained, 1, "cpu")
    torch.testing.assert_close(call(x), expected_output(trained, x), rtol=0, atol=CLOSE)
    assert "GPU.7" not in openvino.Core().available_devices
    with pytest.raises(RunError, match=r"OpenVINO finds no device 'GPU\.7'; use one of CPU, .*AUTO, or install"):
        OpenVINO(device="GPU.7").prepare(trained, 1, "cpu")


def test_openvino_keeps_a_limited_number_of_shapes(trained: InMemoryNetwork) -> None:
    pytest.importorskip("openvino")
    call = OpenVINO(shapes=2).prepare(trained, 1, "cpu")
    for side in (8, 9, 10, 8, 9, 10):
        x = torch.rand(1, 3, side, 8)
        torch.testing.assert_close(call(x), expected_output(trained, x), rtol=0, atol=CLOSE)


@pytest.mark.parametrize("kind", [Torch, OpenVINO])
def test_bfloat16_is_opt_in_and_rounds_only_the_learned_part(kind: type[Runtime], trained: InMemoryNetwork) -> None:
    if kind().missing():
        pytest.skip("not installed")
    x = torch.rand(1, 3, 32, 32)

    def deviation(runtime: Runtime) -> float:
        return (runtime.prepare(trained, 1, "cpu")(x) - expected_output(trained, x)).abs().max().item()

    assert deviation(kind()) < CLOSE
    with torch.inference_mode():
        learned = trained.network.convolution(x).abs().max()  # type: ignore[operator]  # a layer
    # Only the learned part is rounded; rounding the interpolated image would add an error of 2e-3.
    assert (
        deviation(kind(precision="bf16")) < learned / 2**7
    )  # CPUs without bf16 compute in float32, which is nearer still


def test_bfloat16_outputs_of_torch_are_float32(trained: InMemoryNetwork) -> None:
    halved = Torch(precision="bf16").prepare(trained, 1, "cpu")
    assert halved(torch.rand(1, 3, 8, 8)).dtype == torch.float32


def test_float16_needs_an_accelerator_and_rounds_less_than_bfloat16(trained: InMemoryNetwork) -> None:
    with pytest.raises(RunError, match="f16 on accelerators only; use bf16 or f32 on the CPU"):
        Torch(precision="f16").prepare(trained, 1, "cpu")
    x = torch.rand(1, 3, 32, 32)
    errors = []
    for precision in ("f16", "bf16"):
        output = Prepared(trained.module(), 1, "cpu", False, precision)(x)  # type: ignore[arg-type]  # in a loop
        assert output.dtype == torch.float32
        errors.append((output - expected_output(trained, x)).abs().max().item())
    assert 0 < errors[0] < errors[1] / 4


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("colours", "factor"), [(3, 4), (1, 2), (4, 3), (5, 2)])
def test_the_shuffle_of_torch_gives_the_pixels_of_pytorch(
    colours: int, factor: int, layout: torch.memory_format
) -> None:
    features = torch.rand(2, colours * factor**2, 5, 7).contiguous(memory_format=layout)
    shuffled = ImageShuffle(factor)(features)
    assert torch.equal(shuffled, nn.functional.pixel_shuffle(features, factor))


def test_images_leave_torch_in_planes() -> None:
    features = nn.Conv2d(3, 12, 3, padding=1)
    inside = nn.Sequential(features, nn.Sequential(nn.PixelShuffle(2)))
    image = Prepared(inside, 1, "cpu", compiled=False, precision="f32")(torch.rand(1, 3, 8, 8))
    assert image.is_contiguous()
    assert type(inside[1][0]) is ImageShuffle


def test_linear_layers_are_rounded_once() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.LayerNorm(4), nn.Linear(4, 4))
    _halve(module, torch.bfloat16)
    dtypes = [next(layer.parameters()).dtype for layer in module]
    assert dtypes == [torch.bfloat16, torch.float32, torch.bfloat16]


def test_onnxruntime_has_no_bfloat16() -> None:
    with pytest.raises(ValidationError, match="precision"):
        OnnxRuntime(precision="bf16")  # type: ignore[arg-type]  # which is the point


def test_a_missing_library_is_reported_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowvision_runtimes.find_spec", lambda library: None)
    assert Torch().missing() is None
    assert OpenVINO().missing() == "openvino is not installed; pip install 'lowvision-framework[openvino]'"
    assert OnnxRuntime().missing() == "onnxruntime is not installed; pip install 'lowvision-framework[onnxruntime]'"
    assert Ncnn().missing() == "ncnn is not installed; pip install 'lowvision-framework[ncnn]'"


def test_openvino_and_onnxruntime_send_no_events(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino_telemetry")
    from lowvision_runtimes import onnxruntime_runtime, openvino_runtime

    assert openvino_runtime.openvino.tools.ovc.telemetry.__class__.__module__ == "openvino.tools.ovc.telemetry_stub"
    assert sys.modules.get("openvino_telemetry", "absent") is not None  # other programs can still import it
    calls: list[bool] = []
    monkeypatch.setattr("onnxruntime.disable_telemetry_events", lambda: calls.append(True))
    importlib.reload(onnxruntime_runtime)
    assert calls == [True]


def test_listing_the_runtimes_imports_no_library() -> None:
    program = (
        "import sys, lowvision_runtimes\n"
        "for runtime in lowvision_runtimes.lowvision_runtimes().values(): runtime().missing()\n"
        "print({'torch', 'openvino', 'onnxruntime', 'onnxscript', 'ncnn'} & sys.modules.keys())"
    )
    assert check_output([sys.executable, "-c", program], text=True).strip() == "set()"
