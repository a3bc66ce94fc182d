"""Claims about the arguments of `lowvision restore` as one value."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lowvision.commands.restore_request import RestoreOptions, RestoreRequest
from lowvision.errors import UsageError


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to a folder with an image, a file of another kind, and an earlier route map."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for name in ("a.jpg", "notes.txt"):
        Path("in", name).write_bytes(b"")


def request(**changes: Any) -> RestoreRequest:
    return RestoreRequest(**{"patterns": ("in",), "output": Path("out"), "weights": Path("w.safetensors"), **changes})


def test_the_plan_uses_suffixes_and_counts_other_files() -> None:
    ignored: Counter[str] = Counter()
    (planned,) = request(suffix=".png", name_suffix="_x4").plan(ignored)
    assert (planned.path, planned.result) == (Path("in/a.jpg"), Path("out/a_x4.png"))
    assert ignored == {".txt": 1}


def test_files_in_place_of_streams_are_called_by_a_dash() -> None:
    (planned,) = request(streams=frozenset({Path("in/a.jpg")})).plan()
    assert planned.names == ("-", "out/a.jpg", "out/a.map.png")
    (planned,) = request(streams=frozenset({Path("out/a.jpg")})).plan()
    assert planned.names[:2] == ("in/a.jpg", "-")


def test_route_maps_are_planned_if_the_options_request_them() -> None:
    Path("in/a.map.png").write_bytes(b"")
    options = RestoreOptions(draws_maps=True)
    with pytest.raises(UsageError, match=r"a\.map\.png"):
        request(output=Path("in"), suffix=".png", options=options).plan()


@pytest.mark.parametrize("changes", [{"remote_output": "memory://out"}, {"patterns": ("memory://in",)}])
def test_times_are_kept_of_local_files_only(changes: dict[str, Any]) -> None:
    pytest.importorskip("fsspec").filesystem("memory").pipe("/in/a.png", b"x")
    assert len(request(**changes).plan()) == 1
    with pytest.raises(UsageError, match=r"^--keep-times: needs local inputs and results; omit it"):
        request(**changes, options=RestoreOptions(keeps_times=True)).plan()
    assert request(options=RestoreOptions(keeps_times=True)).plan()


@pytest.mark.parametrize("suffix", ["/x", "/../../x", "_a/b"])
def test_a_suffix_that_is_a_path_is_refused(suffix: str) -> None:
    with pytest.raises(UsageError, match=f"^--suffix {suffix}: is a path"):
        request(name_suffix=suffix)


def test_a_suffix_for_standard_output_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^--suffix _x4: standard output has no name"):
        request(name_suffix="_x4", output=Path("-"))
