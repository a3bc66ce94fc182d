"""The test file of `lowvision/a/b.py` is `tests/a/test_b.py`; modules without one are listed here, with the reason."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
SHORT = 40
"""Lines up to which a module may be tested with its neighbours."""
ELSEWHERE = {
    "contracts without behaviour of their own": """
        plugins/contracts.py plugins/hookspecs.py plugins/losses.py plugins/metrics.py plugins/observers.py
        plugins/stages.py
    """,
    "arguments of a command, whose work has a file in `commands`; tests/cli runs the commands": """
        cli/accelerate.py cli/accelerate_parameters.py cli/card.py cli/command_group.py cli/evaluate_parameters.py
        cli/restore_parameters.py cli/serve.py commands/serve.py
    """,
    "work of a stage, which needs a run; tests/pipeline/test_run.py and its neighbours run all stages": """
        pipeline/stages/branches.py pipeline/stages/classifier.py pipeline/stages/container.py
        pipeline/stages/context.py pipeline/stages/evaluate.py pipeline/stages/fidelity.py pipeline/stages/joint.py
        pipeline/stages/network.py pipeline/stages/validation.py
    """,
    "run in processes of their own; tests/bench and tests/commands start them": """
        bench/networks.py bench/worker.py commands/cluster_setup.py commands/cluster_worker.py
        commands/evaluate_request.py commands/evaluate_worker.py
    """,
    "one operator each; tests/inference/test_ncnn_graph.py compares every operator with PyTorch": """
        inference/ncnn_context.py inference/ncnn_file.py inference/ncnn_operators.py inference/ncnn_sizes.py
    """,
}
"""Modules whose tests stand in another file, by the reason."""


def modules() -> list[Path]:
    """Return the modules of the core, relative to `lowvision`."""
    found = (path.relative_to(ROOT / "lowvision") for path in (ROOT / "lowvision").rglob("*.py"))
    return sorted(path for path in found if not path.name.startswith("__") and "templates" not in path.parts)


def test_every_module_has_a_test_file_of_its_name_or_a_reason() -> None:
    listed = {name for names in ELSEWHERE.values() for name in names.split()}
    without_file = {
        module.as_posix()
        for module in modules()
        if not (ROOT / "tests" / module.parent / f"test_{module.name}").exists()
    }
    long = {name for name in without_file if len((ROOT / "lowvision" / name).read_text().splitlines()) > SHORT}
    assert sorted(long - listed) == [], "write a test file of that name"
    assert sorted(listed - without_file) == [], "these have a test file, or are no modules: remove them from the list"
