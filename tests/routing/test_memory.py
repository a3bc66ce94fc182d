"""If memory runs out, batches are halved; no other error is suppressed."""

from __future__ import annotations

import pytest
import torch

from lowvision.errors import LowvisionError
from lowvision.routing.memory import Limit, run_in_parts
from lowvision.system.out_of_memory import is_out_of_memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to ..."),
        RuntimeError("std::bad_alloc"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_out_of_memory_errors_of_every_library_are_recognised(error):
    assert is_out_of_memory(error)


def test_another_error_is_raised():
    def broken(tiles):
        raise RuntimeError("Given groups=1, expected 3 channels")

    with pytest.raises(RuntimeError, match="expected 3 channels"):
        run_in_parts(broken, torch.rand(4, 3, 8, 8), Limit(4), 1)


def test_no_memory_for_a_single_window_is_an_error_with_its_size():
    def greedy(tiles):
        raise MemoryError

    with pytest.raises(LowvisionError, match="out of memory with a single window of 8x9 pixels"):
        run_in_parts(greedy, torch.rand(3, 3, 8, 9), Limit(3), 1)


def test_the_accelerator_cache_is_freed_before_smaller_batches_run(monkeypatch):
    events = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: events.append("release"))

    def greedy(tiles):
        events.append(len(tiles))
        if len(tiles) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return tiles

    run_in_parts(greedy, torch.rand(4, 3, 8, 8), Limit(4), 1)
    assert events == [4, "release", 2, 2]


def test_every_tile_is_restored_in_order_at_any_memory_limit():
    def greedy(tiles):
        if len(tiles) > 2:
            raise MemoryError
        return 2 * tiles

    tiles, limit = torch.rand(7, 3, 8, 8), Limit(28)
    assert torch.equal(run_in_parts(greedy, tiles, limit, 4), 2 * tiles)
    assert limit.windows(4) == 1
