"""DnCNN in the files of KAIR (https://github.com/cszn/KAIR), where convolutions and ReLUs are numbered as ours are."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lowvision import Part, Recognised
from lowvision_denoise import Denoising, DnCNN

FEWEST = 8
"""Convolutions; IRCNN, of seven dilated ones, has the same names and shapes."""


def recognise(state: Mapping[str, Tensor], sigma: float | tuple[float, float]) -> Recognised | None:
    """Return the network as a denoiser of noise `sigma`, None for another network."""
    layers = len(state) // 2
    wanted = {f"model.{2 * k}.{kind}" for k in range(layers) for kind in ("weight", "bias")}
    if layers < FEWEST or state.keys() != wanted:
        return None
    channels, colours = state["model.0.weight"].shape[:2]
    if colours not in (1, 3) or len(state[f"model.{2 * layers - 2}.weight"]) != colours:
        return None  # it reads a map of the noise too
    names = {name: name.replace("model.", "noise.") for name in state}
    part = Part(DnCNN(channels=channels, layers=layers), state, names)
    return Recognised(Denoising(sigma=sigma, channels=colours), (part,))  # type: ignore[arg-type]  # 1 or 3
