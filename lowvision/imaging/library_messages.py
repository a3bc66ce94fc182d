"""Keep what image libraries say about damaged files away from the terminal: damage that matters raises.

libpng, libjpeg and libtiff write to standard error by themselves; Pillow issues Python warnings.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

TIFF_PARTS = (
    rb"TIFF|Fax|OJPEG|JPEG|LZW|ZIP|PackBits|Predictor|ThunderDecode|NeXT|DumpMode|Log(?:Luv|L16)|PixarLog|ZSTD|LZMA"
    rb"|LERC|TWebP|JBIG|MissingRequired|ChopUp|EstimateStripByteCounts|Fetch|setByteArray|gtTile|gtStrip"
)
"""Beginnings of the names of libtiff's functions, which its messages start with."""
MESSAGE = re.compile(
    rb"(?:libpng (?:error|warning)|Corrupt JPEG data|Premature end of JPEG|Invalid SOS parameters"
    rb"|Inconsistent progression sequence|Unknown Adobe color transform|Warning: unknown JFIF revision"
    rb"|_?(?:" + TIFF_PARTS + rb")\w*:).*\n?"
)
STANDARD_ERROR = 2


class _Redirection:
    """Standard error goes to a file, and warnings are ignored, while at least one thread decodes.

    Both belong to the process, not to a thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._original = -1
        self._file: IO[bytes] | None = None
        self._warnings = warnings.catch_warnings()

    def begin(self) -> None:
        with self._lock:
            if not self._users:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115  # `end` closes it
                self._original = os.dup(STANDARD_ERROR)
                os.dup2(self._file.fileno(), STANDARD_ERROR)
                self._warnings = warnings.catch_warnings()
                self._warnings.__enter__()
                warnings.simplefilter("ignore")
            self._users += 1

    def end(self) -> None:
        """Restore standard error after the last user, and write what others wrote there in the meantime."""
        with self._lock:
            self._users -= 1
            if self._users or self._file is None:
                return
            self._warnings.__exit__(None, None, None)
            os.dup2(self._original, STANDARD_ERROR)
            os.close(self._original)
            self._file.seek(0)
            of_others = MESSAGE.sub(b"", self._file.read())
            self._file.close()
            if of_others:
                os.write(STANDARD_ERROR, of_others)


_redirection = _Redirection()


@contextmanager
def hidden() -> Iterator[None]:
    """Hide messages of the libraries during the block; it raises or returns what it would without this."""
    try:
        _redirection.begin()
    except OSError:  # standard error is closed, or there is no place for a temporary file
        yield
        return
    try:
        yield
    finally:
        _redirection.end()
