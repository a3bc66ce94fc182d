"""Print the messages of the logger `lowvision` on stderr while a command runs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def log_to_stderr() -> Iterator[None]:
    """Print every message of level INFO or above as a plain line; restore the logger's level and handlers at the end.

    Importing lowvision configures no logging: a program that uses it as a library selects its own handlers.
    """
    logger = logging.getLogger("lowvision")
    handler, level = logging.StreamHandler(sys.stderr), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
