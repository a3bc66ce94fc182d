"""Video encoding of an image in memory, by PyAV."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import cast

import av
import numpy as np
import torch
from torch import Tensor

from lowvision import DataError

ENCODER = "libx264"
UNIT = 16
"""Sides of encoded frames are multiples of this; smaller ones are padded by their edge pixels."""


def last_frame(image: Tensor, crf: int, shifts: Sequence[tuple[int, int]]) -> Tensor:
    """Encode and decode a video that ends with image (C,H,W) in [0,1], and return that frame, 8 bit, in [0,1].

    shifts: displacement in pixels, down and right, from each frame to the next one. Raises DataError without encoder.
    """
    pixels = image.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
    height, width, channels = pixels.shape
    pixels = np.pad(pixels, ((0, -height % UNIT), (0, -width % UNIT), (0, 0)), mode="edge")
    pixels = np.ascontiguousarray(np.repeat(pixels, 3, axis=2) if channels == 1 else pixels)
    decoded = _decoded(_encoded(_pan(pixels, shifts), crf))[:height, :width]
    if channels == 1:
        decoded = decoded.mean(axis=2, keepdims=True).round()
    return (
        torch.from_numpy(np.ascontiguousarray(decoded, dtype=np.float32)).permute(2, 0, 1).contiguous().to(image) / 255
    )


def _pan(pixels: np.ndarray, shifts: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Return the frames that lead to `pixels`, shifted against the next one, with replicated edges; and `pixels`."""
    frames = [pixels]
    down = right = 0
    for step_down, step_right in reversed(shifts):
        down, right = down + step_down, right + step_right
        rows = np.clip(np.arange(pixels.shape[0]) + down, 0, pixels.shape[0] - 1)
        columns = np.clip(np.arange(pixels.shape[1]) + right, 0, pixels.shape[1] - 1)
        frames.insert(0, np.ascontiguousarray(pixels[rows][:, columns]))
    return frames


def _encoded(frames: Sequence[np.ndarray], crf: int) -> BytesIO:
    file = BytesIO()
    with av.open(file, "w", format="matroska") as container:
        try:
            stream = cast(av.VideoStream, container.add_stream(ENCODER, rate=25))
        except (ValueError, av.FFmpegError) as error:
            raise DataError(f"video compression: this PyAV has no encoder {ENCODER}; install another PyAV") from error
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        # One thread: the result must depend on the frames only.
        stream.options = {"crf": str(crf), "preset": "veryfast", "threads": "1"}
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    file.seek(0)
    return file


def _decoded(file: BytesIO) -> np.ndarray:
    """Return the last frame (H,W,3), uint8."""
    with av.open(file, "r") as container:
        frames = list(container.decode(video=0))
    return frames[-1].to_ndarray(format="rgb24")
