"""Restore uploaded images in worker threads: a bounded number at a time, each within its time."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lowvision.commands.inputs import Input
from lowvision.commands.restore_one import restored
from lowvision.commands.restore_outcomes import Done
from lowvision.commands.restore_request import RestoreOptions
from lowvision.commands.service.comparison import Comparison, compare
from lowvision.commands.service.limits import Limits, Refused, Stopped
from lowvision.commands.standard_streams import written_suffix
from lowvision.errors import DataError, LowvisionError
from lowvision.imaging.formats import of_content
from lowvision.inference.restorer import Restorer
from lowvision.system.progress import Progress


@dataclass(frozen=True)
class Result:
    """A restored image as a file."""

    content: bytes
    suffix: str
    done: Done
    map: bytes | None = None
    """The route map as PNG, if the options request it."""
    comparison: Comparison | None = None
    """Seconds beside those of the base on the whole image, if they are measured."""


class Deadline(Progress):
    """Stops a restore between two batches: after its time, or when `stop` is called."""

    def __init__(self, seconds: float):
        self._end = time.monotonic() + seconds
        self._stopped = threading.Event()

    def begin(self, name: str) -> None:
        """Check the time."""
        self.check()

    def move(self, done: int, total: int) -> None:
        """Check the time."""
        self.check()

    def end(self, line: str) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Make the next check raise Stopped."""
        self._stopped.set()

    def check(self) -> None:
        """Raise Stopped if the time is over."""
        if self._stopped.is_set() or time.monotonic() > self._end:
            raise Stopped("the time of the request is over")


class Workers:
    """Worker threads with one network."""

    def __init__(self, network: Restorer, limits: Limits):
        self.network, self.limits = network, limits
        self._pool = ThreadPoolExecutor(limits.workers, thread_name_prefix="restore")
        self._lock = threading.Lock()
        self.running = 0
        """Requests that wait or are being answered."""

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Take a place for a request. Raises Refused if all are taken."""
        with self._lock:
            if self.running >= self.limits.workers + self.limits.waiting:
                raise Refused(429, "too many requests; try again later")
            self.running += 1
        try:
            yield
        finally:
            with self._lock:
                self.running -= 1

    def submit(
        self, content: bytes, options: RestoreOptions, suffix: str | None, deadline: Deadline, compares: bool = False
    ) -> Future[Result]:
        """Restore an uploaded file.

        suffix: ending of the result; by default that of the upload. compares: also measure both ways to restore it.
        """
        return self._pool.submit(self._restore, content, options, suffix, deadline, compares)

    def close(self) -> None:
        """Wait for running restores; those that wait are dropped."""
        self._pool.shutdown(cancel_futures=True)

    def _restore(
        self, content: bytes, options: RestoreOptions, suffix: str | None, deadline: Deadline, compares: bool
    ) -> Result:
        deadline.check()
        image_format = of_content(content)
        if image_format is None:
            raise Refused(415, "the upload is not an image of a known format; send PNG, JPEG, WebP, TIFF, AVIF or BMP")
        with tempfile.TemporaryDirectory(prefix="lowvision-") as folder:
            source = Path(folder, f"upload{image_format.suffixes[0]}")
            source.write_bytes(content)
            target = Path(folder, f"result{suffix or written_suffix(source)}")
            image = Input(source, target)
            try:
                options = replace(options, largest=self.limits.pixels)
                done = restored(image, self.network, options, deadline)
                comparison = compare(source, self.network, options, deadline) if compares else None
            except DataError as error:
                raise Refused(422, _public(error, folder)) from None
            except LowvisionError as error:
                raise Refused(400, _public(error, folder)) from None
            route_map = image.map.read_bytes() if options.draws_maps else None
            return Result(target.read_bytes(), target.suffix, done, route_map, comparison)


def _public(error: LowvisionError, folder: str) -> str:
    """Return the message of an error without the folder of the server."""
    return str(error).replace(f"{folder}/", "")
