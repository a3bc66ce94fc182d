"""Compile the networks of a training by torch.compile, in place: names of tensors stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from lowvision.errors import TrainingError, message_of
from lowvision.routing.container import RoutedContainer

BACKEND = "inductor"
"""Backend of torch.compile."""
MOST_SHAPES = 64
"""Shapes to compile for; at PyTorch's limit of 8, a validation after several sizes of tiles would run uncompiled."""


@contextmanager
def compiled(network: nn.Module, stage: str, wanted: bool) -> Iterator[None]:
    """Compile a network, or classifier and branches of a container, as long as the context lasts.

    Every shape is compiled for itself, so that a resumed training computes the same as one without an interruption.
    Raises TrainingError if the network cannot be compiled.
    """
    if not wanted:
        yield
        return
    import torch._dynamo as dynamo

    parts = (network.classifier, *network.branches.networks) if isinstance(network, RoutedContainer) else (network,)
    for part in parts:
        part.compile(backend=BACKEND, dynamic=False)
    try:
        with dynamo.config.patch(recompile_limit=MOST_SHAPES):
            yield
    except dynamo.exc.TorchDynamoException as error:
        raise TrainingError(f"{stage}: cannot be compiled: {message_of(error)[:300]}; omit compile") from error
    finally:
        for part in parts:
            part._compiled_call_impl = None
