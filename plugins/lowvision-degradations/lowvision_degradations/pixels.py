"""Pixel arithmetic of the links: resizing and noise."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional

from lowvision import resize

PHOTONS = 256
"""Photons of a white pixel at strength 1: the noise of Real-ESRGAN has as many levels as 8 bits."""


def resized(image: Tensor, size: tuple[int, int], mode: str = "antialiased") -> Tensor:
    """Resize (C,H,W): `antialiased` bicubic as MATLAB's, or `area`, `bilinear`, `bicubic` of PyTorch, which alias."""
    if tuple(image.shape[1:]) == size:
        return image
    if mode == "antialiased":
        return resize(image, size)
    corners = {} if mode == "area" else {"align_corners": False}
    return functional.interpolate(image[None], size, mode=mode, **corners)[0]


def with_gaussian(image: Tensor, sigma: float, grey: bool, generator: Generator) -> Tensor:
    """Add white noise of a standard deviation in 8-bit units to (C,H,W); grey: equal in all colours."""
    shape = (1, *image.shape[1:]) if grey else image.shape
    own = on_device(generator, image.device)
    noise = torch.randn(shape, generator=own, dtype=image.dtype, device=own.device)
    return image + noise.to(image.device) * (sigma / 255)


def with_poisson(image: Tensor, strength: float, grey: bool, generator: Generator) -> Tensor:
    """Add photon noise of a strength to (C,H,W) in [0,1]. grey: all colours get the noise of their mean."""
    own = on_device(generator, image.device)
    clean = (image.mean(dim=0, keepdim=True) if grey else image).clamp(0, 1).mul(PHOTONS).to(own.device)
    noise = (torch.poisson(clean, generator=own) - clean) / PHOTONS
    return image + noise.to(image) * strength


def on_device(generator: Generator, device: torch.device) -> Generator:
    """Return a generator on a CUDA device, seeded by one on the CPU; on others, the generator itself."""
    if device.type != "cuda":
        return generator
    seed = int(torch.randint(2**62, (), generator=generator))
    return Generator(device).manual_seed(seed)


def exposed(light: Tensor, photons: float, read_noise: float, generator: Generator) -> Tensor:
    """Return linear light (C,H,W) in [0,1] as a sensor counts it: photons at white, and read noise in photons."""
    counts = torch.poisson((light * photons).cpu(), generator=generator)
    counts = counts + torch.randn(counts.shape, generator=generator, dtype=counts.dtype) * read_noise
    return (counts / photons).clamp(0, 1).to(light)
