"""The folder of a run: its name, its lock, the list of files that the run wrote, and their removal by `--restart`.

The list `files.jsonl` holds one path per line, relative to the folder and as a JSON string. A path is added before the
file is written, so that the list is complete after a kill. A path that ends in `/` is a folder of checkpoints.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout

from lowvision.errors import RunError, UsageError
from lowvision.system.atomic import whole
from lowvision.system.cache import fingerprint
from lowvision.training import checkpoint

logger = logging.getLogger("lowvision")

LIST = "files.jsonl"
LOCK = "run.lock"
SECONDS_TO_WAIT = 10
"""Time for the processes of a killed command to end, before the folder is refused."""
DONE = "done.json"
"""Marks a finished stage; holds its seconds and the checksums of its results."""
RESOLVED = "recipe.resolved.yml"
"""The file that makes a folder the folder of a run; written last when a run begins."""
RESTARTING = "restarting"
"""Exists while the results of a run are removed; if it is left by a killed process, the next run goes on removing."""
MAX_NAME = 255
"""Bytes of a file name that every common file system allows."""
SHOWN = 10
"""Names in a message."""


def checked_name(name: str) -> str:
    """Return the name of a run, which is one path component. Raises UsageError if it is not."""
    is_component = name not in ("", ".", "..") and not {"/", "\\", "\0"} & set(name) and name.isprintable()
    if not is_component:
        raise UsageError(f"--name {name!r}: is not the name of one folder; give a name without / and \\, e.g. second")
    if len(name.encode(errors="surrogateescape")) > MAX_NAME:
        raise UsageError(f"--name {name:.20}...: is longer than {MAX_NAME} bytes; give a shorter --name")
    return name


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Create the folder, and hold its lock until the block or the process ends. Raises RunError if it stays held.

    The system releases the lock even if the process is killed; processes that torchrun started end a moment later.
    """
    lock = FileLock(folder / LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _acquire(lock, folder)
    except Timeout:
        raise RunError(
            f"{folder}: another process runs in this folder; wait until it ends, or give another --name"
        ) from None
    except OSError as error:
        raise RunError(f"{folder}: cannot be written: {error.strerror}; --runs FOLDER puts runs elsewhere") from None
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: FileLock, folder: Path) -> None:
    """Acquire a lock. Raises Timeout after `SECONDS_TO_WAIT`."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.info("%s: waiting for another process in this folder to end", folder)
        lock.acquire(timeout=SECONDS_TO_WAIT)


def start_list(folder: Path) -> None:
    """Start the list of a new run. Raises RunError if the folder holds files that no run wrote."""
    if (folder / LIST).exists():
        return
    others = [path.name for path in sorted(folder.iterdir()) if path.name != LOCK]
    if others:
        raise RunError(f"{folder}: is not the folder of a run, it holds {_few(others)}; give another --name")
    (folder / LIST).touch()
    claim(folder, folder / LIST)


def claim(folder: Path, *paths: Path) -> None:
    """Add files, or a folder of checkpoints, below the run folder to the list of what the run writes.

    Without a list nothing is recorded: an older version started the run, and a partial list would be wrong.
    """
    if not (folder / LIST).exists():
        return
    listed = set(_listed(folder))
    names = [f"{path.relative_to(folder).as_posix()}{'/' if path.name == checkpoint.FOLDER else ''}" for path in paths]
    with (folder / LIST).open("a", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(name)}\n" for name in names if name not in listed)


def digests(stage: Path) -> dict[str, str]:
    """Return the SHA-256 of each result of a stage by its path below the stage's folder."""
    paths = [path for pattern in ("*.safetensors", "*/*.safetensors", "*.npz") for path in stage.glob(pattern)]
    return {path.relative_to(stage).as_posix(): fingerprint(path) for path in sorted(paths)}


def remove_results(folder: Path) -> None:
    """Remove the files that the run wrote, and log what is kept. Raises RunError if results of a run remain.

    May be killed at any time: the next call goes on, and until then the folder does not pass for a run.
    """
    if not (folder / LIST).exists():
        raise RunError(
            f"{folder}: has no {LIST}, the list of files that a run wrote, so --restart would have to guess; delete "
            "the folder yourself, or give another --name"
        )
    try:
        (folder / RESTARTING).touch()
        names = [name for name in _listed(folder) if name != LIST]
        for name in names:
            _remove(folder, name)
        _refuse_leftovers(folder)
        with whole(folder / LIST, durable=True) as part:
            part.write_text(f"{json.dumps(LIST)}\n")
        (folder / RESTARTING).unlink()
    except OSError as error:
        raise RunError(f"{folder}: cannot be emptied: {error}; run again when it can be written") from None
    kept = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    if others := [name for name in kept if name not in (LOCK, LIST)]:
        logger.info("%s: kept, because no run wrote it: %s", folder, _few(others))


def unlisted(folder: Path) -> list[str]:
    """Return the files below the folder that the list does not name; files of checkpoints are named by their folder."""
    listed = _listed(folder)
    folders = tuple(name for name in listed if name.endswith("/"))
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return [name for name in names if name not in (*listed, LOCK) and not name.startswith(folders or "/")]


def _listed(folder: Path) -> list[str]:
    """Return the listed names; a partial line, which a kill may leave, names a file that was not written yet."""
    names = []
    for line in (folder / LIST).read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            name = json.loads(line)
        except ValueError:
            continue
        if isinstance(name, str):
            names.append(name)
    return names


def _remove(folder: Path, name: str) -> None:
    """Remove a listed file and its unfinished copies, or the checkpoints in a listed folder; then empty folders."""
    path = folder / name
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or not _is_below(path, folder):
        return  # not written by this program
    if name.endswith("/"):
        checkpoint.remove_all(path)
    else:
        for partial in path.parent.glob(f".{_escaped(path.name)}.*.part"):
            partial.unlink(missing_ok=True)
        if path.is_symlink() or path.is_file():
            path.unlink()
        path = path.parent
    while path != folder and path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
        path.rmdir()
        path = path.parent


def _is_below(path: Path, folder: Path) -> bool:
    """Return False if a link leads out of the folder."""
    return folder.resolve() in (path.parent.resolve() / path.name).parents


def _escaped(name: str) -> str:
    """Return a name as a pattern that matches only itself."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _refuse_leftovers(folder: Path) -> None:
    """Raise RunError if a result remains that the next run would take for its own."""
    done = [path for pattern in (f"*/{DONE}", f"**/{checkpoint.FOLDER}/step-*") for path in folder.glob(pattern)]
    if done or (folder / RESOLVED).exists():
        names = [path.relative_to(folder).as_posix() for path in done] or [RESOLVED]
        raise RunError(f"{folder}: holds results that {LIST} does not list: {_few(names)}; delete them yourself")


def _few(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
