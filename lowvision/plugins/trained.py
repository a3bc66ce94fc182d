"""The argument of a runtime: a trained network in the forms that runtimes request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from lowvision.errors import WeightsError

if TYPE_CHECKING:
    from torch import nn


class Trained(ABC):
    """A trained network, as a module, an ONNX file or files of ncnn, for runtimes."""

    @abstractmethod
    def module(self) -> nn.Module:
        """Return a new copy of the network: eval mode, float32, on the CPU.

        Raises WeightsError if only a graph is available, as in an exported package.
        """

    def folded(self) -> nn.Module:
        """Return `module` with its last layers rearranged, if possible, to run faster on CPUs; same function."""
        return self.module()

    @abstractmethod
    def onnx(self) -> Path:
        """Return the path of a self-contained ONNX file: one input, one output; batch, height and width are dynamic.

        Height and width are fixed to those of a tile if the network can be traced for one size only.

        The first call may take seconds. Raises WeightsError if the network cannot be exported.
        """

    def ncnn(self) -> Path:
        """Return the path of a `.param` file of ncnn with its `.bin` beside it: blobs `lq` (C,h,w) and `output`.

        Height and width are dynamic. The first call may take seconds. Raises WeightsError if the network cannot be
        exported, e.g. because ncnn has no layer for one of its operators.
        """
        raise WeightsError("this network cannot be exported to ncnn; use another runtime")

    def unfolded(self) -> Trained:
        """Return the same network without rearrangements in its other forms, for comparisons."""
        return self
