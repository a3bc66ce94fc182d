"""Claims about standard input and output in place of files."""

from __future__ import annotations

import io as streams
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lowvision.commands.standard_streams import as_files, written_suffix
from lowvision.errors import DataError, UsageError
from lowvision.imaging import io


@pytest.fixture
def standard(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Replace standard input by a JPEG file in memory."""
    content = io.encoded(io.Image(np.zeros((4, 5, 3), np.uint8)), ".jpg")
    used = SimpleNamespace(input=streams.BytesIO(content), content=content)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=used.input))
    return used


def test_files_are_left_as_they_are(standard: SimpleNamespace) -> None:
    with as_files(["a.png", "b"], Path("out"), None) as files:
        assert (files.inputs, files.output, files.writes) == (("a.png", "b"), Path("out"), False)
    assert standard.input.tell() == 0


def test_standard_input_becomes_a_file_with_the_suffix_of_its_content(standard: SimpleNamespace) -> None:
    with as_files(["-"], Path("out.png"), None) as files:
        (source,) = map(Path, files.inputs)
        assert source.read_bytes() == standard.content
        assert source.suffix == ".jpg"
        assert files.output == Path("out.png")
        assert files.files == {source}
    assert not source.exists()


@pytest.mark.parametrize(("suffix", "expected"), [(None, ".jpg"), (".webp", ".webp")])
def test_the_result_goes_to_standard_output_in_the_given_format_or_that_of_the_input(
    standard: SimpleNamespace, capsysbinary: Any, suffix: str | None, expected: str
) -> None:
    with as_files(["-"], Path("-"), suffix) as files:
        assert files.output.suffix == expected
        assert files.files == {Path(*files.inputs), files.output}
        files.copy_result()  # a failed restore leaves no result
        assert capsysbinary.readouterr().out == b""
        files.output.write_bytes(b"result")
        files.copy_result()
    assert capsysbinary.readouterr().out == b"result"
    assert not files.output.exists()


def test_a_result_in_a_file_is_not_copied(standard: SimpleNamespace, capsysbinary: Any, tmp_path: Path) -> None:
    (tmp_path / "out.png").write_bytes(b"result")
    with as_files(["-"], tmp_path / "out.png", None) as files:
        files.copy_result()
    assert capsysbinary.readouterr().out == b""


@pytest.mark.parametrize(("inputs", "output"), [(["-", "a.png"], "out"), (["a.png", "b.png"], "-"), (["-", "-"], "-")])
def test_a_stream_takes_one_image(standard: SimpleNamespace, inputs: list[str], output: str) -> None:
    with (
        pytest.raises(UsageError, match="standard input and output take one image; give"),
        as_files(inputs, Path(output), None),
    ):
        pass


def test_a_folder_has_no_single_result(standard: SimpleNamespace, tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="is a folder, but standard output takes one"),
        as_files([str(tmp_path)], Path("-"), None),
    ):
        pass


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_other_content_of_standard_input_is_an_error(standard: SimpleNamespace, content: bytes) -> None:
    standard.input.seek(0)
    standard.input.truncate()
    standard.input.write(content)
    standard.input.seek(0)
    with (
        pytest.raises(DataError, match=r"standard input is not an image .*; send a PNG"),
        as_files(["-"], Path("-"), None),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "suffix"), [("a.JPG", ".jpg"), ("a.gif", ".png"), ("a.unknown", ".png"), ("a", ".png"), ("a.pfm", ".tif")]
)
def test_a_result_keeps_the_suffix_if_it_can_be_written(name: str, suffix: str) -> None:
    assert written_suffix(Path(name)) == suffix


def test_a_route_map_beside_a_result_on_standard_output_is_refused(standard: SimpleNamespace) -> None:
    with (
        pytest.raises(UsageError, match="--map: standard output takes one image"),
        as_files(["-"], Path("-"), None, True),
    ):
        pass
    assert standard.input.tell() == 0
