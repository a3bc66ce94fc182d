"""Images that are not separate files: their key in an archive or a database, and its reader."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Reader(ABC):
    """Reads the images of an archive or a database. Messages show it as `str`, e.g. its path.

    Several threads may read at once. It is pickled for other processes, so it must not open its file before it reads.
    """

    @abstractmethod
    def read(self, key: str) -> bytes | NDArray[np.generic]:
        """Return an image: the content of an image file, or pixels (H,W), (H,W,1) or (H,W,3) in uint8, uint16, float32.

        Raises OSError or KeyError if it cannot be read.
        """

    def fingerprint(self, key: str) -> str:
        """Return a text that changes with the content; by default its SHA-256 hash."""
        content = self.read(key)
        return hashlib.sha256(content if isinstance(content, bytes) else content.tobytes()).hexdigest()


@dataclass(frozen=True)
class Stored:
    """An image of a reader, in place of a path in a `Photo`."""

    reader: Reader
    key: str
    """Name of the image in the archive or database."""

    def __str__(self) -> str:
        return f"{self.reader}/{self.key}"
