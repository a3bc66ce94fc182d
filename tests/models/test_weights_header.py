"""A modified header gives one clear message, within seconds and with little memory."""

from __future__ import annotations

import copy
import hashlib
import json
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from lowvision.commands import card
from lowvision.commands.show import descriptions
from lowvision.errors import WeightsError
from lowvision.inference import package, trained_networks
from lowvision.models import weights
from lowvision.plugins import registry

REGISTRY = registry.load()


def write(path: Path, header: str) -> Path:
    """Write one tensor of four bytes with any header."""
    save_file({"x": torch.zeros(1)}, path, {weights.KEY: header})
    return path


def header_of(path: Path) -> dict[str, Any]:
    return weights.read_header(path, REGISTRY).model_dump(mode="json", context=REGISTRY)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ('{"format": 1,', "its header is damaged"),
        ("[]", "its header is no JSON object"),
        ("7", "its header is no JSON object"),
        ('{"format": "9"}', "format must be a whole number"),
        ('{"format": true}', "format must be a whole number"),
        (f'{{"format": {"9" * 5000}}}', "its header is damaged"),
        (f'{{"format": {"9" * 4000}}}', r"format more than 10\^9 is newer"),
        ("[" * 100_000, "its header is damaged"),
        ('{"a":' * 50_000 + "1" + "}" * 50_000, "its header is damaged"),
        ('{"kind": "backbone", "plugins": 3}', "cannot be rebuilt"),
        ('{"kind": "backbone", "plugins": {"a": ["b"]}}', "cannot be rebuilt"),
    ],
)
def test_an_invalid_header_is_reported(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(WeightsError, match=message) as error:
        trained_networks.read(write(tmp_path / "w.safetensors", header), REGISTRY)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 2000


@pytest.mark.parametrize(
    "options", [{"channels": 64, "layers": 10**9}, {"channels": 64, "layers": 10**4}, {"channels": 30_000, "layers": 3}]
)
def test_a_network_far_larger_than_its_tensors_is_refused_before_allocation(
    tmp_path: Path, options: dict[str, int]
) -> None:
    header = {"kind": "backbone", "architecture": {"task": "denoise", "branches": [{"dncnn": options}]}}
    path = write(tmp_path / "w.safetensors", json.dumps(header))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(WeightsError, match=r"cannot be built: .* far larger than the tensors|1 unexpected: x"):
        trained_networks.read(path, REGISTRY)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024  # KiB


@pytest.mark.parametrize(
    "describe",
    [lambda path: descriptions.weights_file(path, REGISTRY, None, None), lambda path: card.card(path, REGISTRY)],
)
def test_a_description_of_a_network_far_larger_than_its_tensors_is_refused(
    tmp_path: Path, describe: Callable[[Path], object]
) -> None:
    architecture = {"task": "denoise", "branches": [{"dncnn": {"channels": 64, "layers": 10**9}}]}
    path = write(tmp_path / "w.safetensors", json.dumps({"kind": "backbone", "architecture": architecture}))
    with pytest.raises(WeightsError, match="far larger than the tensors"):
        describe(path)


def test_a_package_far_larger_than_its_graphs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "branch_0.onnx").write_bytes(b"graph")
    architecture = {"task": "denoise", "branches": [{"dncnn": {"channels": 64, "layers": 10**9}}]}
    files = {"branch_0.onnx": hashlib.sha256(b"graph").hexdigest()}
    manifest = {"schema": 1, "kind": "backbone", "architecture": architecture, "files": files}
    (tmp_path / package.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(WeightsError, match="far larger than"):
        package.read(tmp_path, REGISTRY)


Change = Callable[[dict[str, Any]], None]


def curve(**values: Any) -> Change:
    good = {
        "curve/k": [1.0, 0.0],
        "curve/share_of_base_whole": [0.5, 1.0],
        "curve/psnr_y@crop4": [30.0, 31.0],
        "curve/last_branch_on_every_tile/psnr_y@crop4": 31.0,
    }
    changed = {name: values.get(name.split("/")[1].split("@")[0], value) for name, value in good.items()}
    return lambda header: header.update(measured={n: value for n, value in changed.items() if value is not None})


CHANGES: dict[str, tuple[Change, str]] = {
    "too few points": (curve(k=[1.0]), "curve"),
    "no shares": (curve(share_of_base_whole=None), "curve"),
    "no PSNR": (curve(psnr_y=None), "curve"),
    "another kind": (lambda header: header.update(kind="backbone"), "describes a container, but its kind is backbone"),
    "another scale": (
        lambda header: header["architecture"]["task"]["sr"].update(scale=99),
        "must be 2, 3 or 4, not 99",
    ),
    "a huge tile": (lambda header: header["architecture"]["tile"].update(size=10**6), "larger than 2048"),
    "no classifier": (
        lambda header: header["architecture"].update(classifier=None),
        "no classifier|its kind is container",
    ),
    "a branch less": (lambda header: header["architecture"]["branches"].pop(), "unexpected"),
}


def changed_copy(original: Path, copied: Path, change: Change) -> Path:
    from safetensors.torch import load_file

    header = header_of(original)
    change(header)
    save_file(load_file(original), copied, {weights.KEY: json.dumps(header)})
    return copied


@pytest.mark.parametrize("name", CHANGES)
def test_inconsistent_values_are_reported(weights_file: Path, tmp_path: Path, name: str) -> None:
    change, message = CHANGES[name]
    path = changed_copy(weights_file, tmp_path / "w.safetensors", change)
    with pytest.raises(WeightsError, match=message):
        trained_networks.read(path, REGISTRY)


def test_a_consistent_curve_is_accepted(weights_file: Path, tmp_path: Path) -> None:
    path = changed_copy(weights_file, tmp_path / "w.safetensors", curve())
    assert trained_networks.read(path, REGISTRY).header.measured["curve/k"] == (1.0, 0.0)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def replaced(value: Any, path: list[int], new: Any) -> Any:
    """Return the value with the part at `path` replaced."""
    if not path or not isinstance(value, dict | list) or not value:
        return new
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = keys[path[0] % len(keys)]
    value[key] = replaced(value[key], path[1:], new)
    return value


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 20), min_size=1, max_size=6), VALUES)
def test_any_change_of_a_header_is_accepted_or_reported_in_one_line(
    weights_file: Path, tmp_path: Path, path: list[int], new: Any
) -> None:
    header = replaced(copy.deepcopy(header_of(weights_file)), path, new)
    changed = tmp_path / "changed.safetensors"
    shutil.copyfile(weights_file, changed)
    save_file({"x": torch.zeros(1)}, changed, {weights.KEY: json.dumps(header)})
    with pytest.raises(WeightsError) as error:
        trained_networks.read(changed, REGISTRY)
    assert "\n" not in str(error.value)
