"""Exported packages: a folder with the graph of every network and a manifest, without PyTorch weights."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from torch import nn

from lowvision.errors import UsageError, WeightsError, message_of
from lowvision.inference import ncnn_graph, onnx_graph, trained_networks
from lowvision.inference.trained_networks import ModelBundle
from lowvision.models import bounded_build
from lowvision.models.architecture import Architecture
from lowvision.models.weights_header import header_of
from lowvision.plugins.contracts import Trained
from lowvision.plugins.registry import Registry
from lowvision.system import meta_device
from lowvision.system.atomic import temporary_beside

GraphFormat: TypeAlias = Literal["onnx", "ncnn"]
"""Format of the graphs of a package."""
SUFFIXES: dict[GraphFormat, tuple[str, ...]] = {"onnx": (".onnx",), "ncnn": (".param", ".bin")}
"""Suffixes of the files of a graph; the first names it."""
SCHEMA: dict[GraphFormat, int] = {"onnx": 1, "ncnn": 2}
"""Version of the manifest; incremented when older versions of lowvision cannot read it."""
MANIFEST = "manifest.json"
CLASSIFIER = "classifier"
"""Name of the classifier's files, without suffix."""
GRAPH = re.compile(r"(branch_\d{1,3}|classifier)\.(onnx|param|bin)")
"""Names of the files of graphs; a manifest that lists other files is not followed to them."""


@dataclass(frozen=True)
class Graph(Trained):
    """A network of which only a graph exists."""

    path: Path
    format: GraphFormat = "onnx"

    def module(self) -> nn.Module:
        others = "another runtime than torch" if self.format == "onnx" else "runtime ncnn"
        raise WeightsError(f"{self.path}: an exported network has no PyTorch module; use {others}, or the weights file")

    def onnx(self) -> Path:
        return self._in("onnx", "ncnn")

    def ncnn(self) -> Path:
        return self._in("ncnn", "openvino or onnxruntime")

    def _in(self, format: GraphFormat, other: str) -> Path:
        if format != self.format:
            raise WeightsError(
                f"{self.path}: is a graph of {self.format}; use runtime {other}, or export with --format {format}"
            )
        return self.path


def write(path: Path, folder: Path, registry: Registry, format: GraphFormat = "onnx") -> None:
    """Export the networks of a weights file into a new folder, written atomically by renaming.

    Raises UsageError if the folder exists or cannot be written, WeightsError if a network cannot be exported.
    """
    if folder.exists():
        raise UsageError(f"{folder}: already exists; choose another folder, or delete it first")
    parts = trained_networks.read(path, registry)
    exported = {name_of(k): branch for k, branch in enumerate(parts.branches)}
    if parts.classifier:
        exported[CLASSIFIER] = parts.classifier
    graphs = {f"{name}{file.suffix}": file for name, network in exported.items() for file in _files(network, format)}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_beside(folder)
        temporary.mkdir()
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error}") from None
    try:
        for name, file in graphs.items():
            shutil.copyfile(file, temporary / name)
        manifest = {
            "schema": SCHEMA[format],
            **parts.header.model_dump(mode="json", context=registry),
            **({} if format == "onnx" else {"graphs": format}),
            "exporter": onnx_graph.maker() if format == "onnx" else ncnn_graph.maker(),
            "files": {name: _sha256(temporary / name) for name in graphs},
        }
        (temporary / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        os.rename(temporary, folder)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read(folder: Path, registry: Registry) -> ModelBundle:
    """Return the networks of an exported package.

    Raises WeightsError if the folder is not a package, is damaged or too new, or needs a plugin that is not installed.
    """
    files, format, described = _manifest(folder)
    # The graphs first: what the manifest may describe is bounded by their size.
    intact = [name for name in files if GRAPH.fullmatch(name) and _is_intact(folder / name, files[name])]
    limits = bounded_build.Limits.of_bytes(sum((folder / name).stat().st_size for name in intact))
    header = header_of(described, folder, registry, limits)
    names = [name_of(k) for k in range(len(header.architecture.branches))]
    names += [CLASSIFIER] if header.architecture.classifier else []
    for name in (f"{name}{suffix}" for name in names for suffix in SUFFIXES[format]):
        if name not in intact:
            raise WeightsError(f"{folder}: {name} is missing or damaged; export the weights file again")
    _check_size(header.architecture, folder, limits)
    graphs = [Graph(folder / f"{name}{SUFFIXES[format][0]}", format) for name in names]
    classifier = graphs.pop() if header.architecture.classifier else None
    identity = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    return ModelBundle(header, identity, tuple(graphs), classifier)


def _files(network: Trained, format: GraphFormat) -> list[Path]:
    """Return the files of a network's graph."""
    path = network.onnx() if format == "onnx" else network.ncnn()
    return [path.with_suffix(suffix) for suffix in SUFFIXES[format]]


def _check_size(architecture: Architecture, folder: Path, limits: bounded_build.Limits) -> None:
    """Raise WeightsError if the described network cannot be built, or is far larger than its graphs."""
    try:
        with bounded_build.within(limits), meta_device.structure_only():
            architecture.build()
    except Exception as error:  # constructors of plugins may raise anything
        raise WeightsError(f"{folder}: its network cannot be built: {message_of(error)[:300]}") from error


def name_of(k: int) -> str:
    """Return the name of the files of branch k, without suffix."""
    return f"branch_{k}"


def _manifest(folder: Path) -> tuple[dict[str, str], GraphFormat, dict[str, Any]]:
    """Return the sha256 of each file by name, the format of the graphs, and the header as parsed JSON."""
    path = folder / MANIFEST
    try:
        if path.exists() and not path.is_file():  # reading a pipe would wait for ever
            raise OSError("it is no regular file")
        manifest = json.loads(path.read_text())
        schema = int(manifest.pop("schema"))
        files = {str(name): digest for name, digest in dict(manifest.pop("files")).items()}
        format = manifest.pop("graphs", "onnx")
        manifest.pop("exporter", None)  # information for the user only
    except (FileNotFoundError, NotADirectoryError):
        raise WeightsError(
            f"{folder}: not an exported package, it has no {MANIFEST}; give a weights file or an exported package"
        ) from None
    except (OSError, ValueError, KeyError, AttributeError, TypeError, ArithmeticError, RecursionError) as error:
        raise WeightsError(
            f"{path}: not a manifest of an exported package ({error}); export the weights file again"
        ) from None
    newest = max(SCHEMA.values())
    if schema > newest or format not in get_args(GraphFormat):
        raise WeightsError(f"{path}: schema {schema} is newer than this lowvision reads ({newest}); upgrade lowvision")
    return files, format, manifest


def _is_intact(path: Path, digest: str) -> bool:
    """Return True if a graph is a regular file with the checksum of the manifest."""
    try:
        return path.is_file() and _sha256(path) == digest
    except OSError:
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
