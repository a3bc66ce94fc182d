"""Convert trained networks to their deployed form, the one that is validated, counted, evaluated and exported."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from lowvision.errors import WeightsError
from lowvision.layers import fuse
from lowvision.models.architecture import Architecture

TRAINING = ".training"
"""Part of the name of a file that holds the training form, between stem and suffix."""


def deployed(network: nn.Module, architecture: Architecture) -> nn.Module:
    """Return the deployed form of a network or container with that architecture; itself if it has one form.

    The result is in eval(), on the same device. Raises WeightsError if a backbone's two forms do not match.
    """
    form = architecture.deployed()
    if form == architecture:
        return network
    with torch.random.fork_rng(devices=[]):  # training must not depend on how often it is validated
        smaller = form.build().to(next(network.parameters()).device).to(memory_format=torch.channels_last)
        is_fused = fuse(network, smaller)
    if not is_fused:
        raise WeightsError(
            "the training form of a backbone cannot be fused into its deployed form: their other layers differ; "
            "check the backbone with lowvision.testing.check_backbone"
        )
    result: nn.Module = smaller.eval()
    return result


def training_file(path: Path) -> Path:
    """Return the path of the training form next to the deployed one, e.g. `last.training.safetensors`."""
    return path.with_name(f"{path.stem}{TRAINING}{path.suffix}")
