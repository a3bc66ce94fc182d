"""An exported package holds all that a restore needs; trained networks as modules and as graphs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from graph_runtimes import CLOSE, each_runtime
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from lowvision import cli
from lowvision.commands.show import names
from lowvision.commands.show.request import ShowRequest
from lowvision.errors import UsageError, WeightsError
from lowvision.inference import package, trained_networks
from lowvision.models import component_names, weights
from lowvision.plugins import registry
from lowvision.system import cache

pytest.importorskip("onnxscript")

KNOWN = registry.load()


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_weights(tmp_path_factory.mktemp("weights") / "w.safetensors", tiny.architecture())


@pytest.fixture(scope="module")
def exported(container: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages") / "deep" / "w"
    package.write(container, folder, KNOWN)
    return folder


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    """Copy the package, so that a test may damage it."""
    folder = tmp_path / "w"
    folder.mkdir()
    for file in exported.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_show_describes_a_package_like_its_weights(exported: Path, container: Path) -> None:
    (document,), (original,) = (names.documents(str(path), KNOWN, ShowRequest()) for path in (exported, container))
    assert (document["kind"], original["kind"]) == ("exported package", "weights file")
    assert all(
        document[key] == original[key] for key in ("holds", "task", "branches", "classifier", "tile", "measured")
    )


def test_every_network_of_a_weights_file_is_available_as_a_module(container: Path) -> None:
    parts = trained_networks.read(container, KNOWN)
    right = weights.load_container(container, tiny.architecture(), KNOWN).eval()
    x = torch.rand(2, 3, 16, 16)
    for part, network in zip(
        [*parts.branches, parts.classifier], [*right.branches.networks, right.classifier], strict=True
    ):
        assert torch.equal(part.module()(x), network(x))
        assert not part.module().training


def test_a_folded_graph_gives_equal_outputs_and_an_unfolded_one_keeps_the_layers(tmp_path: Path) -> None:
    architecture = tiny.architecture().only(0)
    network = trained_networks.read(tiny.write_weights(tmp_path / "w.safetensors", architecture), KNOWN).branches[0]
    x = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(network.folded()(x), network.module()(x), rtol=0, atol=CLOSE)
    enlarges = [
        any(isinstance(part, nn.ConvTranspose2d) for part in form.modules())
        for form in (network.module(), network.folded(), network.unfolded().folded())
    ]
    assert enlarges == [True, False, True]


def test_a_returned_module_belongs_to_the_caller(container: Path) -> None:
    branch = trained_networks.read(container, KNOWN).branches[0]
    branch.module().double()
    assert next(branch.module().parameters()).dtype == torch.float32


def test_a_single_network_has_one_branch_and_no_classifier(tmp_path: Path) -> None:
    path = tiny.write_weights(tmp_path / "one.safetensors", tiny.architecture().only(0))
    parts = trained_networks.read(path, KNOWN)
    assert len(parts.branches) == 1
    assert parts.classifier is None
    package.write(path, tmp_path / "p", KNOWN)
    assert {file.name for file in (tmp_path / "p").iterdir()} == {"branch_0.onnx", "manifest.json"}
    assert package.read(tmp_path / "p", KNOWN).classifier is None


def test_a_graph_is_exported_once_logged_and_cached(
    container: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "lowvision")
    assert (
        trained_networks.read(container, KNOWN).branches[0].onnx().read_bytes()
        == (exported / "branch_0.onnx").read_bytes()
    )
    assert caplog.messages == []  # the package has exported it
    monkeypatch.setenv("LOWVISION_CACHE", str(tmp_path))
    branch = trained_networks.read(container, KNOWN).branches[0]
    assert branch.onnx() == branch.onnx()
    assert caplog.messages == [f"exporting branch 0 of w.safetensors to ONNX once; the graph is cached in {tmp_path}"]
    assert cache.size() == branch.onnx().stat().st_size
    assert cache.clear() > 0
    assert not branch.onnx().parent.parent.samefile(container.parent)


def test_changed_weights_export_another_graph(container: Path, tmp_path: Path) -> None:
    other = tiny.write_weights(tmp_path / "w.safetensors", tiny.architecture().only(0))
    names = {trained_networks.read(path, KNOWN).identity for path in (container, other)}
    assert len(names) == 2


def test_another_plugin_version_exports_another_graph(container: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = trained_networks.read(container, KNOWN).identity
    assert trained_networks.read(container, KNOWN).identity == before
    monkeypatch.setattr(component_names, "plugins_of", lambda *_: {"lowvision-sr": "another"})
    assert trained_networks.read(container, KNOWN).identity != before


def test_weights_that_change_during_use_are_not_cached_under_the_old_key(tmp_path: Path) -> None:
    path = tiny.write_weights(tmp_path / "w.safetensors", tiny.architecture().only(0))
    branch = trained_networks.read(path, KNOWN).branches[0]
    network = tiny.architecture().only(0).build_network()
    weights.save(path, network, tiny.architecture().only(0), KNOWN, {"psnr": 1.0})
    with pytest.raises(WeightsError, match="changed while it was in use"):
        branch.module()


def test_a_package_contains_everything_needed_to_restore(exported: Path, container: Path) -> None:
    assert {file.name for file in exported.iterdir()} == {
        "branch_0.onnx",
        "branch_1.onnx",
        "branch_2.onnx",
        "classifier.onnx",
        "manifest.json",
    }
    packed, kept = package.read(exported, KNOWN), trained_networks.read(container, KNOWN)
    assert packed.header == kept.header
    x = torch.rand(3, 3, 16, 16)
    for graph_alone, whole in zip(
        [*packed.branches, packed.classifier], [*kept.branches, kept.classifier], strict=True
    ):
        for call in each_runtime(graph_alone.onnx()).values():
            torch.testing.assert_close(call(x), whole.module()(x).detach(), rtol=0, atol=CLOSE)
        with pytest.raises(WeightsError, match=r"use another runtime than torch"):
            graph_alone.module()


def test_a_manifest_contains_versions_and_no_paths(exported: Path, container: Path) -> None:
    text = (exported / "manifest.json").read_text()
    manifest = json.loads(text)
    assert manifest["schema"] == package.SCHEMA["onnx"]
    assert manifest["plugins"] == {"lowvision-framework": KNOWN.entry_of(tiny.architecture().task).version}
    assert manifest["architecture"]["tile"] == {"size": 16, "overlap": 4, "merge": False, "halo": 0}
    assert str(container.parent) not in text
    assert str(exported.parent) not in text


def test_an_existing_folder_is_not_changed(container: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="already exists; choose another folder, or delete it first"):
        package.write(container, tmp_path, KNOWN)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_a_failed_export_leaves_no_files(container: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(package.shutil, "copyfile", full_disk)
    with pytest.raises(UsageError, match=r"cannot be written: .*No space left"):
        package.write(container, tmp_path / "p", KNOWN)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_package_is_refused(copied: Path) -> None:
    (copied / "branch_1.onnx").write_bytes(b"other")
    with pytest.raises(WeightsError, match=r"branch_1\.onnx is missing or damaged"):
        package.read(copied, KNOWN)


@pytest.mark.parametrize("has_graphs", [True, False])
def test_a_network_far_larger_than_its_graphs_is_refused_within_seconds(copied: Path, has_graphs: bool) -> None:
    """The input of a campaign: `layers` became a number of 20 digits, and 5 s passed until it was refused."""
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["architecture"]["branches"][0]["fsrcnn"]["layers"] = 99999999999999999999
    (copied / "manifest.json").write_text(json.dumps(manifest))
    if not has_graphs:
        (copied / "branch_0.onnx").unlink()
    registered = []
    hook = register_module_parameter_registration_hook(lambda *_: registered.append(1))
    try:
        with pytest.raises(WeightsError, match="cannot be built: .* far larger than" if has_graphs else "missing"):
            package.read(copied, KNOWN)
    finally:
        hook.remove()
    assert len(registered) < (12_000 if has_graphs else 100)


def test_other_files_than_graphs_do_not_raise_the_limits(copied: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(1 << 40)
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["files"][str(large)] = manifest["files"]["../large.bin"] = "0" * 64
    (copied / "manifest.json").write_text(json.dumps(manifest))
    assert len(package.read(copied, KNOWN).branches) == 3  # a file of a TiB is not read


def test_a_pipe_as_manifest_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises(WeightsError, match="no regular file"):
        package.read(tmp_path, KNOWN)


@pytest.mark.parametrize("files", [[[1, 2]], {"branch_0.onnx": 5}, {"branch_0.onnx": ["a"]}, "ab"])
def test_a_list_of_files_of_other_types_is_refused(copied: Path, files: Any) -> None:
    manifest = json.loads((copied / "manifest.json").read_text()) | {"files": files}
    (copied / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(WeightsError):
        package.read(copied, KNOWN)


def test_a_package_of_a_newer_schema_is_refused(copied: Path) -> None:
    manifest = json.loads((copied / "manifest.json").read_text()) | {"schema": 3}
    (copied / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(WeightsError, match=r"schema 3 is newer than this lowvision reads \(2\)"):
        package.read(copied, KNOWN)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": 1}', '{"schema": "1"}', '{"schema": 1, "files": {}}', '{"schema": 1e999}']
)
def test_an_invalid_manifest_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"not an exported package"):
        package.read(tmp_path, KNOWN)
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(WeightsError):
        package.read(tmp_path, KNOWN)


def test_the_command_exports_a_package(container: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.app(["export", str(container), "-o", str(tmp_path / "p")], standalone_mode=False)
    assert capsys.readouterr().out == (
        f"{tmp_path / 'p'}: branch_0.onnx, branch_1.onnx, branch_2.onnx, classifier.onnx, manifest.json\n"
    )
