"""Claims about the names of the rows of a bench."""

from __future__ import annotations

import pytest

from lowvision.bench import rows
from lowvision.bench.rows import Row
from lowvision.errors import LowvisionError, UsageError
from lowvision.plugins import registry

KNOWN = registry.load()


def test_by_default_every_method_is_measured_and_whole_and_routed_in_every_runtime() -> None:
    usual = rows.usual(KNOWN)
    assert {row.method for row in usual} == set(rows.METHODS)
    for method in (rows.WHOLE, rows.ROUTED):
        assert {row.runtime for row in usual if row.method == method} >= set(KNOWN["runtimes"])
    assert {Row(rows.WHOLE, rows.TUNED), Row(rows.WHOLE, rows.COMPILED)} <= set(usual)


def test_a_method_selects_all_its_rows_and_method_in_runtime_one_row() -> None:
    whole = tuple(row for row in rows.usual(KNOWN) if row.method == rows.WHOLE)
    assert rows.parse(["base_whole"], KNOWN) == whole
    assert rows.parse(["routed:openvino", "base_whole:torch", "routed:openvino"], KNOWN) == (
        Row("routed", "openvino"),
        Row("base_whole", "torch"),
    )


def test_row_names_of_runtimes_are_runtimes_with_options() -> None:
    compiled = rows.runtime_of(Row(rows.WHOLE, rows.COMPILED), KNOWN)
    tuned = rows.runtime_of(Row(rows.WHOLE, rows.TUNED), KNOWN)
    assert compiled == tuned.replace(compile=True)
    for name in ("torch", "openvino"):
        halved = rows.runtime_of(Row(rows.ROUTED, f"{name}_bf16"), KNOWN)
        assert halved == KNOWN.find("runtimes", name).component(precision="bf16")


def test_bfloat16_is_measured_if_the_cpu_supports_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for can in (True, False):
        monkeypatch.setattr("lowvision.system.devices.multiplies_bf16", lambda can=can: can)
        halved = {row for row in rows.usual(KNOWN) if row.runtime.endswith(rows.BF16)}
        methods_ = (rows.WHOLE, rows.ROUTED)
        assert halved == (
            {Row(method, f"{name}_bf16") for method in methods_ for name in ("torch", "openvino")} if can else set()
        )


def test_on_an_accelerator_the_runtimes_that_support_it_are_measured() -> None:
    usual = rows.usual(KNOWN, "cuda:0")
    assert {row.runtime for row in usual} == {"torch", rows.TUNED, rows.COMPILED, "torch_bf16"}
    assert {row.method for row in usual} == set(rows.METHODS)
    assert rows.parse(["routed"], KNOWN, "cuda:0") == (Row("routed", "torch"), Row("routed", "torch_bf16"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("route", "no method 'route'"),
        ("routed:opnvino", "did you mean 'openvino'"),
        ("bicubic:openvino", "bicubic runs only in torch"),
        ("routed:torch_tuned", "give routed:torch"),
    ],
)
def test_unknown_rows_are_reported(text: str, reason: str) -> None:
    with pytest.raises(LowvisionError, match=reason) as caught:
        rows.parse([text], KNOWN)
    assert caught.value.exit_code == UsageError.exit_code
