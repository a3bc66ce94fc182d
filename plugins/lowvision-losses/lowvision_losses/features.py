"""Feature extractors of timm with weights from a file, and the distance between features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, if the configuration of the network has none."""


def extractor(model: str, path: Path, stages: Sequence[int]) -> nn.Module:
    """Return a network from images to a list of feature maps, with the weights of a file; raises ValueError."""
    if not path.is_file():
        raise ValueError(f"perceptual: {path} is no file; give weights of {model}, e.g. from its page in timm")
    try:
        network: nn.Module = timm.create_model(model, pretrained=False, features_only=True, out_indices=tuple(stages))
    except (RuntimeError, AttributeError, AssertionError, IndexError, TypeError) as error:
        raise ValueError(f"perceptual: {model} cannot be built as a feature extractor: {error}") from None
    _load(network, path, model)
    return network.eval().requires_grad_(False)


def _load(network: nn.Module, path: Path, model: str) -> None:
    """Load the tensors that the extractor needs; those of the classification layers are not used."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: dict[str, Any] = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, SafetensorError, ValueError) as error:
        raise ValueError(f"perceptual: {path} cannot be read: {error}") from None
    tensors: Mapping[str, Tensor] = state.get("state_dict", state)
    expected = network.state_dict()
    # `features_only` flattens the top modules of some networks: features.0 -> features_0.
    named = {_flattened(name, expected): tensor for name, tensor in tensors.items()}
    missing = [name for name in expected if name not in named]
    wrong = [name for name in expected if name in named and named[name].shape != expected[name].shape]
    if missing or wrong:
        raise ValueError(
            f"perceptual: {path} holds no weights of {model} ({(missing + wrong)[0]} is missing or has another shape); "
            "give the file of that network"
        )
    network.load_state_dict({name: named[name] for name in expected})


def _flattened(name: str, expected: dict[str, Tensor]) -> str:
    """Return the name of a tensor in the extractor."""
    parts = name.split(".")
    joined = ("_".join(parts[:count]) for count in range(1, len(parts)))
    names = (".".join([head, *parts[count:]]) for count, head in enumerate(joined, start=1))
    return next((candidate for candidate in names if candidate in expected), name)


class Distance(nn.Module):
    """Weighted L1 between feature maps of normalised images."""

    def __init__(self, network: nn.Module, weights: Sequence[float]):
        super().__init__()
        self.network, self.weights = network, tuple(weights)
        config = getattr(network, "pretrained_cfg", None) or getattr(network, "default_cfg", None) or {}
        for name, default in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(config.get(name, default)).view(1, 3, 1, 1), persistent=False)

    def forward(self, restored: Tensor, gt: Tensor) -> Tensor:
        with torch.no_grad():
            expected = self._features(gt)
        pairs = zip(self.weights, self._features(restored), expected, strict=True)
        return torch.stack([weight * (a - b).abs().mean() for weight, a, b in pairs]).sum()

    def _features(self, images: Tensor) -> list[Tensor]:
        colour = images.expand(-1, 3, -1, -1)  # a grey image has three equal channels
        features: list[Tensor] = self.network((colour - self.get_buffer("mean")) / self.get_buffer("std"))
        return features
