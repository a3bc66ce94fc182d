"""Files of PCSR's authors give the same output in our network as in plain PyTorch."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lowvision.errors import WeightsError
from lowvision.models import external_weights
from lowvision.plugins import registry
from lowvision_pixel import PCSRFile, Pixel
from lowvision_pixel.network import Network

KNOWN = registry.load()
CHANNELS, SHRINK, LAYERS = 6, 4, 2
HIDDEN = {"heavy_sampler": (7, 5), "light_sampler": (3,), "classifier": ()}


def encoder() -> nn.ModuleDict:
    """Return the tensors of FSRCNN without its transposed convolution, by the names of the file."""
    mapping = [nn.Conv2d(SHRINK, SHRINK, 3, padding=1) for _ in range(LAYERS)]
    shrink = nn.Sequential(nn.Conv2d(CHANNELS, SHRINK, 1), nn.PReLU())
    expand = nn.Sequential(nn.Conv2d(SHRINK, CHANNELS, 1), nn.PReLU())
    head = nn.Sequential(nn.Conv2d(3, CHANNELS, 5, padding=2), nn.PReLU())
    return nn.ModuleDict({"head_conv": head, "body_conv": nn.Sequential(shrink, *mapping, nn.PReLU(), expand)})


def sampler(hidden: tuple[int, ...], out: int) -> nn.ModuleDict:
    widths = (CHANNELS + 4, *hidden, out)
    layers = nn.Sequential()
    for n, (old, new) in enumerate(pairwise(widths)):
        layers.extend([nn.ReLU()] * (n > 0) + [nn.Linear(old, new)])
    return nn.ModuleDict({"imnet": nn.ModuleDict({"layers": layers})})


def authors() -> nn.ModuleDict:
    torch.manual_seed(0)
    samplers = {name: sampler(hidden, 2 if name == "classifier" else 3) for name, hidden in HIDDEN.items()}
    return nn.ModuleDict({"encoder": encoder(), **samplers})


def centres(count: int) -> Tensor:
    """Return the centres of pixels along an axis from -1 to 1."""
    return (2 * torch.arange(count) + 1) / count - 1


def restored(network: Any, lq: Tensor, scale: int) -> Tensor:
    """Restore by the arithmetic of LIIF: features of the nearest pixel, position in it, size of the output pixel."""
    height, width = (scale * side for side in lq.shape[2:])
    features = network["encoder"]["body_conv"](network["encoder"]["head_conv"](lq))
    rows, columns = torch.meshgrid(centres(height), centres(width), indexing="ij")
    where = torch.stack([columns, rows], dim=-1)[None]  # as grid_sample expects it
    nearest = functional.grid_sample(features, where, mode="nearest", align_corners=False)[0].permute(1, 2, 0)
    own_rows, own_columns = (centres(side).repeat_interleave(scale) for side in lq.shape[2:])
    position = torch.stack([(rows - own_rows[:, None]) * lq.shape[2], (columns - own_columns) * lq.shape[3]], dim=-1)
    size = torch.full((height, width, 2), 2 / scale)
    inputs = torch.cat([nearest, position, size], dim=-1)  # (H, W, channels + 4)
    light, heavy, logits = (
        network[name]["imnet"]["layers"](inputs) for name in ("light_sampler", "heavy_sampler", "classifier")
    )
    chosen = torch.where(logits[..., 1:] > logits[..., :1], heavy, light).permute(2, 0, 1)
    return chosen + functional.grid_sample(lq, where, mode="bilinear", padding_mode="border", align_corners=False)


def saved(network: nn.Module, path: Path) -> Path:
    """Save a file as the authors' program does: options and tensors under `model`, next to those of the optimizer."""
    torch.save({"model": {"name": "pcsr-phase1", "args": {"a": 1}, "sd": network.state_dict()}, "iter": 7}, path)
    return path


@pytest.mark.parametrize("scale", [2, 4])
def test_a_network_read_from_a_file_equals_the_authors_network(scale: int, tmp_path: Path) -> None:
    network = authors().eval()
    read = external_weights.read(saved(network, tmp_path / "iter_last.pth"), KNOWN, PCSRFile(scale=scale))
    (backbone,) = read.architecture.branches
    assert backbone == Pixel(channels=CHANNELS, shrink=SHRINK, layers=LAYERS, heavy=(7, 5), light=(3,), skip="bilinear")
    ours = read.architecture.build_network().eval()
    ours.load_state_dict(read.state, strict=False)
    assert isinstance(ours, Network)
    lq = torch.rand(1, 3, 7, 9, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = ours.logits(ours.features(lq))
        heavy = (logits[..., 1] > logits[..., 0]).float().mean()
        torch.testing.assert_close(ours(lq), restored(network, lq, scale), atol=1e-5, rtol=0)
    assert 0 < heavy < 1  # both upsamplers are compared


def test_the_file_is_recognised_among_all_formats(tmp_path: Path) -> None:
    read = external_weights.read(saved(authors(), tmp_path / "iter_last.pth"), KNOWN)
    assert (read.format, read.architecture.task.scale) == ("pcsr_file", 4)


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("encoder.", "its encoder is not FSRCNN's"),
        ("light_sampler.", "it is of the first phase of training"),
        ("classifier.imnet.layers.0.bias", "classifier.imnet.layers.0.bias is missing"),
    ],
)
def test_another_encoder_and_a_half_trained_network_are_rejected(lost: str, message: str, tmp_path: Path) -> None:
    state = {name: tensor for name, tensor in authors().state_dict().items() if not name.startswith(lost)}
    torch.save({"model": {"sd": state}}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=message):
        external_weights.read(tmp_path / "w.pth", KNOWN)
