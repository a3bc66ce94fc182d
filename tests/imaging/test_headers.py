"""Claims about the size that a file's header tells."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowvision.imaging import headers

W, H = 70, 33
SAVED = [
    ("PNG", {}),
    ("PNG", {"bits": 1}),
    ("JPEG", {}),
    ("JPEG", {"progressive": True, "exif": b"Exif\0\0" + bytes(60000), "icc_profile": bytes(70000)}),
    ("WEBP", {"quality": 50}),
    ("WEBP", {"lossless": True}),
    ("WEBP", {"icc_profile": bytes(10)}),
    ("BMP", {}),
    ("TIFF", {}),
    ("GIF", {}),
]


def saved(form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(np.zeros((H, W, 3), dtype=np.uint8)).save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("form", "options"), SAVED)
def test_the_size_is_told_before_decoding(form: str, options: dict[str, object]) -> None:
    assert headers.size(saved(form, **options)) == (W, H)


@pytest.mark.parametrize(("form", "options"), SAVED)
def test_a_header_cut_short_tells_nothing_and_raises_nothing(form: str, options: dict[str, object]) -> None:
    whole = saved(form, **options)
    for length in range(min(len(whole), 200)):
        assert headers.size(whole[:length]) in {None, (W, H)}


def test_a_big_endian_tiff_tells_its_size() -> None:
    entries = b"".join(
        tag.to_bytes(2, "big") + b"\0\x03\0\0\0\1" + n.to_bytes(2, "big") + b"\0\0" for tag, n in ((256, W), (257, H))
    )
    assert headers.size(b"MM\0*\0\0\0\x08\0\2" + entries + bytes(4)) == (W, H)


@pytest.mark.parametrize(
    "content", [b"", b"not an image", b"RIFF\0\0\0\0WAVEfmt ", b"\xff\xd8\xff\xd9", b"II*\0" + bytes(8)]
)
def test_content_without_a_size_has_none(content: bytes) -> None:
    assert headers.size(content) is None


@given(start=st.sampled_from(sorted(headers.READERS)), noise=st.binary(max_size=80))
def test_noise_after_a_signature_is_read_as_two_numbers_or_as_none(start: bytes, noise: bytes) -> None:
    size = headers.size(start + noise)
    assert size is None or [type(side) for side in size] == [int, int]


@given(noise=st.binary(max_size=80).filter(lambda noise: not noise.startswith(tuple(headers.READERS))))
def test_content_without_a_signature_has_no_size(noise: bytes) -> None:
    assert headers.size(noise) is None
