"""Claims about the seconds of the base on a whole image, beside those of a routed restore."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lowvision.commands.restore_request import RestoreOptions
from lowvision.commands.service import comparison
from lowvision.commands.service.work import Deadline
from lowvision.errors import LowvisionError
from lowvision.imaging import io
from lowvision.imaging.io import Image
from lowvision.inference import restorer
from lowvision.inference.restorer import Restorer
from lowvision.models import weights
from lowvision.plugins import registry


@pytest.fixture(scope="module")
def network(weights_file: Path) -> Restorer:
    return restorer.load(weights_file, device="cpu", runtime="torch", registry=registry.load())


@pytest.mark.parametrize(("channels", "dtype"), [(3, np.uint8), (1, np.uint16), (4, np.uint8)])
def test_the_base_restores_the_whole_image_without_tiles(
    channels: int, dtype: type, network: Restorer, weights_file: Path
) -> None:
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (21, 34, channels), dtype=dtype)
    container = weights.load_container(weights_file, network.architecture, registry.load()).eval()
    lq = io.to_tensor(image)[:3].expand(3, -1, -1)
    with torch.inference_mode():
        expected = container.branches.networks[-1](lq[None])[0]
    expected = expected if channels != 1 else expected.mean(dim=0, keepdim=True)
    result = comparison.by_base(network, image).astype(np.int64)
    assert result.shape == (42, 68, min(channels, 3))
    assert abs(result - io.to_pixels(expected, dtype)).max() <= 1


def test_both_ways_are_measured(network: Restorer, tmp_path: Path) -> None:
    io.write(tmp_path / "a.png", Image(np.full((40, 60, 3), 90, dtype=np.uint8)))
    measured = comparison.compare(tmp_path / "a.png", network, RestoreOptions(budget=0.9), Deadline(60))
    assert measured.routed > 0
    assert measured.whole > 0


def test_an_image_whose_whole_would_not_fit_into_memory_is_refused(network: Restorer) -> None:
    comparison.check_memory(network, 100, 100)
    with pytest.raises(
        LowvisionError, match=r"the whole image needs about .* GiB, .* GiB are free; take a smaller one"
    ):
        comparison.check_memory(network, 10**6, 10**5)
