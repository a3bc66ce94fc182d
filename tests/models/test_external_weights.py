"""Claims about files of other programs: which prefixes are removed, and which format recognises them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from lowvision.errors import WeightsError
from lowvision.inference import trained_networks
from lowvision.models import external_weights, weights
from lowvision.plugins import entry_points
from lowvision.plugins.contracts import Format, Part, Recognised
from lowvision.plugins.entry_points import Plugin
from lowvision.plugins.hookspecs import hookimpl
from lowvision.plugins.registry import Registry
from lowvision_sr import FSRCNN, SuperResolution

BACKBONE = FSRCNN(channels=4, shrink=3, layers=1)
STATE = BACKBONE.build(SuperResolution(scale=2)).state_dict()
"""The tensors of a small network under our names, which no format of this repository recognises."""


class Same(Format):
    """A format of our tensor names without header, described in recipe syntax."""

    def recognise(self, state: Mapping[str, Tensor]) -> Recognised | None:
        if "features.0.weight" not in state:
            return None
        choice = {"fsrcnn": {"channels": 4, "shrink": 3, "layers": 1}}
        return Recognised({"sr": {"scale": 2}}, (Part(choice, state),), tile=(24, 6))


class Twin(Format):
    """A second format for the same files."""

    def recognise(self, state: Mapping[str, Tensor]) -> Recognised | None:
        return Same().recognise(state)


class AnyFile(Format):
    """A format that accepts every file."""

    general: ClassVar[bool] = True

    def recognise(self, state: Mapping[str, Tensor]) -> Recognised | None:
        return Recognised(SuperResolution(scale=2), (Part(BACKBONE, state),))


class Raising(Format):
    """A format that raises an unexpected error."""

    def recognise(self, state: Mapping[str, Tensor]) -> Recognised | None:
        raise RuntimeError("what is this?")


class Refusing(Format):
    """A format that recognises the layout and rejects it."""

    def recognise(self, state: Mapping[str, Tensor]) -> Recognised | None:
        raise ValueError("its attention is of a kind that nobody has")


@pytest.fixture
def registry_with(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes a registry of the installed plugins with only these formats."""

    def make(**formats: type[Format]) -> Registry:
        @hookimpl
        def lowvision_formats() -> Mapping[str, type[Format]]:
            return formats

        module = ModuleType("more_formats")
        module.lowvision_formats = lowvision_formats  # type: ignore[attr-defined]  # a module takes any name
        monkeypatch.setitem(sys.modules, module.__name__, module)
        installed = [plugin for plugin in entry_points.installed() if plugin.module != "lowvision_spandrel"]
        return Registry([*installed, Plugin(module.__name__, "more", "1")])

    return make


def saved(state: Any, folder: Path, name: str = "theirs.pth") -> Path:
    torch.save(state, folder / name)
    return folder / name


def test_a_format_may_describe_networks_in_recipe_syntax(tmp_path, registry_with) -> None:
    external = external_weights.read(saved(STATE, tmp_path), registry_with(same=Same))
    assert external.format == "same"
    assert external.architecture.branches == (BACKBONE,)
    assert external.architecture.task == SuperResolution(scale=2)
    assert (external.architecture.tile.size, external.architecture.tile.overlap) == (24, 6)


def test_safetensors_without_lowvision_header_are_external_weights(tmp_path, registry_with) -> None:
    path = tmp_path / "theirs.safetensors"
    save_file(STATE, path)
    assert weights.is_foreign(path)
    assert weights.read_header(path, registry_with(same=Same)).provenance.origin == "theirs.safetensors (same)"


@pytest.mark.parametrize("average", [False, True])
def test_the_network_beside_a_discriminator_is_used_and_its_moving_average_first(
    average: bool, tmp_path, registry_with, caplog
) -> None:
    caplog.set_level("INFO", "lowvision")
    state = {f"generator.{name}": tensor for name, tensor in STATE.items()}
    state |= {"discriminator.0.weight": torch.zeros(3), "step": torch.tensor(7)}
    if average:
        state |= {f"generator_ema.{name}": tensor + 1 for name, tensor in STATE.items()}
    read = external_weights.read(saved({"state_dict": state}, tmp_path), registry_with(same=Same))
    assert all(torch.equal(read.state[name], STATE[name] + average) for name in STATE)
    prefix, others = ("generator_ema.", len(STATE) + 1) if average else ("generator.", 1)
    assert f"the prefix '{prefix}' selects a network among {others} other tensors" in caplog.text


def test_half_precision_is_read_as_float32(tmp_path, registry_with) -> None:
    known = registry_with(same=Same)
    path = saved({name: tensor.half() for name, tensor in STATE.items()}, tmp_path)
    network = weights.load_network(path, weights.read_header(path, known).architecture, known)
    assert {tensor.dtype for tensor in network.state_dict().values()} == {torch.float32}


def test_a_format_that_accepts_every_file_is_tried_last(tmp_path, registry_with) -> None:
    path = saved(STATE, tmp_path)
    assert external_weights.read(path, registry_with(any=AnyFile, same=Same)).format == "same"
    assert external_weights.read(path, registry_with(any=AnyFile)).format == "any"


def test_a_file_recognised_by_two_formats_is_an_error_with_both_names(tmp_path, registry_with) -> None:
    known = registry_with(same=Same, twin=Twin)
    path = saved(STATE, tmp_path)
    with pytest.raises(
        WeightsError, match="same and twin both recognise it; select one by `lowvision convert --format`"
    ):
        external_weights.read(path, known)
    assert external_weights.read(path, known, Twin()).format == "twin"


def test_an_unrecognised_file_is_reported_with_tried_formats_and_contents(tmp_path, registry_with) -> None:
    path = saved({"strange.weight": torch.zeros(1)}, tmp_path)
    with pytest.raises(WeightsError, match=r"no format recognises it; there are .*same.*1 tensors: strange\.weight"):
        external_weights.read(path, registry_with(same=Same))
    with pytest.raises(WeightsError, match=r"is not in the format 'same'"):
        external_weights.read(path, registry_with(same=Same), Same())


def test_a_failing_format_is_skipped_and_reported_if_no_other_matches(tmp_path, registry_with) -> None:
    path = saved(STATE, tmp_path)
    assert external_weights.read(path, registry_with(raising=Raising, same=Same)).format == "same"
    with pytest.raises(WeightsError, match=r"no format recognises it.*; format raising failed: RuntimeError: what is"):
        external_weights.read(path, registry_with(raising=Raising))
    with pytest.raises(WeightsError, match=r"theirs\.pth: format raising failed"):
        external_weights.read(path, registry_with(raising=Raising), Raising())


def test_a_format_that_rejects_a_file_reports_the_reason(tmp_path, registry_with) -> None:
    with pytest.raises(WeightsError, match="is in the format 'refusing', but cannot be converted: its attention is"):
        external_weights.read(saved(STATE, tmp_path), registry_with(refusing=Refusing))


def test_mismatched_tensors_are_named(tmp_path, registry_with) -> None:
    known = registry_with(same=Same)
    state = STATE | {"extra": torch.zeros(1), "enlarge.bias": torch.zeros(4)}
    del state["features.2.bias"]
    with pytest.raises(WeightsError) as error:
        external_weights.read(saved(state, tmp_path), known)
    assert "1 missing: features.2.bias" in str(error.value)
    assert "1 unexpected: extra" in str(error.value)
    assert "1 of another shape: enlarge.bias (4,) instead of (3,)" in str(error.value)


def test_a_network_that_no_plugin_provides_is_reported(tmp_path, registry_with) -> None:
    class Acme(Format):
        """A format that names an unknown backbone."""

        def recognise(self, state: Mapping[str, Tensor]) -> Recognised | None:
            return Recognised("sr", (Part("acme_net", state),))

    with pytest.raises(WeightsError, match=r"'acme'.*no backbone named 'acme_net'"):
        external_weights.read(saved(STATE, tmp_path), registry_with(acme=Acme))


def test_one_file_read_as_two_networks_has_separate_graphs(tmp_path, registry_with) -> None:
    path = saved(STATE, tmp_path)
    same, other = (
        trained_networks.read(path, registry_with(**{name: kind})) for name, kind in (("same", Same), ("any", AnyFile))
    )
    assert same.identity != other.identity
