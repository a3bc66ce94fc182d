"""Claims about the table of image formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lowvision.imaging import formats, io


def test_no_two_formats_share_a_suffix_or_a_signature() -> None:
    signatures = [signature for image_format in formats.FORMATS for signature in image_format.signatures]
    assert len(formats.SUFFIXES) == sum(len(image_format.suffixes) for image_format in formats.FORMATS)
    assert len(set(signatures)) == len(signatures)
    assert not formats.NOT_READ & set(formats.SUFFIXES)


@pytest.mark.parametrize("suffix", formats.WRITABLE)
def test_a_written_file_has_a_signature_of_its_format(suffix: str, tmp_path: Path) -> None:
    io.write(tmp_path / f"a{suffix}", io.Image(np.zeros((4, 6, 3), dtype=np.uint8)))
    content = (tmp_path / f"a{suffix}").read_bytes()
    assert formats.of_content(content) is formats.BY_SUFFIX[suffix]


@pytest.mark.parametrize("suffix", formats.WRITABLE)
def test_the_best_depth_of_a_format_survives(suffix: str, tmp_path: Path) -> None:
    depth = formats.BY_SUFFIX[suffix].depths[-1]
    io.write(tmp_path / f"a{suffix}", io.Image(np.zeros((4, 6, 3), dtype=depth)))
    assert io.read(tmp_path / f"a{suffix}").pixels.dtype == depth


@pytest.mark.parametrize(
    "image_format",
    [image_format for image_format in formats.FORMATS if not image_format.depths],
    ids=lambda image_format: image_format.name,
)
def test_the_result_of_a_read_only_format_has_a_writable_suffix(image_format: formats.ImageFormat) -> None:
    assert image_format.replacement in formats.WRITABLE
