"""Claims about the table of image formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lowvision.imaging import formats, headers, io


def test_no_two_formats_share_a_suffix_or_a_signature() -> None:
    assert len(formats.SUFFIXES) == sum(len(one.suffixes) for one in formats.FORMATS)
    assert len(set(formats.SIGNATURES)) == len(formats.SIGNATURES)


@pytest.mark.parametrize("suffix", formats.SUFFIXES)
def test_a_written_file_has_a_signature_of_its_format_and_a_readable_header(suffix: str, tmp_path: Path) -> None:
    io.write(tmp_path / f"a{suffix}", io.Image(np.zeros((4, 6, 3), dtype=np.uint8)))
    content = (tmp_path / f"a{suffix}").read_bytes()
    assert content.startswith(formats.BY_SUFFIX[suffix].signatures)
    assert headers.size(content) == (6, 4)


@pytest.mark.parametrize("suffix", formats.SUFFIXES)
def test_the_best_depth_of_a_format_survives(suffix: str, tmp_path: Path) -> None:
    depth = formats.BY_SUFFIX[suffix].depths[-1]
    io.write(tmp_path / f"a{suffix}", io.Image(np.zeros((4, 6, 3), dtype=depth)))
    assert io.read(tmp_path / f"a{suffix}").pixels.dtype == depth
