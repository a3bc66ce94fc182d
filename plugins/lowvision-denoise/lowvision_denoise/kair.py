"""DnCNN in the files of KAIR (https://github.com/cszn/KAIR), which number convolutions and ReLUs as ours do."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lowvision import Part, Recognised
from lowvision_denoise import Denoising, DnCNN

MIN_LAYERS = 8
"""Smallest number of convolutions; IRCNN, with seven dilated ones, has the same names and shapes."""


def recognise(state: Mapping[str, Tensor], sigma: float | tuple[float, float]) -> Recognised | None:
    """Return the network as a denoiser of noise `sigma`, None for another network."""
    layers = len(state) // 2
    expected = {f"model.{2 * k}.{tensor}" for k in range(layers) for tensor in ("weight", "bias")}
    if layers < MIN_LAYERS or state.keys() != expected:
        return None
    channels, colours = state["model.0.weight"].shape[:2]
    if colours not in (1, 3) or len(state[f"model.{2 * layers - 2}.weight"]) != colours:
        return None  # a network that also reads a noise map
    names = {name: name.replace("model.", "noise.") for name in state}
    part = Part(DnCNN(channels=channels, layers=layers), state, names)
    return Recognised(Denoising(sigma=sigma, channels=colours), (part,))  # type: ignore[arg-type]  # 1 or 3
