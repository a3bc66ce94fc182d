"""Claims about the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lowvision import __version__, cli, images
from lowvision.errors import DataError
from lowvision.hookspecs import MENUS
from lowvision.images import Image

RECIPE = """\
task: sr
backbone: carn
reduce: {channels: [36, 52, 64]}
classifier: class_module
data: {train: ./photos, valid: ./photos, test: ./photos}
stages: {base: {steps: 10}}
"""


class Said:
    """What a command printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str):
        self.code, self.out, self.err = code, out, err


Say = Callable[..., Said]
"""Says words to the command line."""


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["lowvision", *words])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        printed = capsys.readouterr()
        return Said(int(stopped.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "r.yml"
    path.write_text(RECIPE)
    return path


def imports(*words: str) -> set[str]:
    """The modules that a command has imported when it is done."""
    program = (
        "import sys; from lowvision import cli\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], check=True, capture_output=True, text=True)
    return set(done.stderr.split())


def test_check_finds_nothing_wrong_with_a_good_recipe(say: Say, recipe: Path) -> None:
    said = say("check", str(recipe))
    assert (said.code, said.out, said.err) == (0, f"{recipe}: nothing wrong\n", "")


def test_check_tells_every_fault_without_a_traceback(say: Say, recipe: Path) -> None:
    said = say("check", str(recipe), "sede=1", "stages.base.steps=0")
    assert said.code == 2
    assert said.out == ""
    assert said.err.splitlines() == [
        "command line: stages.base.steps: must be at least 1, not 0",
        "command line: sede: unknown key (did you mean 'seed'?)",
    ]


def test_check_takes_overrides_and_prints_a_recipe_that_checks(say: Say, recipe: Path) -> None:
    resolved = say("check", str(recipe), "stages.base.steps=7", "--resolved").out
    assert "steps: 7" in resolved
    recipe.write_text(resolved)
    assert say("check", str(recipe), "--resolved").out == resolved


def test_a_recipe_that_is_not_there_is_told(say: Say) -> None:
    said = say("check", "nope.yml")
    assert (said.code, said.err) == (2, "nope.yml: no such file\n")


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["lowvision", "--debug", "check", "nope.yml"])
    with pytest.raises(Exception, match=r"nope\.yml"):
        cli.main()


@pytest.mark.parametrize(
    ("raised", "code", "err"), [(DataError("no image"), 1, "no image\n"), (KeyboardInterrupt(), 130, "")]
)
def test_exit_codes(say: Say, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int, err: str) -> None:
    def fail() -> None:
        raise raised

    monkeypatch.setattr("lowvision.registry.load", fail)
    said = say("plugins")
    assert (said.code, said.err) == (code, err)


def test_wrong_words_are_a_usage_error(say: Say) -> None:
    assert say("chekc").code == 2
    assert say("check").code == 2
    said = say("ls", "tsks")
    assert said.code == 2
    assert said.err == f"no menu 'tsks'; there are {', '.join(MENUS)}\n"


def test_ls_lists_a_menu(say: Say) -> None:
    lines = say("ls", "backbones").out.splitlines()
    assert lines[0] == "backbones:"
    assert any(line.split()[0] == "carn" and line.endswith("(lowvision-sr)") for line in lines[1:])


def test_listings_are_json_too(say: Say) -> None:
    menus = json.loads(say("ls", "--json").out)
    assert "carn" in [entry["name"] for entry in menus["backbones"]]
    plugins = json.loads(say("plugins", "--json").out)
    assert {"name", "distribution", "version", "provides", "broken"} == plugins[0].keys()
    assert json.loads(say("schema").out)["$defs"]["backbones.carn"]


def test_restore_wants_weights_and_says_where_from(say: Say) -> None:
    said = say("restore", "photo.png", "-o", "out")
    assert said.code == 2
    assert "lowvision run" in said.err
    assert "safetensors" in said.err


def test_restore_tells_wrong_words_before_anything_is_written(say: Say, weights_file: Path, tmp_path: Path) -> None:
    words = ("restore", str(tmp_path / "none.png"), "-o", str(tmp_path / "out"))
    assert say(*words, "-m", str(tmp_path / "none.safetensors")).err.endswith("none.safetensors: no such file\n")
    said = say(*words, "-m", str(weights_file))
    assert (said.code, said.err) == (2, f"{tmp_path / 'none.png'}: no such file or folder\n")
    assert say(*words, "-m", str(weights_file), "--format", "gif").code == 2
    assert not (tmp_path / "out").exists()


def test_restore_prints_a_line_or_a_document(say: Say, weights_file: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    images.write(tmp_path / "in" / "a b é.png", Image(np.zeros((8, 9, 3), dtype=np.uint8)))
    words = ("restore", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "-m", str(weights_file), "--map")
    said = say(*words)
    assert said.code == 0
    assert said.out.startswith("1 restored, 0 skipped, 0 failed; branches ")
    assert "1/1 " in said.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a b é.png", "a b é.map.png"}
    (tmp_path / "in" / "bad.png").touch()
    said = say(*words, "--json", "--skip-existing", "--format", "png", "--quality", "50", "--strip-metadata")
    assert said.code == 1
    assert json.loads(said.out)["total"].items() >= {"restored": 0, "skipped": 1, "failed": 1}.items()


def test_bench_tells_wrong_words_before_anything_is_measured(say: Say, weights_file: Path, tmp_path: Path) -> None:
    for words, told in (
        (("--size", "960"), "--size 960"),
        (("--rows", "route"), "no way 'route'"),
        (("--shares", "50,50"), "2 values for 3 branches"),
    ):
        said = say("bench", str(weights_file), *words)
        assert (said.code, said.out) == (2, "")
        assert told in said.err
    assert say("bench", str(tmp_path / "none.safetensors")).code == 1


def test_the_cache_tells_its_size_and_is_cleared(say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWVISION_CACHE", str(tmp_path / "cache"))
    assert say("cache").out.startswith(f"{tmp_path / 'cache'}: 0.00 GiB of at most")
    assert say("cache", "clear").out == f"{tmp_path / 'cache'}: 0.00 GiB freed\n"


def test_the_version_is_told(say: Say) -> None:
    assert say("--version").out == f"lowvision {__version__}\n"


def test_help_imports_nothing_heavy() -> None:
    assert not imports("--help") & {"torch", "pydantic", "numpy", "yaml", "rich.console", "lowvision.registry"}


@pytest.mark.parametrize("words", [("check", "{recipe}"), ("ls",), ("plugins",), ("schema",)])
def test_checking_and_listing_import_no_torch(words: tuple[str, ...], recipe: Path) -> None:
    heavy = {"torch", "accelerate", "albumentations", "timm", "cv2"}
    assert not imports(*(word.format(recipe=recipe) for word in words)) & heavy


def test_the_module_is_the_command(recipe: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "lowvision", "check", str(recipe)], check=False, capture_output=True)
    assert done.returncode == 0
