"""The trained networks of a weights file, in every form that a runtime may want."""

from __future__ import annotations

import copy
import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from lowvision.errors import WeightsError
from lowvision.inference import folding, onnx_graph
from lowvision.models import external_weights, weights
from lowvision.models.architecture import Architecture
from lowvision.models.weights import Header
from lowvision.plugins.contracts import Trained
from lowvision.plugins.registry import Registry
from lowvision.system import cache

Say = Callable[[str], None]
"""Takes a line for a person."""


@dataclass(frozen=True)
class ModelBundle:
    """What a weights file, or an exported package, consists of."""

    header: Header
    """What was trained, and what it measured."""
    identity: str
    """A name that follows from the content: other weights have another."""
    branches: tuple[Trained, ...]
    """Cheapest first; the last is the base. A single network is the only one."""
    classifier: Trained | None
    """Absent where there is a single network."""

    @property
    def architecture(self) -> Architecture:
        """What was trained."""
        return self.header.architecture


@dataclass(frozen=True)
class Network(Trained):
    """A network in memory, whose graph is made when it is first asked for and kept in the cache."""

    name: str
    """What a person would call it."""
    identity: str
    """A name that follows from its weights."""
    channels: int
    """Of its input."""
    size: int
    """Height and width of a tile of its input."""
    step: int
    """What height and width must be multiples of."""
    original: Callable[[], nn.Module]
    """Gives the network; it is not changed."""
    say: Say
    """Is told when something takes long."""
    folds: bool = True
    """Whether it is rearranged to be fast (`lowvision/inference/folding.py`)."""

    def module(self) -> nn.Module:
        return copy.deepcopy(self.original()).float().cpu().eval()

    def folded(self) -> nn.Module:
        network = self.module()
        return folding.folded(network, self.channels, self.size) if self.folds else network

    def onnx(self) -> Path:
        return cache.keep_file(f"{cache.key('onnx', self.identity, self.folds, onnx_graph.maker())}.onnx", self._write)

    def unfolded(self) -> Network:
        return replace(self, folds=False)

    def _write(self, path: Path) -> None:
        self.say(f"exporting {self.name} to ONNX; once, it is kept in {cache.root()}")
        onnx_graph.write(self.folded(), path, self.channels, self.size, self.step)


def tell(line: str) -> None:
    """Say a line to a person, beside what a command answers."""
    print(line, file=sys.stderr, flush=True)


def read(path: Path, registry: Registry, say: Say = tell) -> ModelBundle:
    """The networks of a weights file; it is read when one of them is asked for a form that is not cached.

    Raises WeightsError where the file is not one, or needs a plugin that is not there.
    """
    header = weights.read_header(path, registry)
    made, content = header.architecture, _content(path)
    # By another version of a plugin the same tensors may compute something else; and what a foreign file is does not
    # stand in it: with other plugins it may be another network.
    described = header.model_dump(mode="json", context=registry) if weights.is_foreign(path) else None
    identity = cache.key("weights", content, weights.plugins_of(made, registry), described)

    @functools.cache
    def loaded() -> tuple[list[nn.Module], nn.Module | None]:
        if made.classifier is None:
            found: tuple[list[nn.Module], nn.Module | None] = [weights.load_network(path, made, registry)], None
        else:
            container = weights.load_container(path, made, registry)
            found = list(container.branches.networks), container.classifier
        if _content(path) != content:  # the graphs of one file must never be kept under another's name
            raise WeightsError(f"{path}: changed while it was in use; begin again")
        return found

    def part(name: str, step: int, original: Callable[[], nn.Module]) -> Network:
        return Network(
            name=f"{name} of {path.name}",
            identity=f"{identity} {name}",
            channels=made.task.channels,
            size=made.tile.size,
            step=step,
            original=original,
            say=say,
        )

    branches = tuple(
        part(f"branch {k}", backbone.multiple_of, lambda k=k: loaded()[0][k])  # type: ignore[misc]  # k is bound
        for k, backbone in enumerate(made.branches)
    )
    classifier = None if made.classifier is None else part("the classifier", 1, lambda: loaded()[1])  # type: ignore[arg-type, return-value]  # there is one
    return ModelBundle(header, identity, branches, classifier)


def _content(path: Path) -> str:
    """Return a name for the content of all files of a network."""
    first, *others = [cache.fingerprint(file) for file in external_weights.files(path)]
    return cache.key(first, *others) if others else first
