"""A stage finds the results of earlier ones."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from lowvision.errors import RunError
from lowvision.pipeline.stages.job import Job


@pytest.mark.parametrize(
    ("processes", "way_out"),
    [(1, "run again with --restart"), (2, "put the run's folder on a file system that all machines share")],
)
def test_missing_weights_name_the_way_out_for_one_machine_and_for_several(
    processes: int, way_out: str, tmp_path: Path
) -> None:
    job = SimpleNamespace(
        recipe=SimpleNamespace(stages={"base": SimpleNamespace(result="best.safetensors")}),
        folder=tmp_path,
        accelerator=SimpleNamespace(num_processes=processes),
        _cache_shard=(0, 1),
    )
    with pytest.raises(RunError, match=f"best.safetensors: missing; {way_out}"):
        Job.kept(job, "base")  # type: ignore[arg-type]  # the members that it uses
