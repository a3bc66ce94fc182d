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


def job(weights: Path, method_name: str, runtime: str = "torch", **more: object) -> Job:
    return Job(Row(method_name, runtime), IMAGE, networks.read(weights, KNOWN), KNOWN, **more)  # type: ignore[arg-type]


def restored(job: Job) -> Tensor:
    image = methods.prepare(job).run()
    return image[0] if image.ndim == 4 else image


@pytest.mark.parametrize("runtime", ["torch_tuned", "openvino"])
def test_the_whole_image_result_agrees_in_every_runtime(weights_file: Path, runtime: str) -> None:
    torch.testing.assert_close(
        restored(job(weights_file, "base_whole", runtime)), restored(job(weights_file, "base_whole")), atol=1e-4, rtol=0
    )


def test_the_engine_and_tile_by_tile_agree_away_from_seams(weights_file: Path) -> None:
    forced = {"shares": (1.0, 0.0, 0.0)}
    by_engine, by_tile = (restored(job(weights_file, name, **forced)) for name in ("routed", "routed_tile_by_tile"))
    assert by_engine.shape == by_tile.shape == (3, 80, 112)
    torch.testing.assert_close(by_engine[:, 4:16, 4:16], by_tile[:, 4:16, 4:16], atol=1e-5, rtol=0)


@pytest.mark.parametrize("tiles", [None, Tiles(32, 2)])
def test_the_tiled_base_approximates_the_whole_image(weights_file: Path, tiles: Tiles | None) -> None:
    tiled, whole = restored(job(weights_file, "base_tiled", tiles=tiles)), restored(job(weights_file, "base_whole"))
    assert (tiled - whole).abs().mean() < 0.01


def test_the_tile_size_search_returns_at_most_the_image_size(weights_file: Path) -> None:
    method = methods.prepare(job(weights_file, rows.SEARCH))
    method.run()
    facts = method.facts()
    assert facts["tile"] in (16, 32)
    assert facts["batch"] >= 1


@pytest.mark.parametrize("method", ["bicubic", "base_whole"])
def test_a_row_is_computed_on_its_device(weights_file: Path, method: str) -> None:
    """On a device without values, which shows where tensors are."""
    assert restored(job(weights_file, method, device="meta")).device.type == "meta"


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


def test_the_bicubic_row_uses_the_baseline_of_the_task(weights_file: Path) -> None:
    assert restored(job(weights_file, "bicubic")).shape == (3, 80, 112)


def test_forced_shares_include_the_cost_of_the_classifier(weights_file: Path) -> None:
    whole = methods.prepare(job(weights_file, "base_whole"))
    assert whole.cost() == engines.base_cost(tiny.architecture(), 40, 56)

    def cost(method_name: str, *shares: float) -> int:
        method = methods.prepare(job(weights_file, method_name, shares=shares or None))
        method.run()
        return method.cost()

    cheapest, most_expensive = (cost("routed_tile_by_tile", *shares) for shares in ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0)))
    assert cheapest < cost("routed_tile_by_tile") <= most_expensive
    chosen = methods.prepare(job(weights_file, "routed"))
    chosen.run()
    facts = chosen.facts()
    (forced_branch,) = (k for k, share in enumerate(facts["shares"]) if share) if 1.0 in facts["shares"] else (None,)
    if forced_branch is not None:
        assert cost("routed", *(float(k == forced_branch) for k in range(3))) == chosen.cost()


def test_a_routed_run_lists_the_time_of_each_part(weights_file: Path) -> None:
    method = methods.prepare(job(weights_file, "routed", shares=(0.5, 0.3, 0.2)))
    method.run()
    facts = method.facts()
    assert facts["shares"] == pytest.approx((0.5, 0.3, 0.2), abs=0.05)
    assert 0 < facts["branch_gmac"] < method.cost() / 1e9
    assert facts["branch_seconds"] > 0
    assert facts["decide_seconds"] > 0
    assert facts["overhead_seconds"] > 0


def test_a_single_network_cannot_be_routed(tmp_path: Path) -> None:
    single_network = tiny.write_weights(tmp_path / "alone.safetensors", tiny.architecture().only(-1))
    assert restored(job(single_network, "base_whole")).shape == (3, 80, 112)
    for method_name in ("routed", "routed_tile_by_tile"):
        with pytest.raises(UsageError, match="no classifier"):
            methods.prepare(job(single_network, method_name))


def test_a_same_size_task_has_no_bicubic_row(tmp_path: Path) -> None:
    same = tiny.write_weights(tmp_path / "same.safetensors", tiny.architecture().replace(task=denoising()))
    with pytest.raises(UsageError, match="bicubic needs a scale above 1"):
        methods.prepare(job(same, "bicubic"))


def denoising() -> object:
    return KNOWN.find("tasks", "denoise").component()
