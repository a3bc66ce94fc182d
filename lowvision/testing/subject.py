"""Test subjects: a network with its input and its name in messages, and a task to build it for."""

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
from lowvision.plugins.contracts import Adaptive, EarlyExit, Task
from lowvision.plugins.losses import Critic, ImageLoss

MIXINS = (Critic, EarlyExit, Adaptive)
"""Contracts of modules that derive from nn.Module too."""


class PlainTask(Task):
    """A task of any scale for RGB and grey that keeps every `scale`th row and column."""

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        return gt[..., :: self.scale, :: self.scale].clone()

    def baseline(self, lq: Tensor) -> Tensor:
        return functional.interpolate(lq, scale_factor=self.scale, mode="nearest")


@dataclass(frozen=True)
class Subject:
    """A network under test."""

    name: str
    """Name in messages."""
    make: Callable[[], nn.Module]
    """Build a new network."""
    shape: tuple[int, int, int, int]
    """Shape of a supported input, (B,C,h,w)."""
    fit: Callable[[nn.Module], None] = lambda network: None
    """Fit, in place, what is neither initialised by a seed nor trained."""
    objective: Callable[[nn.Module, ImageLoss], nn.Module | None] = lambda network, image_loss: None
    """Return the objective of training if the output alone is not enough."""

    def fail(self, message: str) -> AssertionError:
        """Return the error of a failed check."""
        return AssertionError(f"{self.name}: {message}")

    def built(self, seed: int = 0) -> nn.Module:
        """Build and fit a network under a seed, in eval()."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self.make()
            if not isinstance(network, nn.Module):
                raise self.fail(f"build returns {no_module(network)}")
            self.fit(network)
        return network.eval()

    def stirred(self) -> nn.Module:
        """Build a network in eval() and float64 with random weights.

        Layers that are initialised near zero would hide errors in the layers before them.
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
        """Return reproducible noise in [0,1], by default of the subject's shape."""
        generator = torch.Generator().manual_seed(2)
        return torch.rand(tuple(shape or self.shape), generator=generator, dtype=torch.float64).to(dtype)

    def run(self, network: nn.Module, images: Tensor) -> Tensor:
        """Return the output without gradients; an error of the network becomes a failure."""
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


def no_module(built: object) -> str:
    """Return the end of a message about something that is no nn.Module; mixins alone do not make one."""
    kind = type(built)
    for mixin in MIXINS:
        if isinstance(built, mixin):
            return f"a {kind.__name__}, which is no torch.nn.Module; class {kind.__name__}(nn.Module, {mixin.__name__})"
    return f"a {kind.__name__}; return a torch.nn.Module"


def copy_of(network: nn.Module) -> nn.Module:
    """Return a deep copy."""
    return copy.deepcopy(network)


def short(dtype: torch.dtype) -> str:
    """Return the name of a dtype without `torch.`."""
    return str(dtype).removeprefix("torch.")


def one_line(error: Exception) -> str:
    """Return the message of an error in one line of bounded length."""
    if isinstance(error, ValidationError):
        return "; ".join(e["msg"].removeprefix("Value error, ") for e in error.errors())
    return message_of(error)[:300]


def distance(actual: Tensor, expected: Tensor) -> float:
    """Return the largest difference relative to the largest expected value; infinite if any value is not finite."""
    if not (actual.isfinite().all() and expected.isfinite().all()):
        return float("inf")
    largest = expected.abs().max().item()
    return (actual.to(expected.dtype) - expected).abs().max().item() / (largest or 1.0)


def _hint(images: Tensor) -> str:
    if images.dtype != torch.float32:
        return "; make constants buffers (register_buffer), and new tensors with dtype and device of the input"
    if min(images.shape[-2:]) < 8:
        return (
            "; images may be as small and as odd as that: pad with zeros or by replicating (reflection needs a larger "
            "image), or state in `multiple_of` what sides must be multiples of"
        )
    return ""
