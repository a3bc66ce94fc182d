"""Work spread over the machines of a Ray cluster; the only use of Ray.

Plain actors rather than Ray Data: it repeats an item that kills its worker for ever, or drops it without a name, and
its first result took 17 s on two cores, where actors had restored forty files in 8 s.
"""

from __future__ import annotations

import logging
import os
import socket
import warnings
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from lowvision.errors import LowvisionError, RunError, UsageError, message_of
from lowvision.system import cores

Item = TypeVar("Item")
Work = Callable[[Any], Any]

logger = logging.getLogger("lowvision")

LOCAL = "local"
"""Address of a cluster that is started on this machine and ends with the command."""
PORT = 10001
"""Default port of Ray's client server."""
ATTEMPTS = 3
"""Workers that may die over one item, or in a row while they start."""
DEATHS = ("RayActorError", "WorkerCrashedError", "OutOfMemoryError", "NodeDiedError")
"""Ray's exceptions for a worker that has ended: by a signal, by Ray because memory ran out, or with its machine."""
SECONDS_TO_CONNECT = 5
SECONDS_TO_WAIT = 60
"""Time without any result after which a message says what is waited for."""
OBJECT_STORE = 256 * 2**20
"""Bytes of shared memory on a local cluster, for weights and pictures of reports; Ray puts more on the disk."""


@dataclass(frozen=True)
class Lost:
    """The result of an item over which `ATTEMPTS` workers died."""


@dataclass(frozen=True)
class Layout:
    """Workers and the resources of each."""

    workers: int
    cores: int
    accelerators: int = 0


@dataclass(frozen=True)
class Machine:
    """Free for workers on one machine of the cluster."""

    cores: int
    accelerators: int = 0


@contextmanager
def connect(address: str) -> Iterator[Any]:
    """Yield Ray, connected to a cluster: `local`, or `ray://HOST:PORT`. A connection that exists is used and kept.

    Raises UsageError as `check` does, and if Ray cannot connect.
    """
    check(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report its use to its authors
    import ray

    if ray.is_initialized():
        yield ray
        return
    quiet = {"logging_level": logging.CRITICAL, "log_to_driver": False}
    try:
        with warnings.catch_warnings(action="ignore"):
            if address == LOCAL:
                ray.init(num_cpus=cores.usable(), include_dashboard=False, object_store_memory=OBJECT_STORE, **quiet)
            else:
                ray.init(address, **quiet)
    except Exception as error:  # Ray raises various types, e.g. for another version of Python on the cluster
        raise UsageError(
            f"--cluster {address}: cannot connect: {message_of(error)[:500]}; use the cluster's versions of Python and "
            "Ray, and RAY_AUTH_MODE=token with its token if it requires one"
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()


def check(address: str) -> None:
    """Raise UsageError if Ray is missing, the address is none or cannot be reached, or torchrun started processes."""
    if (processes := os.environ.get("WORLD_SIZE", "1")) != "1":
        raise UsageError(f"--cluster: {processes} processes run this command; start one, which shares its work itself")
    if not find_spec("ray"):
        raise UsageError("--cluster: needs Ray; run pip install 'lowvision-framework[ray]'")
    if address != LOCAL:
        _check_reachable(address)


def _check_reachable(address: str) -> None:
    """Raise UsageError unless something listens at an address; Ray itself would try for a minute."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port or PORT
    except ValueError:
        host = None
    if host is None or parts.scheme != "ray":
        raise UsageError(f"--cluster {address}: is no cluster; give local or ray://HOST:PORT")
    try:
        socket.create_connection((host, port), SECONDS_TO_CONNECT).close()
    except OSError as error:
        raise UsageError(
            f"--cluster {address}: cannot be reached: {error.strerror or message_of(error)}; "
            "start it with `ray start --head`, or check the address"
        ) from None


def machines(ray: Any) -> list[Machine]:
    """Return the machines of the cluster that are alive."""
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Machine(int(each.get("CPU", 0)), int(each.get("GPU", 0))) for each in alive]


def arrange(found: Sequence[Machine], device: str, workers: int | None, threads: int | None) -> Layout:
    """Choose workers: one per accelerator, otherwise one per machine with its cores.

    workers, threads: number of workers, and cores of each; None: chosen. Raises UsageError if there is no room.
    """
    equipped = [each for each in found if each.accelerators and each.cores] if device != "cpu" else []
    if equipped:
        each_has = threads or max(1, min(each.cores // each.accelerators for each in equipped))
        room = sum(min(each.accelerators, each.cores // each_has) for each in equipped)
        layout = Layout(workers or max(1, room), each_has, 1)
    else:
        usable = [each for each in found if each.cores]
        per_machine = -(-(workers or 1) // max(1, len(usable)))
        each_has = threads or max(1, min((each.cores for each in usable), default=1) // per_machine)
        room = sum(each.cores // each_has for each in usable)
        layout = Layout(workers or max(1, room), each_has)
    if layout.workers > room:
        raise UsageError(
            f"--cluster: {layout.workers} workers with {layout.cores} cores each; the cluster has room for {room}; "
            "use fewer --processes or --threads"
        )
    return layout


class Actor:
    """A worker's process: builds its work once, then does it for every item."""

    def start(self, build: Callable[[], Work]) -> LowvisionError | None:
        """Build the work; return the error of it, which Ray would wrap in a traceback."""
        try:
            self._work = build()
        except LowvisionError as error:
            return error
        return None

    def work(self, item: Any) -> Any:
        """Return the result of an item."""
        return self._work(item)


class Pool(Generic[Item]):
    """Workers that take one item at a time; one that dies is replaced, and its item is done again."""

    def __init__(self, ray: Any, build: Callable[[], Work], layout: Layout):
        self._ray, self._layout = ray, layout
        self._dead = tuple(getattr(ray.exceptions, name) for name in DEATHS)
        self._build = ray.put(build)
        self._starting: dict[Any, Any] = {}
        self._working: dict[Any, tuple[Any, Item]] = {}
        self._free: list[Any] = []
        self._failed_starts = 0
        self._deaths: Counter[Item] = Counter()

    def results(self, items: Iterable[Item]) -> Generator[tuple[Item, Any], None, None]:
        """Yield each item with its result, or `Lost`, as they finish; an item is taken when a worker is free.

        Raises the LowvisionError of a worker that could not start, and RunError if workers die while they start.
        """
        remaining, repeated = iter(items), deque[Item]()
        try:
            for _ in range(self._layout.workers):
                self._add_worker()
            while self._submit(remaining, repeated):
                for reference in self._ready():
                    if reference in self._starting:
                        self._started(reference)
                    else:
                        yield from self._finished(reference, repeated)
        finally:
            self._end()

    def _submit(self, remaining: Iterator[Item], repeated: deque[Item]) -> bool:
        """Give an item to every free worker; return False if there is nothing left to do."""
        while self._free:
            item = repeated.popleft() if repeated else next(remaining, None)
            if item is None:
                break
            actor = self._free.pop()
            self._working[actor.work.remote(item)] = actor, item
        return bool(self._working) or not self._free

    def _ready(self) -> list[Any]:
        """Wait for a worker; say what is waited for if that takes long."""
        ready, _ = self._ray.wait([*self._starting, *self._working], timeout=SECONDS_TO_WAIT)
        if not ready and self._starting:
            logger.info("waiting for %d workers to start; the cluster may have no free cores", len(self._starting))
        return list(ready)

    def _add_worker(self) -> None:
        options = {"num_cpus": self._layout.cores, "num_gpus": self._layout.accelerators}
        actor = self._ray.remote(Actor).options(**options).remote()
        self._starting[actor.start.remote(self._build)] = actor

    def _started(self, reference: Any) -> None:
        actor = self._starting.pop(reference)
        try:
            issue = self._result(reference)
        except self._dead as error:
            self._replace(actor)
            self._failed_starts += 1
            if self._failed_starts >= ATTEMPTS:
                reason = message_of(error)[:500]
                raise RunError(f"--cluster: workers end while they start: {reason}; see Ray's logs") from None
            return
        self._free.append(actor)
        if issue is not None:
            raise issue
        self._failed_starts = 0

    def _finished(self, reference: Any, repeated: deque[Item]) -> Iterator[tuple[Item, Any]]:
        actor, item = self._working.pop(reference)
        try:
            result = self._result(reference)
        except self._dead:
            self._replace(actor)
            self._deaths[item] += 1
            if self._deaths[item] >= ATTEMPTS:
                yield item, Lost()
            else:
                logger.info("a worker died; its work is done again")
                repeated.append(item)
            return
        self._free.append(actor)
        yield item, result

    def _result(self, reference: Any) -> Any:
        """Return a result. Raises one of `DEATHS` for a dead worker, and RunError for any other failure."""
        try:
            return self._ray.get(reference)
        except self._dead:
            raise
        except self._ray.exceptions.RayError as error:
            reason = message_of(error)[-500:]
            raise RunError(
                f"--cluster: a worker failed: {reason}; install the same versions of lowvision and Ray on every machine"
            ) from None

    def _replace(self, actor: Any) -> None:
        self._ray.kill(actor)  # an unreachable one must not write later
        self._add_worker()

    def _end(self) -> None:
        for actor in (*self._starting.values(), *self._free, *(actor for actor, _ in self._working.values())):
            self._ray.kill(actor)
