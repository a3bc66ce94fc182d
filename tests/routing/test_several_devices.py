"""Batches of one image are shared by several devices; `cpu` and `cpu:0` stand for two of them here."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
import tiny
import torch
from torch import Tensor

from lowvision.inference import engines, trained_networks
from lowvision.plugins import registry
from lowvision.routing.several_devices import shared_branches
from lowvision_runtimes import Torch

FIRST, SECOND = torch.device("cpu"), torch.device("cpu:0")


def test_two_devices_restore_the_same_image_as_one(tmp_path: Path) -> None:
    path = tiny.write_weights(tmp_path / "weights.safetensors", tiny.architecture())
    parts = trained_networks.read(path, registry.load())
    image = torch.rand(3, 150, 170, generator=torch.Generator().manual_seed(0))
    one, two = (engines.build(parts, Torch(batch=2), "cpu", *others) for others in ((), ("cpu:0",)))
    assert two.callers == one.callers + 1
    torch.testing.assert_close(two.route(image).image, one.route(image).image, rtol=0, atol=1e-6)


def test_a_busy_device_leaves_all_batches_to_the_free_one() -> None:
    began, finish, taken = Event(), Event(), []

    def slow(tiles: Tensor) -> Tensor:
        taken.append("slow")
        began.set()
        assert finish.wait(10)
        return tiles

    def quick(tiles: Tensor) -> Tensor:
        taken.append("quick")
        return tiles + 1

    (branch,) = shared_branches({FIRST: (slow,), SECOND: (quick,)})
    with ThreadPoolExecutor(1) as other:
        busy = other.submit(branch, torch.zeros(1))
        assert began.wait(10)
        assert [branch(torch.zeros(1)).item() for _ in range(3)] == [1, 1, 1]
        finish.set()
        assert busy.result().item() == 0
    assert taken == ["slow", "quick", "quick", "quick"]


def test_a_device_is_free_again_after_an_error() -> None:
    def failing(tiles: Tensor) -> Tensor:
        raise RuntimeError("out of memory")

    def working(tiles: Tensor) -> Tensor:
        return tiles

    broken, sound = shared_branches({FIRST: (failing, working)})
    with pytest.raises(RuntimeError, match="out of memory"):
        broken(torch.zeros(1))
    assert sound(torch.ones(1)).item() == 1
