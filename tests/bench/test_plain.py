"""Claims about the methods for comparison: interpolation, the whole base, tile by tile."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
import torch
from bench_jobs import KNOWN, job, restored

from lowvision.bench import methods
from lowvision.errors import UsageError


@pytest.mark.parametrize("runtime", ["torch_tuned", "openvino"])
def test_the_whole_image_result_agrees_in_every_runtime(weights_file: Path, runtime: str) -> None:
    torch.testing.assert_close(
        restored(job(weights_file, "base_whole", runtime)), restored(job(weights_file, "base_whole")), atol=1e-4, rtol=0
    )


def test_the_bicubic_row_uses_the_baseline_of_the_task(weights_file: Path) -> None:
    assert restored(job(weights_file, "bicubic")).shape == (3, 80, 112)


def test_a_same_size_task_has_no_bicubic_row(tmp_path: Path) -> None:
    same = tiny.write_weights(tmp_path / "same.safetensors", tiny.architecture().replace(task=denoising()))
    with pytest.raises(UsageError, match="bicubic needs a scale above 1"):
        methods.prepare(job(same, "bicubic"))


def denoising() -> object:
    return KNOWN.find("tasks", "denoise").component()
