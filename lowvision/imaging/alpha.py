"""The alpha channel: colour below transparent pixels, premultiplied colour, and compositing."""

from __future__ import annotations

import cv2
import numpy as np

from lowvision.imaging.image import Pixels


def bled(pixels: Pixels) -> Pixels:
    """Return RGBA pixels whose fully transparent ones have the colour of the nearest visible pixel.

    The colour below alpha 0 is arbitrary, mostly black; a network or a resize would mix it into visible pixels.
    """
    hidden = pixels[..., 3] == 0
    if not hidden.any() or hidden.all():
        return pixels
    _, labels = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )  # labels (H,W): the number of the nearest visible pixel
    nearest = np.empty((labels.max() + 1, 3), pixels.dtype)
    nearest[labels[~hidden]] = pixels[~hidden, :3]
    result = pixels.copy()
    result[hidden, :3] = nearest[labels[hidden]]
    return result


def straight(pixels: Pixels) -> Pixels:
    """Return straight RGBA from pixels whose colour was multiplied by alpha."""
    alpha = pixels[..., 3:].astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        colour = np.where(alpha > 0, pixels[..., :3] / alpha, 0)  # 0..1
    if pixels.dtype.kind != "f":
        largest = np.iinfo(pixels.dtype).max
        colour = (colour.clip(0, 1) * largest + 0.5).astype(pixels.dtype)
    return np.concatenate([colour.astype(pixels.dtype), pixels[..., 3:]], axis=2)


def flattened(pixels: Pixels, background: tuple[int, int, int] = (255, 255, 255)) -> Pixels:
    """Return RGB pixels: RGBA ones over a background colour, 0..255 per channel."""
    largest = 1.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)
    share = pixels[..., 3:].astype(np.float32) / np.float32(largest)
    behind = np.array(background, np.float32) * np.float32(largest / 255)
    mixed = pixels[..., :3] * share + behind * (1 - share)
    return mixed.astype(np.float32) if pixels.dtype.kind == "f" else (mixed + 0.5).astype(pixels.dtype)
