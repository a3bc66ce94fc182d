"""Print the messages of the logger `lowvision` on stderr while a command runs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lowvision.system.printable import printable_lines


class _Printable(logging.Formatter):
    """Escapes control characters, which file names and headers of weights may hold."""

    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(super().format(record))


@contextmanager
def log_to_stderr(level_of_messages: int = logging.INFO) -> Iterator[None]:
    """Print every message of a level or above as a plain line; restore the logger's level and handlers at the end.

    Importing lowvision configures no logging: a program that uses it as a library selects its own handlers.
    """
    logger = logging.getLogger("lowvision")
    handler, level = logging.StreamHandler(sys.stderr), logger.level
    handler.setFormatter(_Printable())
    logger.addHandler(handler)
    logger.setLevel(level_of_messages)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
