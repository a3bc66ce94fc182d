"""Claims about the size that a file's header states."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowvision.imaging import headers
from lowvision.imaging.formats import PNG, WEBP, ImageFormat, of_content

W, H = 70, 33
SAVED = [
    ("PNG", {}),
    ("PNG", {"bits": 1}),
    ("WEBP", {"quality": 50}),
    ("WEBP", {"lossless": True}),
    ("WEBP", {"icc_profile": bytes(10)}),
]
STARTS = {
    one: one.signatures[0] if not one.offset else b"RIFF" + bytes(4) + one.signatures[0] for one in headers.READERS
}


def saved(form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(np.zeros((H, W, 3), dtype=np.uint8)).save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("form", "options"), SAVED)
def test_the_size_is_read_from_the_header(form: str, options: dict[str, object]) -> None:
    content = saved(form, **options)
    image_format = of_content(content)
    assert image_format is not None
    assert headers.size(content, image_format) == (W, H)


@pytest.mark.parametrize(("form", "options"), SAVED)
def test_a_truncated_header_returns_none(form: str, options: dict[str, object]) -> None:
    whole = saved(form, **options)
    for length in range(min(len(whole), 200)):
        assert headers.size(whole[:length], PNG if form == "PNG" else WEBP) in {None, (W, H)}


@pytest.mark.parametrize(("lossless", "frames"), [(True, 1), (False, 1), (True, 3), (False, 3)])
def test_lossless_webp_is_recognised(lossless: bool, frames: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (frames, H, W, 3), dtype=np.uint8)
    pictures = [PIL.Image.fromarray(candidate) for candidate in noise]
    buffer = io.BytesIO()
    pictures[0].save(buffer, "WEBP", save_all=frames > 1, append_images=pictures[1:], lossless=lossless)
    assert headers.is_lossless_webp(buffer.getvalue()) is lossless


@given(image_format=st.sampled_from(list(headers.READERS)), noise=st.binary(max_size=80))
def test_random_bytes_after_a_signature_return_two_numbers_or_none(image_format: ImageFormat, noise: bytes) -> None:
    size = headers.size(STARTS[image_format] + noise, image_format)
    assert size is None or [type(side) for side in size] == [int, int]
