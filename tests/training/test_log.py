"""Claims about the log of a run: what is written, and what survives interruptions and damage."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lowvision.training.log import Log, damaged_lines, read_metrics


def quiet(folder: Path, speaks: bool = True) -> Log:
    return Log(folder, speaks, prints=False)


def test_metrics_are_read_as_they_were_measured(tmp_path: Path) -> None:
    log = quiet(tmp_path)
    log.measure("base", 2, {"loss": 0.5})
    log.measure("joint", 1, {"shares": [0.25, 0.75]})
    assert read_metrics(tmp_path) == [
        {"stage": "base", "step": 2, "loss": 0.5},
        {"stage": "joint", "step": 1, "shares": [0.25, 0.75]},
    ]
    assert damaged_lines(tmp_path) == 0


def test_other_processes_write_nothing(tmp_path: Path) -> None:
    log = quiet(tmp_path, speaks=False)
    log.info("a line")
    log.measure("base", 1, {"loss": 0.5})
    log.discard("base", 0)
    with log.progress("base", 3):
        pass
    assert not list(tmp_path.iterdir())
    assert read_metrics(tmp_path) == []


def test_a_resumed_stage_discards_only_its_own_later_steps(tmp_path: Path) -> None:
    log = quiet(tmp_path)
    for stage, step in (("base", 1), ("base", 2), ("joint", 5), ("base", 3)):
        log.measure(stage, step, {"loss": 0.5})
    log.discard("base", after=1)
    assert [(entry["stage"], entry["step"]) for entry in read_metrics(tmp_path)] == [("base", 1), ("joint", 5)]


@pytest.mark.parametrize(
    "line",
    [
        '{"stage": "base", "st',
        "",
        "7",
        "[1]",
        '{"step": 1}',
        '{"stage": "base"}',
        '{"stage": 1, "step": 1}',
        '{"stage": "base", "step": "1"}',
        '{"stage": "base", "step": 1, "loss": "low"}',
        '{"stage": "base", "step": 1, "shares": [0.5, null]}',
        '{"stage": "base", "step": 1, "more": {"a": 1}}',
        "[" * 100_000,
    ],
)
def test_a_damaged_line_is_counted_and_skipped(tmp_path: Path, line: str) -> None:
    log = quiet(tmp_path)
    log.measure("base", 1, {"loss": 0.5})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(line + "\n")
    log.measure("base", 2, {"loss": 0.4})
    assert [entry["step"] for entry in read_metrics(tmp_path)] == [1, 2]
    assert damaged_lines(tmp_path) == 1
    log.discard("base", after=1)
    assert (tmp_path / "metrics.jsonl").read_text() == json.dumps({"stage": "base", "step": 1, "loss": 0.5}) + "\n"


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_bytes_of_any_kind_among_the_metrics_raise_nothing(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(damage + b'\n{"stage": "base", "step": 1}\n')
    assert read_metrics(tmp_path)[-1] == {"stage": "base", "step": 1}


def test_a_message_stands_in_the_file_with_its_time_and_goes_to_the_logger(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="lowvision"):
        quiet(tmp_path).info("base: 100 % of [bold]tiles[/bold]")
    assert caplog.messages == ["base: 100 % of [bold]tiles[/bold]"]
    time, _, line = (tmp_path / "log.txt").read_text().partition(" ")
    assert len(time) == len("12:34:56")
    assert line == "base: 100 % of [bold]tiles[/bold]\n"


def test_a_printed_message_is_not_markup_and_has_no_control_characters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Log(tmp_path, speaks=True).info("a\x1b[31mred [bold]name[/bold]")
    printed = capsys.readouterr().err
    assert "[bold]name[/bold]" in printed
    assert "\x1b" not in printed
