"""Claims about the restore methods: they restore the same image at the cost that they state."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
import torch
from bench_jobs import job, restored

from lowvision.bench import methods
from lowvision.errors import UsageError
from lowvision.inference import engines


def test_the_engine_and_tile_by_tile_agree_away_from_seams(weights_file: Path) -> None:
    forced = {"shares": (1.0, 0.0, 0.0)}
    by_engine, by_tile = (restored(job(weights_file, name, **forced)) for name in ("routed", "routed_tile_by_tile"))
    assert by_engine.shape == by_tile.shape == (3, 80, 112)
    torch.testing.assert_close(by_engine[:, 4:16, 4:16], by_tile[:, 4:16, 4:16], atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", ["bicubic", "base_whole"])
def test_a_row_is_computed_on_its_device(weights_file: Path, method: str) -> None:
    """On a device without values, which shows where tensors are."""
    assert restored(job(weights_file, method, device="meta")).device.type == "meta"


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


def test_a_single_network_cannot_be_routed(tmp_path: Path) -> None:
    single_network = tiny.write_weights(tmp_path / "alone.safetensors", tiny.architecture().only(-1))
    assert restored(job(single_network, "base_whole")).shape == (3, 80, 112)
    for method_name in ("routed", "routed_tile_by_tile"):
        with pytest.raises(UsageError, match="no classifier"):
            methods.prepare(job(single_network, method_name))
