"""Claims about the restore methods: they restore the same image at the cost that they state."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
import torch
from torch import Tensor

from lowvision.bench import dissection, methods, networks, rows, worker
from lowvision.bench.job import Job, Method, Tiles
from lowvision.bench.rows import Row
from lowvision.errors import UsageError
from lowvision.inference import engines
from lowvision.plugins import registry
from lowvision.routing.networks import Networks
from lowvision.system import devices

KNOWN = registry.load()
IMAGE = torch.rand(3, 40, 56, generator=torch.Generator().manual_seed(0))


def job(weights: Path, what: str, runtime: str = "torch", **more: object) -> Job:
    return Job(Row(what, runtime), IMAGE, networks.read(weights, KNOWN), KNOWN, **more)  # type: ignore[arg-type]


def made(job: Job) -> Tensor:
    image = methods.prepare(job).run()
    return image[0] if image.ndim == 4 else image


@pytest.mark.parametrize("runtime", ["torch_tuned", "openvino"])
def test_the_whole_image_is_the_same_in_every_runtime(weights_file: Path, runtime: str) -> None:
    torch.testing.assert_close(
        made(job(weights_file, "base_whole", runtime)), made(job(weights_file, "base_whole")), atol=1e-4, rtol=0
    )


def test_our_engine_and_tile_by_tile_agree_away_from_seams(weights_file: Path) -> None:
    forced = {"shares": (1.0, 0.0, 0.0)}
    ours, theirs = (made(job(weights_file, what, **forced)) for what in ("routed", "routed_tile_by_tile"))
    assert ours.shape == theirs.shape == (3, 80, 112)
    torch.testing.assert_close(ours[:, 4:16, 4:16], theirs[:, 4:16, 4:16], atol=1e-5, rtol=0)


@pytest.mark.parametrize("tiles", [None, Tiles(32, 2)])
def test_the_tiled_base_is_near_the_whole(weights_file: Path, tiles: Tiles | None) -> None:
    tiled, whole = made(job(weights_file, "base_tiled", tiles=tiles)), made(job(weights_file, "base_whole"))
    assert (tiled - whole).abs().mean() < 0.01


def test_the_search_answers_with_tiles_no_larger_than_the_image(weights_file: Path) -> None:
    way = methods.prepare(job(weights_file, rows.SEARCH))
    way.run()
    found = way.facts()
    assert found["tile"] in (16, 32)
    assert found["batch"] >= 1


@pytest.mark.parametrize("what", ["bicubic", "base_whole"])
def test_a_row_is_computed_on_its_device(weights_file: Path, what: str) -> None:
    """On a device without values, which shows where tensors are."""
    assert made(job(weights_file, what, device="meta")).device.type == "meta"


def test_calls_of_branches_are_timed_to_the_end_of_queued_work(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    monkeypatch.setattr(devices, "synchronize", events.append)

    def branch(x: Tensor) -> Tensor:
        events.append("call")
        return x

    networks_of = Networks(branch, (branch,), lambda shape: (1,), lambda shape: 1)
    dissection.recorded(networks_of, dissection.BranchCalls(1, "cuda:0")).branches[0](torch.zeros(1))
    assert events == ["cuda:0", "call", "cuda:0"]
    worker._measured(Method(lambda: events.append("run"), lambda: 0), "cpu")
    assert events[3:] == ["cpu", "run", "cpu"]


def test_bicubic_is_the_tasks_own(weights_file: Path) -> None:
    assert made(job(weights_file, "bicubic")).shape == (3, 80, 112)


def test_forced_shares_pay_for_the_classifier_as_chosen_ones_do(weights_file: Path) -> None:
    whole = methods.prepare(job(weights_file, "base_whole"))
    assert whole.cost() == engines.base_cost(tiny.architecture(), 40, 56)

    def cost(what: str, *shares: float) -> int:
        way = methods.prepare(job(weights_file, what, shares=shares or None))
        way.run()
        return way.cost()

    cheap, dear = (cost("routed_tile_by_tile", *shares) for shares in ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0)))
    assert cheap < cost("routed_tile_by_tile") <= dear
    chosen = methods.prepare(job(weights_file, "routed"))
    chosen.run()
    facts = chosen.facts()
    (alone,) = (k for k, share in enumerate(facts["shares"]) if share) if 1.0 in facts["shares"] else (None,)
    if alone is not None:
        assert cost("routed", *(float(k == alone) for k in range(3))) == chosen.cost()


def test_a_routed_run_tells_where_its_time_went(weights_file: Path) -> None:
    way = methods.prepare(job(weights_file, "routed", shares=(0.5, 0.3, 0.2)))
    way.run()
    facts = way.facts()
    assert facts["shares"] == pytest.approx((0.5, 0.3, 0.2), abs=0.05)
    assert 0 < facts["branch_gmac"] < way.cost() / 1e9
    assert facts["branch_seconds"] > 0
    assert facts["decide_seconds"] > 0
    assert facts["overhead_seconds"] > 0


def test_a_single_network_cannot_be_routed(tmp_path: Path) -> None:
    alone = tiny.write_weights(tmp_path / "alone.safetensors", tiny.architecture().only(-1))
    assert made(job(alone, "base_whole")).shape == (3, 80, 112)
    for what in ("routed", "routed_tile_by_tile"):
        with pytest.raises(UsageError, match="no classifier"):
            methods.prepare(job(alone, what))


def test_where_nothing_is_enlarged_there_is_no_bicubic(tmp_path: Path) -> None:
    same = tiny.write_weights(tmp_path / "same.safetensors", tiny.architecture().replace(task=denoising()))
    with pytest.raises(UsageError, match="bicubic needs a scale above 1"):
        methods.prepare(job(same, "bicubic"))


def denoising() -> object:
    return KNOWN.find("tasks", "denoise").component()
