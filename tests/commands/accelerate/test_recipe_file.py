"""Claims about the recipe of an acceleration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowvision.commands.accelerate import recipe_file
from lowvision.commands.accelerate.request import AccelerateRequest


def test_the_request_is_read_only_from_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "r.yml"
    path.write_text('# request: {"minutes": 3}\ntask: sr\n')
    assert recipe_file.request_of(path) == {"minutes": 3}
    path.write_text("# request: {\n")
    assert recipe_file.request_of(path) == {}
    path.write_text("task: sr\n")
    assert recipe_file.request_of(path) == {}


@pytest.mark.parametrize("record", ["7", "[1]", "null", '"text"'])
def test_a_record_of_another_kind_is_no_request(tmp_path: Path, record: str) -> None:
    (tmp_path / "r.yml").write_text(f"# request: {record}\n")
    assert recipe_file.request_of(tmp_path / "r.yml") == {}


def test_the_record_of_a_request_is_read_back(tmp_path: Path) -> None:
    request = AccelerateRequest(
        weights=Path("a: b.safetensors"),
        photos=Path("été"),
        output=Path("o.safetensors"),
        students=("carn",),
    )
    (tmp_path / "r.yml").write_text(f"{recipe_file.PREFIX}{json.dumps(request.record())}\n", encoding="utf-8")
    assert recipe_file.request_of(tmp_path / "r.yml") == request.record()


@given(st.floats(0, 100))
def test_a_loss_is_rounded_up_by_less_than_a_thousandth(loss: float) -> None:
    rounded = float(recipe_file.rounded_up(loss))
    assert loss <= rounded + 1e-9
    assert rounded - loss <= 0.0011
