"""What is checked: a network as it is built, its input, and its name in messages; and a task to build it for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod, sqrt

import torch
from pydantic import ValidationError
from torch import Generator, Tensor, nn
from torch.nn import functional

from lowvision.errors import message_of
from lowvision.plugins.contracts import Task


class PlainTask(Task):
    """A task of any scale for RGB and grey: of `scale` rows and columns, the first is kept."""

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        return gt[..., :: self.scale, :: self.scale].clone()

    def baseline(self, lq: Tensor) -> Tensor:
        return functional.interpolate(lq, scale_factor=self.scale, mode="nearest")


@dataclass(frozen=True)
class Subject:
    """A network under test."""

    name: str
    """What messages call it."""
    make: Callable[[], nn.Module]
    """Builds it anew."""
    shape: tuple[int, int, int, int]
    """Of an input that it must take, (B,C,h,w)."""
    fit: Callable[[nn.Module], None] = lambda network: None
    """Sets in place what no seed draws and no training learns."""
    objective: Callable[[nn.Module], nn.Module | None] = lambda network: None
    """What trains it, where that is more than its output."""

    def fail(self, message: str) -> AssertionError:
        """The failure of a check, to be raised."""
        return AssertionError(f"{self.name}: {message}")

    def built(self, seed: int = 0) -> nn.Module:
        """A new network in eval(), drawn and fitted under that seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self.make()
            if not isinstance(network, nn.Module):
                raise self.fail(f"build returns a {type(network).__name__}; return a torch.nn.Module")
            self.fit(network)
        return network.eval()

    def stirred(self) -> nn.Module:
        """A new network in eval() and float64, all of whose weights matter.

        Layers that start at zero, or nearly, would hide whatever is wrong before them.
        """
        network = self.built().double()
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in network.parameters():
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(parameter.dtype)
                if parameter.dim() > 1:
                    parameter.copy_(noise * sqrt(2 / prod(parameter.shape[1:])))  # keeps the variance across a ReLU
                else:
                    parameter.add_(0.1 * noise)
        return network

    def images(self, shape: Sequence[int] | None = None, dtype: torch.dtype = torch.float32) -> Tensor:
        """Noise in [0,1] of its own shape, or of another, the same every time."""
        generator = torch.Generator().manual_seed(2)
        return torch.rand(tuple(shape or self.shape), generator=generator, dtype=torch.float64).to(dtype)

    def run(self, network: nn.Module, images: Tensor) -> Tensor:
        """The output without gradients. Fails with what the network raises."""
        try:
            with torch.no_grad():
                output = network(images)
        except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
            raise self.fail(
                f"an input of {tuple(images.shape)} in {short(images.dtype)} raises {type(error).__name__}: "
                f"{one_line(error)}{_hint(images)}"
            ) from error
        if not isinstance(output, Tensor):
            raise self.fail(f"forward returns a {type(output).__name__}; return one tensor")
        return output


def copy_of(network: nn.Module) -> nn.Module:
    """A copy with weights of its own."""
    return copy.deepcopy(network)


def short(dtype: torch.dtype) -> str:
    """`float64`, not `torch.float64`."""
    return str(dtype).removeprefix("torch.")


def one_line(error: Exception) -> str:
    """What an error says, in one line of bounded length."""
    if isinstance(error, ValidationError):
        return "; ".join(e["msg"].removeprefix("Value error, ") for e in error.errors())
    return message_of(error)[:300]


def distance(found: Tensor, wanted: Tensor) -> float:
    """The largest difference, relative to the largest wanted value; infinite where something is not finite."""
    if not (found.isfinite().all() and wanted.isfinite().all()):
        return float("inf")
    largest = wanted.abs().max().item()
    return (found.to(wanted.dtype) - wanted).abs().max().item() / (largest or 1.0)


def _hint(images: Tensor) -> str:
    if images.dtype != torch.float32:
        return "; make constants buffers (register_buffer), and new tensors with dtype and device of the input"
    if min(images.shape[-2:]) < 8:
        return (
            "; images may be as small and as odd as that: pad with zeros or by replicating (reflection needs a larger "
            "image), or let `multiple_of` say what sides must be multiples of"
        )
    return ""
