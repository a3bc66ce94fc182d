"""Claims about the restore methods: they restore the same image at the cost that they state."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
import torch
from torch import Tensor

from lowvision.bench import methods, networks, rows
from lowvision.bench.job import Job, Tiles
from lowvision.bench.rows import Row
from lowvision.errors import UsageError
from lowvision.inference import engines
from lowvision.plugins import registry

KNOWN = registry.load()
IMAGE = torch.rand(3, 40, 56, generator=torch.Generator().manual_seed(0))


def job(weights: Path, what: str, runtime: str = "torch", **more: object) -> Job:
    return Job(Row(what, runtime), IMAGE, networks.read(weights, KNOWN), KNOWN, **more)  # type: ignore[arg-type]


def made(job: Job) -> Tensor:
    image = methods.prepare(job).run()
    return image[0] if image.ndim == 4 else image


@pytest.mark.parametrize("runtime", ["torch_tuned", "openvino"])
def test_the_whole_image_result_agrees_in_every_runtime(weights_file: Path, runtime: str) -> None:
    torch.testing.assert_close(
        made(job(weights_file, "base_whole", runtime)), made(job(weights_file, "base_whole")), atol=1e-4, rtol=0
    )


def test_the_engine_and_tile_by_tile_agree_away_from_seams(weights_file: Path) -> None:
    forced = {"shares": (1.0, 0.0, 0.0)}
    ours, theirs = (made(job(weights_file, what, **forced)) for what in ("routed", "routed_tile_by_tile"))
    assert ours.shape == theirs.shape == (3, 80, 112)
    torch.testing.assert_close(ours[:, 4:16, 4:16], theirs[:, 4:16, 4:16], atol=1e-5, rtol=0)


@pytest.mark.parametrize("tiles", [None, Tiles(32, 2)])
def test_the_tiled_base_approximates_the_whole_image(weights_file: Path, tiles: Tiles | None) -> None:
    tiled, whole = made(job(weights_file, "base_tiled", tiles=tiles)), made(job(weights_file, "base_whole"))
    assert (tiled - whole).abs().mean() < 0.01


def test_the_tile_size_search_returns_at_most_the_image_size(weights_file: Path) -> None:
    way = methods.prepare(job(weights_file, rows.SEARCH))
    way.run()
    found = way.facts()
    assert found["tile"] in (16, 32)
    assert found["batch"] >= 1


def test_the_bicubic_row_uses_the_baseline_of_the_task(weights_file: Path) -> None:
    assert made(job(weights_file, "bicubic")).shape == (3, 80, 112)


def test_forced_shares_include_the_cost_of_the_classifier(weights_file: Path) -> None:
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


def test_a_routed_run_lists_the_time_of_each_part(weights_file: Path) -> None:
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


def test_a_same_size_task_has_no_bicubic_row(tmp_path: Path) -> None:
    same = tiny.write_weights(tmp_path / "same.safetensors", tiny.architecture().replace(task=denoising()))
    with pytest.raises(UsageError, match="bicubic needs a scale above 1"):
        methods.prepare(job(same, "bicubic"))


def denoising() -> object:
    return KNOWN.find("tasks", "denoise").component()
