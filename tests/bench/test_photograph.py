"""Claims about the image that is restored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lowvision.bench import photograph
from lowvision.errors import DataError
from lowvision.imaging import io
from lowvision.imaging.io import Image
from lowvision.plugins import registry

KNOWN = registry.load()


def task(name: str, **options: Any) -> Any:
    return KNOWN.find("tasks", name).component(**options)


@pytest.mark.parametrize("size", [(30, 50), (50, 30), (7, 90)])
def test_a_sample_has_the_requested_size(size: tuple[int, int]) -> None:
    lq = photograph.lq(None, size, task("sr", scale=2), KNOWN)
    assert lq.shape == (3, *size)
    assert lq.std() > 0.05  # something is to be seen


def test_grey_networks_get_grey_images() -> None:
    assert photograph.lq(None, (20, 30), task("sr", scale=2, channels=1), KNOWN).shape == (1, 20, 30)


def test_a_user_photograph_is_cropped_to_its_centre(tmp_path: Path) -> None:
    pixels = np.zeros((60, 100, 3), dtype=np.uint8)
    pixels[:, 20:80] = 255  # 60 x 60 in the middle
    io.write(tmp_path / "a.png", Image(pixels))
    lq = photograph.lq(tmp_path / "a.png", (24, 24), task("sr", scale=2), KNOWN)
    assert lq[:, 3:-3, 3:-3].min() > 0.98
    with pytest.raises(DataError, match=r"none\.png"):
        photograph.lq(tmp_path / "none.png", (24, 24), task("sr"), KNOWN)


def test_noise_is_reproducible() -> None:
    first, second = (photograph.lq(None, (20, 20), task("denoise"), KNOWN) for _ in range(2))
    assert torch.equal(first, second)
