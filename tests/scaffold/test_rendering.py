"""Claims about what `lowvision new-plugin` writes, and about names that it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from lowvision import resize, scaffold
from lowvision.errors import UsageError
from lowvision.imaging import io
from lowvision.plugins import registry
from lowvision.scaffold.rendering import ENDING, TEMPLATES

KNOWN = registry.load()
EVERY_KIND = pytest.mark.parametrize("kind", scaffold.KINDS)


def rendered(folder: Path, kind: str = "backbone", distribution: str = "lowvision-two-words") -> Path:
    return scaffold.render(distribution, kind, folder, KNOWN).folder


@EVERY_KIND
def test_a_rendered_distribution_is_complete(kind: str, tmp_path: Path) -> None:
    folder = rendered(tmp_path, kind)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files >= {
        "pyproject.toml",
        "README.md",
        ".gitignore",
        ".github/workflows/test.yml",
        "lowvision_two_words/__init__.py",
        "lowvision_two_words/recipes/two_words.yml",
        "tests/test_lowvision_two_words.py",
    }
    assert not any("$" in (folder / path).read_text() for path in files)
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "lowvision-two-words"
    assert project["entry-points"]["lowvision"] == {"two_words": "lowvision_two_words"}
    assert "license" not in project  # the author's choice
    # CI checks the export of networks, which is skipped without these libraries.
    assert "lowvision-framework[onnxruntime]>=0.1" in project["optional-dependencies"]["test"]
    assert [path.name for path in tmp_path.iterdir()] == ["lowvision-two-words"]


def test_the_backbone_learns_from_its_initial_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = (rendered(tmp_path) / "lowvision_two_words" / "network.py").read_text()
    names: dict[str, Any] = {"__name__": "network"}
    exec(source, names)  # not installed
    network = names["Network"](colours=3, scale=2, channels=32, layers=6, skip="bicubic")
    lq = resize(gt := photographed(8), (24, 24))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(60):
        loss = l1_loss(network(lq), gt)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def photographed(tiles: int) -> Tensor:
    """Return tiles (N,3,48,48) of a sample photograph."""
    (photo, *_) = KNOWN["datasets"]["samples_train"].component().photos()
    image = io.to_tensor(io.read_rgb(photo.gt))
    return torch.stack([image[:, 48 * n : 48 * n + 48, 48 * n : 48 * n + 48] for n in range(1, tiles + 1)])


def test_rendered_files_pass_ruff(tmp_path: Path) -> None:
    for kind in scaffold.KINDS:
        rendered(tmp_path, kind, f"lowvision-acme-{kind}")
    ruff = [sys.executable, "-m", "ruff"]
    rules = ["--isolated", "--line-length", "120", "--no-cache", "--config", "src = ['lowvision-acme-*']"]
    for arguments in (["check", *rules, "--select", "E,F,W,I,B,UP,RUF", "."], ["format", *rules, "--diff", "."]):
        done = subprocess.run([*ruff, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_every_file_in_the_readme_table_exists(tmp_path: Path) -> None:
    for kind in scaffold.KINDS:
        folder = rendered(tmp_path, kind, f"lowvision-acme-{kind}")
        lines = (folder / "README.md").read_text().splitlines()
        rows = [line.split("`")[1] for line in lines if line.startswith("| `")]
        assert rows
        assert all((folder / row).is_file() for row in rows)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("acme", "e.g. lowvision-acme"),
        ("lowvision-", "lower-case words"),
        ("lowvision_acme", "e.g. lowvision-acme"),
        ("lowvision-Acme Net", "e.g. lowvision-acme-net"),
        ("lowvision-4x", "lower-case words"),
        ("lowvision-acme-", "e.g. lowvision-acme"),
        ("../lowvision-acme", "is no valid plugin name"),
    ],
)
def test_an_invalid_name_is_reported_with_a_valid_one(name: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=hint):
        rendered(tmp_path, distribution=name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        ("backbone", "lowvision-carn", "backbone 'carn': exists already, provided by lowvision-sr"),
        ("task", "lowvision-sr", "task 'sr': exists already"),
        ("backbone", "lowvision-reducers", "package 'lowvision_reducers': is installed already"),
        ("backbone", "lowvision-none", "its class name None"),
        ("task", "lowvision-task", "its class name Task"),
        ("reducer", "lowvision-backbone", "its class name Backbone"),
    ],
)
def test_a_name_that_would_not_work_is_refused(kind: str, name: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"{reason}.*; choose another name"):
        rendered(tmp_path, kind, name)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "lowvision-two-words").mkdir()
    (tmp_path / "lowvision-two-words" / "mine").write_text("mine")
    with pytest.raises(UsageError, match="exists already; give another name, or --output"):
        rendered(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["lowvision-two-words", "mine"]


def test_a_failed_write_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be written: (Not a directory|File exists)"):
        rendered(tmp_path / "file")

    def full(*names: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(UsageError, match="lowvision-two-words: cannot be written: No space left on device"):
        rendered(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_every_template_is_a_readable_file() -> None:
    files = [path for path in TEMPLATES.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {ENDING}
    assert {path.name for path in TEMPLATES.iterdir()} == {"every", *scaffold.KINDS}
