"""Claims about the documents of components and weights files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny

from lowvision.commands.show import descriptions, names, page, request
from lowvision.commands.show.request import ShowRequest
from lowvision.errors import UsageError, WeightsError
from lowvision.plugins import registry

KNOWN = registry.load()


ALL = [(kind, name) for kind, provided in KNOWN.items() for name in provided]


def show(argument: str, *changes: str, size: str | None = None, scale: int | None = None) -> dict[str, Any]:
    """Return the only document about a name."""
    (document,) = names.documents(argument, KNOWN, request.parse(changes, size, scale))
    return document


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_every_registered_component_is_described(kind: str, name: str) -> None:
    entry = KNOWN.find(kind, name)
    document = descriptions.component(entry, kind)
    assert (document["plural"], document["name"], document["version"]) == (kind, name, entry.version)
    assert document["about"]
    assert [option["name"] for option in document["options"]] == list(getattr(entry.component, "model_fields", ()))
    assert all(option["type"] != "anything" for option in document["options"])
    noun = "weights" if document["kind"] == "weights" else f"a {document['kind']}"
    assert page.text([document]).startswith(f"{name}: {noun} of {entry.plugin} (")


def test_attributes_of_a_contract_are_shown() -> None:
    assert show("dncnn")["properties"] == {"multiple_of": 1, "scales": (1,), "trains_all": False}
    assert show("denoise")["properties"] == {"random": True, "margin": 0}


def test_a_weights_file_is_described_by_its_header(weights_file: Path) -> None:
    document = show(str(weights_file))
    architecture = tiny.architecture()
    assert (document["kind"], document["holds"], document["bytes"]) == (
        "weights file",
        "container",
        weights_file.stat().st_size,
    )
    assert document["tile"]["size"] == architecture.tile.size
    assert [branch["fsrcnn"]["channels"] for branch in document["branches"]] == [
        b.channels for b in architecture.branches
    ]  # type: ignore[attr-defined]  # they are FSRCNN
    assert document["classifier"]["parameters"] > 0
    assert document["plugins"] == {"lowvision-framework": registry.load().find("tasks", "sr").version}
    text = page.text([document])
    assert text.startswith(f"{weights_file.name}: a weights file that holds a container\n")
    for options in ({"changes": ("a=1",)}, {"scale": 2}):
        with pytest.raises(UsageError, match="weights"):
            names.documents(str(weights_file), KNOWN, ShowRequest(**options))  # type: ignore[arg-type]  # values of two types


def test_a_file_without_weights_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_text("nothing of the kind")
    with pytest.raises(WeightsError, match="not a complete safetensors file"):
        show(str(tmp_path / "a.safetensors"))
    with pytest.raises(WeightsError):
        show(str(tmp_path))
