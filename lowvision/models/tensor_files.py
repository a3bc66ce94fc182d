"""Read the tensors in weights files of other programs, without executing their code."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lowvision.errors import WeightsError
from lowvision.imaging.formats import of_content
from lowvision.models import ncnn
from lowvision.models.state_dict import few
from lowvision.system import regular_file

WRAPPERS = (
    *("params_ema", "params-ema", "g_ema", "net_g_ema", "ema", "model_ema", "state_dict_ema"),
    *("params", "state_dict", "model_state_dict", "generator_state_dict", "model", "net", "network"),
    *("generator", "net_g", "netG", "sd"),
)
"""Keys under which programs store the tensors of a network, moving averages first; the first that exists is used."""
PARALLEL = "module."
"""Prefix of all names in files of PyTorch's parallel modules."""
LFS = b"version https://git-lfs"
HTML = (b"<!doctype html", b"<html", b"<?xml", b"<head")
"""First bytes of a Git LFS pointer and of a web page."""


def is_pickled(path: Path) -> bool:
    """Return True if `torch.save` wrote the file. Raises WeightsError if it cannot be read."""
    start = _start(path, 9)
    # safetensors begins with the length of its header, eight bytes that may be these by chance, and then a brace.
    return start[8:] != b"{" and (start[:2] == b"PK" or start[:1] == b"\x80")


def is_others(path: Path) -> bool:
    """Return True if only another program can have written the file. Raises WeightsError if it cannot be read."""
    return path.suffix == ncnn.SUFFIX or is_pickled(path)


def files(path: Path) -> tuple[Path, ...]:
    """Return all files of the network at `path`: ncnn stores its weights in a second one."""
    return (path, ncnn.numbers_of(path)) if path.suffix == ncnn.SUFFIX else (path,)


def tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors in a file by name, on the CPU, without the wrappers of other programs.

    Raises WeightsError if the file is damaged, contains no tensors by name, or would execute code when opened.
    """
    if path.suffix == ncnn.SUFFIX:
        return ncnn.read(path)
    refuse_other_kinds(path)
    state = _unwrapped(_unpickled(path) if is_pickled(path) else _loaded(path), path)
    if all(name.startswith(PARALLEL) for name in state):
        return {name.removeprefix(PARALLEL): tensor for name, tensor in state.items()}
    return state


def refuse_other_kinds(path: Path) -> None:
    """Raise WeightsError for an image, one half of an ncnn network, a web page, and a pointer of Git LFS."""
    if path.suffix == ".bin" and path.with_suffix(".param").exists():
        raise WeightsError(
            f"{path}: holds the tensors of an ncnn file; give {path.with_suffix('.param').name} beside it"
        )
    start = _start(path, 512)
    # The length of a header of safetensors may be the signature of an image.
    if start[8:9] != b"{" and (image_format := of_content(start)):
        raise WeightsError(f"{path}: is an image ({image_format.name}), not weights; give a weights file")
    start = start.lstrip().lower()
    if start.startswith(LFS):
        raise WeightsError(f"{path}: is a pointer of Git LFS, not the file; run `git lfs pull` in its repository")
    if start.startswith(HTML):
        raise WeightsError(f"{path}: is a web page, not weights; download the file itself, e.g. by its `raw` link")


def _start(path: Path, size: int) -> bytes:
    """Return the first bytes of a file. Raises WeightsError if it cannot be read."""
    try:
        regular_file.check(path)
        with path.open("rb") as file:
            return file.read(size)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise WeightsError(f"{path}: is a folder; give a weights file") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from None


def _loaded(path: Path) -> Any:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise incomplete(path, error) from None


def incomplete(path: Path, error: Exception) -> WeightsError:
    """Return the error for a file that has no signs of another format and cannot be read as safetensors."""
    if path.suffix == ".safetensors":
        return WeightsError(f"{path}: not a complete safetensors file ({error}); copy it again")
    return WeightsError(f"{path}: not a weights file, or not a complete one ({error}); give another, or copy it again")


def _unpickled(path: Path) -> Any:
    try:
        # PyTorch warns of pickle protocols that it reads.
        with warnings.catch_warnings(action="ignore"), torch.serialization.safe_globals(_numpy_scalars()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        match = re.search(r"GLOBAL (\S+)", str(error))
        content = match[1] if match else "more than tensors"
        raise WeightsError(
            f"{path}: needs {content}, which could execute code when opened, so it is rejected; if you trust it, save "
            "only its tensors in the program that made it: torch.save(network.state_dict(), ...)"
        ) from None
    except Exception as error:  # damaged files raise many types
        reason = str(error).partition("\n")[0]
        problem = f"not a complete PyTorch file ({type(error).__name__}: {reason})"
        raise WeightsError(f"{path}: {problem}; copy it again") from None


def _numpy_scalars() -> list[Any]:
    """Return what the pickle of a number of numpy needs; none of it runs code of the file."""
    kinds = (np.float64, np.float32, np.int64, np.int32, np.bool_)
    scalar = np.float64(0).__reduce__()[0]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")  # numpy 1 and 2
    return [*((scalar, name) for name in names), np.dtype, *kinds, *(type(np.dtype(kind)) for kind in kinds)]


def _inner(content: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return the mapping under the first wrapper, or the only mapping that holds tensors; otherwise the content."""
    for key in WRAPPERS:
        if isinstance(inner := content.get(key), Mapping):
            return inner
    holders = [v for v in content.values() if isinstance(v, Mapping) and any(isinstance(t, Tensor) for t in v.values())]
    return holders[0] if len(holders) == 1 else content


def _unwrapped(content: Any, path: Path) -> dict[str, Tensor]:
    """Return the tensors by name from at most three levels of wrappers."""
    for _ in range(3):
        if not isinstance(content, Mapping):
            break
        if content and all(isinstance(value, Tensor) for value in content.values()):
            return {str(name): tensor.detach() for name, tensor in content.items()}
        content = _inner(content)
    keys = few([str(key) for key in content]) if isinstance(content, Mapping) else type(content).__name__
    raise WeightsError(
        f"{path}: contains no tensors by name, but {keys or 'nothing'}; give a bare state dict, or one under "
        f"{', '.join(WRAPPERS)}"
    )
