"""Claims about what image libraries write to standard error."""

from __future__ import annotations

import os
import struct
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from lowvision.errors import DataError
from lowvision.imaging import io, library_messages
from lowvision.imaging.io import Image


def test_a_damaged_png_is_an_error_without_output_of_the_library(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.png"
    io.write(path, Image(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError):
        io.read(path)
    assert capfd.readouterr().err == ""


def test_a_jpeg_of_an_unknown_revision_is_read_without_a_line_of_its_library(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.jpg"
    io.write(path, Image(np.full((16, 16, 3), 90, np.uint8)))
    content = bytearray(path.read_bytes())
    content[content.index(b"JFIF\0") + 5] = 110
    path.write_bytes(content)
    assert io.read(path).pixels.shape == (16, 16, 3)
    assert capfd.readouterr().err == ""


def test_a_damaged_fax_is_an_error_without_a_line_of_its_library(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.tif"
    PIL.Image.fromarray(np.eye(64, dtype=bool)).save(path, compression="group4")
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<HH", 273, 4), struct.pack("<HH", 65000, 4)))
    with PIL.Image.open(path) as file, pytest.raises((OSError, KeyError)):
        file.load()
    assert "MissingRequired" in capfd.readouterr().err
    with pytest.raises(DataError):
        io.read(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "line",
    [
        'MissingRequired: TIFF directory is missing required "StripOffsets" field.',
        '_TIFFVSetField: tempfile.tif: Bad value 3 for "PlanarConfiguration" tag.',
        "LZWDecode: Not enough data at scanline 3 (short 12 bytes).",
        "Fax4Decode: Bad code word at line 1 of strip 0 (x 3).",
        "ZIPDecode: Decoding error at scanline 0, incorrect header check.",
    ],
)
def test_a_line_of_libtiff_is_hidden(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    with library_messages.hidden():
        os.write(2, f"{line}\nkept\n".encode())
    assert capfd.readouterr().err == "kept\n"


def test_warnings_are_ignored_until_the_last_thread_has_decoded() -> None:
    def decode(n: int) -> None:
        with library_messages.hidden():
            warnings.warn("damaged", stacklevel=1)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(decode, range(40)))
    with pytest.warns(UserWarning, match="of our own"):
        warnings.warn("of our own", stacklevel=1)


def test_stderr_output_of_others_is_kept_while_threads_decode(capfd: pytest.CaptureFixture[str]) -> None:
    def decode(n: int) -> None:
        with library_messages.hidden():
            os.write(2, f"libpng warning: {n}\nprogress {n}\n".encode())

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(decode, range(40)))
    os.write(2, b"end\n")
    lines = capfd.readouterr().err.splitlines()
    assert sorted(lines[:-1]) == sorted(f"progress {n}" for n in range(40))
    assert lines[-1] == "end"


def test_images_are_decoded_without_stderr() -> None:
    original = os.dup(2)
    os.close(2)
    try:
        with library_messages.hidden():
            decoded = True
    finally:
        os.dup2(original, 2)
        os.close(original)
    assert decoded
