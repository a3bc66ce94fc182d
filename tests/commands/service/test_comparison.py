"""Claims about the seconds of the base on a whole image, beside those of a routed restore."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from lowvision.commands.restore_request import RestoreOptions
from lowvision.commands.service import comparison
from lowvision.commands.service.limits import Stopped
from lowvision.commands.service.work import Deadline
from lowvision.errors import DataError, LowvisionError, UsageError
from lowvision.imaging import io
from lowvision.imaging.io import Image
from lowvision.inference import engines, restorer
from lowvision.inference.restorer import Restorer
from lowvision.models import weights
from lowvision.plugins import registry
from lowvision.testing.small_run import SmallBackbone

FREE = 2**30
"""Free memory in bytes."""


@pytest.fixture(scope="module")
def network(weights_file: Path) -> Restorer:
    return restorer.load(weights_file, device="cpu", runtime="torch", registry=registry.load())


@pytest.fixture
def image_file(tmp_path: Path) -> Path:
    io.write(tmp_path / "a.png", Image(np.full((40, 60, 3), 90, dtype=np.uint8)))
    return tmp_path / "a.png"


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


class Coarse(SmallBackbone):
    """A backbone that accepts multiples of 8 only."""

    multiple_of: ClassVar[int] = 8


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 30), st.integers(1, 30))
def test_sides_are_padded_for_the_base_and_the_padding_is_cut_off(network: Restorer, height: int, width: int) -> None:
    def enlarge(lq: Tensor) -> Tensor:
        assert [side % 8 for side in lq.shape[2:]] == [0, 0]
        return functional.interpolate(lq, scale_factor=2, mode="nearest")

    architecture = network.architecture.model_copy(update={"branches": (Coarse(),)})
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    result = comparison.by_base(replace(network, architecture=architecture, base_alone=lambda: enlarge), image)
    np.testing.assert_array_equal(result, image.repeat(2, axis=0).repeat(2, axis=1))


def test_the_warm_up_of_the_base_is_not_measured(network: Restorer, image_file: Path) -> None:
    pauses = iter([0.3])  # seconds of the first call

    def run(lq: Tensor) -> Tensor:
        time.sleep(next(pauses, 0))
        return functional.interpolate(lq, scale_factor=2)

    measured = comparison.compare(
        image_file, replace(network, base_alone=lambda: run), RestoreOptions(budget=0.9), Deadline(60)
    )
    assert 0 < measured.whole < 0.3
    assert measured.routed > 0


class StopsBeforeTheWhole(Deadline):
    """A deadline that ends when all tiles are restored."""

    def __init__(self) -> None:
        super().__init__(60)
        self.moves: list[tuple[int, int]] = []

    def move(self, done: int, total: int) -> None:
        self.moves.append((done, total))
        if total == 1:
            self.stop()
        super().move(done, total)


def test_the_deadline_is_checked_after_every_batch_of_tiles_and_before_the_base(
    network: Restorer, image_file: Path
) -> None:
    calls: list[None] = []
    watched = replace(network, base_alone=lambda: calls.append(None))  # type: ignore[arg-type,func-returns-value]  # never used
    deadline = StopsBeforeTheWhole()
    with pytest.raises(Stopped):
        comparison.compare(image_file, watched, RestoreOptions(), deadline)
    *tiles, last = deadline.moves
    assert tiles[-1] == (15, 15)
    assert last == (0, 1)
    assert calls == []


def test_an_image_larger_than_the_limit_of_the_request_is_refused(network: Restorer, image_file: Path) -> None:
    with pytest.raises(DataError, match="pixels"):
        comparison.compare(image_file, network, RestoreOptions(largest=100), Deadline(60))


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ({"budget": -1.0}, "budget"),
        *[({n: v}, "no curve") for n, v in (("max_loss", 1.0), ("speed", "fast"), ("worst", 1.0))],
    ],
)
def test_every_limit_of_the_request_applies_to_the_routed_restore(
    limit: dict[str, Any], message: str, network: Restorer, image_file: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        comparison.compare(image_file, network, RestoreOptions(**limit), Deadline(60))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(height=st.integers(1, 10_000), width=st.integers(1, 10_000))
def test_an_image_is_refused_exactly_if_the_base_needs_more_than_the_free_memory(
    network: Restorer, height: int, width: int
) -> None:
    needed = engines.base_bytes(network.architecture, height, width)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison.devices.psutil, "virtual_memory", lambda: SimpleNamespace(available=FREE))
        if needed <= FREE:
            comparison.check_memory(network, height, width)
        else:
            stated = rf"needs about {needed / FREE:.1f} GiB, 1\.0 GiB are free; take a smaller one"
            with pytest.raises(LowvisionError, match=stated):
                comparison.check_memory(network, height, width)


def test_memory_is_checked_before_the_image_is_restored(
    network: Restorer, image_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison.devices.psutil, "virtual_memory", lambda: SimpleNamespace(available=1))
    deadline = Deadline(-1)  # its first report of progress would raise another error
    with pytest.raises(LowvisionError, match="the whole image needs"):
        comparison.compare(image_file, network, RestoreOptions(), deadline)
