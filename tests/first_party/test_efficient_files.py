"""Authors' files of DISP, SPAN, PlainUSR, RLFN and BSRN give the same output in our networks as in plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from efficient_layouts import (
    State,
    bsrn,
    bsrn_layout,
    conv,
    conv3xc_layout,
    disp,
    disp_layout,
    plainusr,
    plainusr_layout,
    rlfn,
    rlfn_layout,
    span,
    span_layout,
    span_names,
)
from torch import Tensor

from lowvision.errors import WeightsError
from lowvision.models import external_weights
from lowvision.plugins import registry
from lowvision_efficient import PRESETS, SPAN, PlainUSR, RLFNFile, SPANFile
from lowvision_efficient.reparam import Conv3XC

KNOWN = registry.load()


def saved(content: Any, folder: Path) -> Path:
    torch.save(content, folder / "theirs.pth")
    return folder / "theirs.pth"


def restored(external: external_weights.ExternalWeights, image: Tensor) -> Tensor:
    network = external.architecture.build_network().double().eval()
    network.load_state_dict({name: tensor.double() for name, tensor in external.state.items()})
    with torch.no_grad():
        return network(image)


CASES: dict[str, tuple[Callable[[], State], Callable[[State, Tensor], Tensor], str, int]] = {
    "disp": (disp_layout, disp, "disp", 4),
    "span fused": (lambda: span_layout("fused"), span, "span", 4),
    "span branches": (lambda: span_layout("branches"), lambda s, x: span(s, x, True), "span", 4),
    "span both": (lambda: span_layout("both"), lambda s, x: span(s, x, True), "span", 4),
    "plainusr local": (lambda: plainusr_layout(6, (4,), 2, None), plainusr, "plainusr", 2),
    "plainusr pooled": (lambda: plainusr_layout(9, (6, 4), 2, 3), plainusr, "plainusr", 2),
    "plainusr of three convolutions": (lambda: plainusr_layout(9, (6, 4), 3, 3), plainusr, "plainusr", 2),
    "rlfn": (rlfn_layout, rlfn, "rlfn", 4),
    "bsrn": (bsrn_layout, bsrn, "bsrn", 4),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("key", [None, "params"])
def test_a_network_read_from_a_file_equals_its_tensors_in_plain_pytorch(
    case: str, key: str | None, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    layout, compute, format_name, scale = CASES[case]
    state = layout()
    external = external_weights.read(saved({key: state} if key else state, tmp_path), KNOWN)
    image = torch.rand(2, 3, 21, 18, dtype=torch.float64)
    expected = compute(state, image)
    assert external.format == f"{format_name}_file"
    assert external.architecture.task.scale == scale
    assert expected.shape == (2, 3, 21 * scale, 18 * scale)
    torch.testing.assert_close(restored(external, image), expected, rtol=0, atol=1e-4 * expected.abs().max().item())


def test_a_file_saved_on_a_gpu_is_read_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
    path = saved(span_layout("fused"), tmp_path)
    monkeypatch.undo()
    assert b"cuda:0" in path.read_bytes()
    assert {tensor.device.type for tensor in external_weights.read(path, KNOWN).state.values()} == {"cpu"}


def test_grey_files_give_grey_networks(tmp_path: Path) -> None:
    architecture = external_weights.read(
        saved(plainusr_layout(6, (4,), 2, None, colours=1), tmp_path), KNOWN
    ).architecture
    assert architecture.task.channels == 1
    assert architecture.branches == (
        PlainUSR(channels=6, layers=3, narrower=(4,), convolutions=2, attention="local", hidden=1),
    )


@pytest.mark.parametrize("size", PRESETS)
def test_a_file_of_each_size_of_plainusr_is_read_as_that_size(size: str, tmp_path: Path) -> None:
    options = PRESETS[size]
    hidden = options["hidden"] if options["attention"] == "pooled" else None
    state = plainusr_layout(options["channels"], options["narrower"], options["convolutions"], hidden)
    (backbone,) = external_weights.read(saved(state, tmp_path), KNOWN).architecture.branches
    assert backbone == PlainUSR(size=size)


def test_span_is_read_in_training_form_on_request(tmp_path: Path) -> None:
    state = span_layout("both")
    external = external_weights.read(saved(state, tmp_path), KNOWN, SPANFile(form="branches"))
    image = torch.rand(1, 3, 9, 8, dtype=torch.float64)
    assert external.architecture.branches == (SPAN(channels=7, form="branches"),)
    assert isinstance(external.architecture.build_network().head, Conv3XC)
    torch.testing.assert_close(restored(external, image), span(state, image, True), rtol=1e-6, atol=1e-6)


def test_an_rlfn_of_unit_range_is_read_unscaled(tmp_path: Path) -> None:
    state = rlfn_layout()
    external = external_weights.read(saved(state, tmp_path), KNOWN, RLFNFile(white=1))
    assert torch.equal(external.state["head.weight"], state["conv_1.weight"])


# Files that are incomplete


def test_span_with_a_branch_missing_is_refused(tmp_path: Path) -> None:
    state = span_layout("both")
    del state["block_3.c2_r.sk.weight"]
    with pytest.raises(WeightsError, match=r"1 of their tensors are missing, e\.g\. block_3\.c2_r\.sk\.weight; save"):
        external_weights.read(saved(state, tmp_path), KNOWN)


def test_span_of_mixed_forms_is_refused(tmp_path: Path) -> None:
    state = span_layout("fused")
    for name in span_names(6)[:4]:
        state |= conv3xc_layout(name, 7, 3 if name == "conv_1" else 7)
    with pytest.raises(WeightsError, match=r"of their tensors are missing.*either all branches or none"):
        external_weights.read(saved(state, tmp_path), KNOWN)


def test_fused_span_cannot_be_read_in_training_form(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="branches are lost; read it in form plain"):
        external_weights.read(saved(span_layout("fused"), tmp_path), KNOWN, SPANFile(form="branches"))


@pytest.mark.parametrize("case", ["disp", "span fused", "plainusr pooled", "rlfn", "bsrn"])
def test_a_missing_tensor_is_named(case: str, tmp_path: Path) -> None:
    state = CASES[case][0]()
    lost = {"disp": "upsampler.0.weight", "span fused": "block_6.c3_r.eval_conv.bias", "rlfn": "upsampler.0.bias"}
    lost |= {"plainusr pooled": "block4.body.3.body.2.bias", "bsrn": "B2.c5.weight"}
    del state[lost[case]]
    with pytest.raises(WeightsError, match=lost[case].replace(".", r"\.") + r".* missing|missing: " + lost[case]):
        external_weights.read(saved(state, tmp_path), KNOWN)


def test_a_last_convolution_without_pixel_shuffle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="makes 47 channels, which is no pixel shuffle of 3"):
        external_weights.read(saved(disp_layout() | conv("upsampler.0", 47, 8, 3), tmp_path), KNOWN)
