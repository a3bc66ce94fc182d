"""The trained networks of a weights file, in every form that a runtime requests."""

from __future__ import annotations

import copy
import functools
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from lowvision.errors import WeightsError
from lowvision.inference import folding, ncnn_graph, onnx_graph
from lowvision.models import component_names, tensor_files, weights
from lowvision.models.architecture import Architecture
from lowvision.models.weights_header import Header
from lowvision.plugins.contracts import Trained
from lowvision.plugins.registry import Registry
from lowvision.system import cache, source_code

logger = logging.getLogger("lowvision")

CORE = (
    "lowvision.layers",
    "lowvision.imaging.resize",
    "lowvision.inference.folding",
    "lowvision.inference.onnx_graph",
    "lowvision.inference.ncnn_graph",
    "lowvision.inference.ncnn_context",
    "lowvision.inference.ncnn_operators",
    "lowvision.inference.ncnn_sizes",
    "lowvision.inference.ncnn_file",
)
"""Parts of the core that determine the graph of a network."""


@dataclass(frozen=True)
class ModelBundle:
    """The content of a weights file or an exported package."""

    header: Header
    """The header: architecture and measured values."""
    identity: str
    """Hash of the content: different weights have different identities."""
    branches: tuple[Trained, ...]
    """Cheapest first; the last is the base. A single network is the only branch."""
    classifier: Trained | None
    """None for a single network."""

    @property
    def architecture(self) -> Architecture:
        """The architecture that was trained."""
        return self.header.architecture


@dataclass(frozen=True)
class Network(Trained):
    """A network in memory; its ONNX graph is exported on first use and cached."""

    name: str
    """Name for messages."""
    identity: str
    """Hash of its weights."""
    channels: int
    """Channels of its input."""
    size: int
    """Height and width of a tile of its input."""
    step: int
    """Divisor of the height and width of its input."""
    original: Callable[[], nn.Module]
    """Returns the network, which must not be modified."""
    folds: bool = True
    """Fold its last layers for speed (`lowvision/inference/folding.py`)."""

    def module(self) -> nn.Module:
        return copy.deepcopy(self.original()).float().cpu().eval()

    def folded(self) -> nn.Module:
        network = self.module()
        return folding.folded(network, self.channels, self.size) if self.folds else network

    def onnx(self) -> Path:
        return cache.keep_file(f"{cache.key('onnx', self.identity, self.folds, onnx_graph.maker())}.onnx", self._write)

    def ncnn(self) -> Path:
        stem = cache.key("ncnn", self.identity, self.folds, ncnn_graph.maker())

        @functools.cache
        def converted() -> tuple[str, bytes]:
            logger.info("exporting %s to ncnn once; the files are cached in %s", self.name, cache.root())
            return ncnn_graph.convert(self.folded(), self.name, self.channels, self.size, self.step)

        cache.keep_file(f"{stem}.bin", lambda path: _write_bytes(path, converted()[1]))
        return cache.keep_file(f"{stem}.param", lambda path: _write_bytes(path, converted()[0].encode()))

    def unfolded(self) -> Network:
        return replace(self, folds=False)

    def _write(self, path: Path) -> None:
        logger.info("exporting %s to ONNX once; the graph is cached in %s", self.name, cache.root())
        onnx_graph.write(self.folded(), path, self.channels, self.size, self.step)


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def read(path: Path, registry: Registry) -> ModelBundle:
    """Return the networks of a weights file in their deployed form.

    The tensors are read when a runtime requests a network that is not cached.

    Raises WeightsError if the file is not a weights file, or needs a plugin that is not installed.
    """
    header = weights.check(path, registry)
    header = header.replace(architecture=header.architecture.deployed())
    architecture, content = header.architecture, _content(path)
    identity = cache.key("weights", content, *_code(path, header, registry))

    @functools.cache
    def loaded() -> tuple[list[nn.Module], nn.Module | None]:
        if architecture.classifier is None:
            modules: tuple[list[nn.Module], nn.Module | None] = (
                [weights.load_network(path, architecture, registry)],
                None,
            )
        else:
            container = weights.load_container(path, architecture, registry)
            modules = list(container.branches.networks), container.classifier
        if _content(path) != content:  # a graph must never be cached under the identity of another file
            raise WeightsError(f"{path}: changed while it was in use; run the command again")
        return modules

    def part(name: str, step: int, original: Callable[[], nn.Module]) -> Network:
        return Network(
            name=f"{name} of {path.name}",
            identity=f"{identity} {name}",
            channels=architecture.task.channels,
            size=architecture.tile.size,
            step=step,
            original=original,
        )

    branches = tuple(
        part(f"branch {k}", backbone.multiple_of, lambda k=k: loaded()[0][k])  # type: ignore[misc]  # k is bound
        for k, backbone in enumerate(architecture.branches)
    )
    classifier = None if architecture.classifier is None else part("the classifier", 1, lambda: loaded()[1])  # type: ignore[arg-type, return-value]  # not None
    return ModelBundle(header, identity, branches, classifier)


def _code(path: Path, header: Header, registry: Registry) -> Iterator[Any]:
    """Yield what determines the networks besides the file: the code of plugins and core.

    Another version of a plugin may compute something else from the same tensors, and in an editable installation the
    version stays while the source changes.
    """
    yield component_names.plugins_of(header.architecture, registry)
    yield [source_code.of_component(type(part)) for part in component_names.components_of(header.architecture)]
    yield source_code.of_modules(*CORE)
    if weights.is_foreign(path):  # such a file does not describe its network: it is what the formats make of it
        yield header.model_dump(mode="json", context=registry)
        yield [source_code.of_component(entry.component) for entry in registry["formats"].values()]


def _content(path: Path) -> str:
    """Hash the content of all files of a network."""
    first, *others = [cache.fingerprint(file) for file in tensor_files.files(path)]
    return cache.key(first, *others) if others else first
