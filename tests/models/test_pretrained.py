"""Claims about weights that plugins ship: how a name is resolved, and which are the default."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowvision import Weights, WeightsError, hookimpl
from lowvision.errors import UsageError
from lowvision.models import pretrained
from lowvision.plugins.entry_points import Plugin
from lowvision.plugins.registry import Registry

HERE = Path(__file__)


class Large(Weights):
    """Weights for prints."""

    default = True

    def path(self) -> Path:
        return HERE


class MissingFile(Weights):
    """Weights whose file is missing."""

    def path(self) -> Path:
        return HERE.with_name("gone.safetensors")


@hookimpl
def lowvision_weights() -> dict[str, type[Weights]]:
    return {"acme-x4": Large, "acme-lost": MissingFile}


KNOWN = Registry([Plugin(__name__, "acme", "1.0")])


def test_an_argument_is_a_file_or_a_name_of_shipped_weights(tmp_path: Path) -> None:
    assert pretrained.find(tmp_path, KNOWN) == tmp_path
    assert pretrained.find(Path("acme-x4"), KNOWN) == HERE


def test_an_unknown_argument_suggests_the_nearest_name() -> None:
    with pytest.raises(
        WeightsError, match=r"acme-x2: no such file, and no weights of that name; did you mean 'acme-x4'\?"
    ):
        pretrained.find(Path("acme-x2"), KNOWN)
    with pytest.raises(WeightsError, match="plugins ship none"):
        pretrained.find(Path("acme-x4"), Registry([]))


def test_a_missing_shipped_file_is_reported_with_its_plugin() -> None:
    with pytest.raises(WeightsError, match=r"gone\.safetensors: is missing, although .* ships it as 'acme-lost'"):
        pretrained.find(Path("acme-lost"), KNOWN)


def test_the_weights_marked_as_default_are_used_without_a_name() -> None:
    assert pretrained.default(KNOWN) == HERE
    with pytest.raises(UsageError, match=r"which weights[?] give -m FILE; a recipe makes your own"):
        pretrained.default(Registry([]))


def test_two_default_weights_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MissingFile, "default", True)
    with pytest.raises(UsageError, match=r"which weights[?] give -m NAME, one of acme-lost, acme-x4"):
        pretrained.default(KNOWN)
