"""PSNR and SSIM as super-resolution papers measure them, with the protocol in their names."""

from __future__ import annotations

import torch
from torch import Tensor

from lowvision.errors import DataError
from lowvision.imaging.luma import grey, studio_luma

CEILING = 100.0
"""PSNR in dB of equal images: infinity can neither be averaged nor written to JSON."""
WINDOW, SIGMA = 11, 1.5
"""SSIM's Gaussian window (Wang et al. 2004, section III.B)."""
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
STRIP = 64
"""Rows of windows that SSIM computes at a time, to bound its memory on large photographs."""


def measure(restored: Tensor, gt: Tensor, crop: int, as_grey: bool = False) -> dict[str, float]:
    """Return PSNR and SSIM of a restored image (C,H,W) against `gt` (C,H,W), both nominally in [0,1], C 1 or 3.

    Both are rounded to 8 bits, and `crop` pixels are removed at each border. The names state the crop:
    `psnr_rgb@crop4` (three channels only), `psnr_y@crop4` and `ssim_y@crop4`. y is the unrounded BT.601 luma; the only
    channel of a grey image is its y. PSNR is in dB, at most 100 (equal images). SSIM is at most 1, the mean over all
    windows inside the image. Computed in float64 on the CPU, so that all devices give the same values.

    as_grey: measure the full-range luma, i.e. the values of a grey image made RGB, as the protocol `paper` does.

    Raises DataError if the shapes differ or fewer pixels remain than SSIM's window of 11.
    """
    a, b = _prepared(restored, gt, crop)
    values = {**_psnrs(a, b, as_grey), "ssim_y": ssim_of_luma(a, b, as_grey)}
    return {f"{name}@crop{crop}": value for name, value in values.items()}


def eight_bit(x: Tensor, crop: int) -> Tensor:
    """Return an image (C,H,W) in [0,1] as float32 multiples of 1/255, without `crop` pixels at each border.

    Rounded in float64 on its device, or on the CPU if the device has none: all devices give the same values.
    """
    _, height, width = x.shape
    inner = x[:, crop : height - crop, crop : width - crop].detach()
    wide = inner.cpu() if inner.device.type == "mps" else inner
    rounded = wide.double().clamp(0, 1).mul_(255).add_(0.5).floor_().float()
    return rounded.div_(255).to(x.device)


def levels(image: Tensor) -> Tensor:
    """Return the integers 0..255 of an image from `eight_bit` as float64, exactly."""
    wide = image.cpu() if image.device.type == "mps" else image
    return (wide * 255).round_().double()


def psnr_values(a: Tensor, b: Tensor, as_grey: bool = False) -> dict[str, float]:
    """Return the PSNR of `rgb`, for three channels only, and of luma, `y`; both images are (C,H,W) in 0..255."""
    return {name.removeprefix("psnr_"): value for name, value in _psnrs(a, b, as_grey).items()}


def ssim_of_luma(a: Tensor, b: Tensor, as_grey: bool = False) -> float:
    """Return the SSIM of the luma of two images (C,H,W) in 0..255, H and W >= 11."""
    return float(ssim(_luma(a, as_grey), _luma(b, as_grey)))


def measurable(height: int, width: int, crop: int) -> bool:
    """Return whether an image is large enough for `measure`."""
    return min(height, width) - 2 * crop >= WINDOW


def psnrs(restored: Tensor, gt: Tensor, crop: int) -> dict[str, float]:
    """Return the values of `measure` without SSIM, which takes most of the time."""
    return {f"{name}@crop{crop}": value for name, value in _psnrs(*_prepared(restored, gt, crop)).items()}


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Return the PSNR in dB of each item of a batch, with peak 1: (B,...) and (B,...) -> (B,).

    Nothing is rounded or cropped. At most 100, so that equal items can be ranked and averaged.
    """
    error = (a - b).square().flatten(1).mean(dim=1)
    return -10 * error.clamp_min(10 ** (-CEILING / 10)).log10()


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean structural similarity of two images (H,W) in [0,255], H and W >= 11, as a scalar.

    Gaussian window 11x11, sigma 1.5, K1 0.01, K2 0.03, windows inside the image only (Wang et al. 2004, eq. 13).
    """
    total = a.new_zeros(())
    for top in range(0, a.shape[0] - WINDOW + 1, STRIP):
        rows = slice(top, top + STRIP + WINDOW - 1)  # every window that starts in this strip
        total += _ssim_map(a[rows], b[rows]).sum()
    return total / ((a.shape[0] - WINDOW + 1) * (a.shape[1] - WINDOW + 1))


def _prepared(restored: Tensor, gt: Tensor, crop: int) -> tuple[Tensor, Tensor]:
    """Return both images as integers 0..255 without their borders. Raises DataError as `measure` does."""
    if restored.shape != gt.shape:
        raise DataError(f"restored is {tuple(restored.shape)}, gt is {tuple(gt.shape)}; give two images of one shape")
    _, height, width = gt.shape
    if not measurable(height, width, crop):
        raise DataError(f"{width}x{height} is too small to measure: {crop} off each border must leave {WINDOW} pixels")
    a, b = (_eight_bit(x)[:, crop : height - crop, crop : width - crop] for x in (restored, gt))
    return a, b


def _psnrs(a: Tensor, b: Tensor, as_grey: bool = False) -> dict[str, float]:
    """Return the PSNR of luma, and of RGB if there are three channels; both images are (C,H,W) in 0..255."""
    luma_psnr = {"psnr_y": float(psnr(_luma(a, as_grey)[None] / 255, _luma(b, as_grey)[None] / 255))}
    return {"psnr_rgb": float(psnr(a[None] / 255, b[None] / 255)), **luma_psnr} if len(a) == 3 else luma_psnr


def _ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """Return the SSIM of each window of two images, (h,w) -> (h-10,w-10)."""
    moments = _blurred(torch.stack([a, b, a * a, b * b, a * b]))  # (5, h-10, w-10)
    mean_a, mean_b, square_a, square_b, product = moments
    both, squares = mean_a * mean_b, mean_a.square() + mean_b.square()
    covariance, variances = product - both, square_a + square_b - squares
    return (2 * both + C1) * (2 * covariance + C2) / ((squares + C1) * (variances + C2))


def _blurred(planes: Tensor) -> Tensor:
    """Return the planes filtered by the Gaussian window, (n,h,w) -> (n,h-10,w-10)."""
    return _blurred_axis(_blurred_axis(planes, 1), 2)


def _blurred_axis(planes: Tensor, axis: int) -> Tensor:
    """Filter one axis by a sum of shifted planes, which in float64 is much faster than torch's convolution."""
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = torch.exp(-offsets.square() / (2 * SIGMA**2))
    length = planes.shape[axis] - WINDOW + 1
    blurred = torch.zeros_like(planes.narrow(axis, 0, length))
    for shift, weight in enumerate((weights / weights.sum()).tolist()):
        blurred.add_(planes.narrow(axis, shift, length), alpha=weight)
    return blurred


def _eight_bit(x: Tensor) -> Tensor:
    """Return the values of an 8-bit file, 0..255, as float64, rounded half up."""
    return (x.detach().cpu().double().clamp(0, 1) * 255 + 0.5).floor()


def _luma(x: Tensor, as_grey: bool) -> Tensor:
    """Return the luma of RGB, or the only channel of a grey image: (C,H,W) in 0..255 -> (H,W)."""
    if x.shape[0] == 1:
        return x[0]
    return grey(x)[0] if as_grey else studio_luma(x / 255)
