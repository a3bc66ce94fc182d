"""Standard input and output as files: `-` as an input or as the result."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lowvision.errors import DataError, UsageError
from lowvision.imaging.formats import BY_SUFFIX, of_content

STREAM = "-"


@dataclass(frozen=True)
class Streams:
    """The arguments of a command with files in place of streams."""

    inputs: tuple[str, ...]
    output: Path
    writes: bool
    """True if the result goes to standard output."""

    files: frozenset[Path] = frozenset()
    """The temporary files among them."""

    def copy_result(self) -> None:
        """Write the result, if there is one, to standard output."""
        if self.writes and self.output.is_file():
            sys.stdout.buffer.write(self.output.read_bytes())
            sys.stdout.buffer.flush()


@contextmanager
def as_files(inputs: Sequence[str], output: Path, suffix: str | None, maps: bool = False) -> Iterator[Streams]:
    """Yield arguments in which every `-` is a temporary file; suffix: that of the result, None: that of the input.

    maps: True if route maps will be written too. Raises UsageError if several results would go to one stream, DataError
    if standard input is not an image.
    """
    writes = str(output) == STREAM
    if STREAM not in inputs and not writes:
        yield Streams(tuple(inputs), output, False)
        return
    if len(inputs) > 1:
        raise UsageError("-: standard input and output take one image; give one input, or a folder as -o")
    if writes and maps:
        raise UsageError("--map: standard output takes one image, the result; give a folder or a file as -o")
    with tempfile.TemporaryDirectory(prefix="lowvision-") as folder:
        source = _received(Path(folder)) if inputs[0] == STREAM else Path(inputs[0])
        if writes and source.is_dir():
            raise UsageError(f"{source}: is a folder, but standard output takes one image; give a folder as -o")
        if writes:
            output = Path(folder, f"result{suffix or written_suffix(source)}")
        temporary = frozenset(path for path in (source, output) if path.parent == Path(folder))
        yield Streams((str(source),), output, writes, temporary)


def _received(folder: Path) -> Path:
    """Return a file with the content of standard input; its suffix is that of its format."""
    content = sys.stdin.buffer.read()
    image_format = of_content(content)
    if image_format is None:
        raise DataError("-: standard input is not an image of a known format; send a PNG, JPEG, TIFF, WebP or BMP file")
    path = folder / f"stdin{image_format.suffixes[0]}"
    path.write_bytes(content)
    return path


def written_suffix(source: Path) -> str:
    """Return the ending of the result for an input: its own if it can be written, otherwise its replacement."""
    image_format = BY_SUFFIX.get(source.suffix.lower())
    if image_format is None:
        return ".png"
    return source.suffix.lower() if image_format.depths else image_format.replacement
