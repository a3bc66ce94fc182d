"""LPIPS and DISTS by torchmetrics, with the weights of torchvision's networks from files; nothing is downloaded."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}
"""torchvision's names of LPIPS's networks."""
MISSING = "torchmetrics is not installed; pip install 'lowvision-framework[metrics]'"
_PATCHING = Lock()


def lpips(network: str, file: Path) -> nn.Module:
    """Return LPIPS of two batches in [-1,1], with a network's weights from a file. Raises ValueError."""
    _require()
    from torchmetrics.functional.image.lpips import _LPIPS

    measure = _LPIPS(pretrained=True, net=network, pnet_rand=True)  # its own layers are in torchmetrics' wheel
    features = _features(NAMES[network], file)
    # The parts keep torchvision's numbers: net.slices.1.0.weight or net.slice1.0.weight is features.0.weight.
    own = measure.net.state_dict()
    named = {name: features.get(".".join(name.split(".")[-2:]), features.get(_fire(name))) for name in own}
    missing = [name for name, tensor in named.items() if tensor is None or tensor.shape != own[name].shape]
    if missing:
        raise ValueError(f"{file} holds no weights of {NAMES[network]} ({missing[0]} is missing or has another shape)")
    measure.net.load_state_dict(named)
    return _Scaled(measure).eval().requires_grad_(False)


def dists(file: Path) -> nn.Module:
    """Return DISTS of two batches in [0,1], with VGG16's weights from a file. Raises ValueError."""
    _require()
    import torchvision
    from torchmetrics.functional.image import dists as module

    vgg = torchvision.models.vgg16(weights=None)
    features = _features("vgg16", file)
    try:
        vgg.features.load_state_dict(features)
    except RuntimeError as error:
        raise ValueError(f"{file} holds no weights of vgg16 ({' '.join(str(error).split())[:120]})") from None
    with _PATCHING:
        # Its network would download the weights; it has no argument for them.
        original = module.vgg16
        module.vgg16 = lambda weights: vgg
        try:
            network: nn.Module = module.DISTSNetwork()
        finally:
            module.vgg16 = original
    return network.eval().requires_grad_(False)


def measured(network: nn.Module, restored: Tensor, gt: Tensor | None) -> float:
    """Return the distance of two images (C,H,W) in [0,1]; grey ones have three equal channels."""
    assert gt is not None
    a, b = (image.expand(3, -1, -1)[None] for image in (restored, gt))
    return float(network.to(restored.device)(a, b))


class _Scaled(nn.Module):
    """LPIPS of images in [0,1]."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, restored: Tensor, gt: Tensor) -> Tensor:
        distance: Tensor = self.network(2 * restored - 1, 2 * gt - 1)
        return distance


def _require() -> None:
    if find_spec("torchmetrics") is None or find_spec("torchvision") is None:
        raise ValueError(MISSING)


def _features(network: str, file: Path) -> Mapping[str, Tensor]:
    """Return the tensors of the feature layers of a file, by their names below `features`."""
    if not file.is_file():
        raise ValueError(f"{file} is no file; give the weights of {network} as torchvision publishes them")
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        raise ValueError(f"{file} cannot be read: {' '.join(str(error).split())[:120]}") from None
    return {name.removeprefix("features."): t for name, t in state.items() if name.startswith("features.")}


def _fire(name: str) -> str:
    """Return the name of a tensor in a Fire module: number, layer and tensor, e.g. 3.squeeze.weight."""
    return ".".join(name.split(".")[-3:])
