"""Claims about the command line as a whole: exit codes, errors, what is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.command_result import RunCommand, imports
from lowvision import __version__
from lowvision.cli import main
from lowvision.cli.command_group import COMMANDS
from lowvision.errors import DataError
from lowvision.plugins import entry_points


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["lowvision", "--debug", "check", "nope.yml"])
    with pytest.raises(Exception, match=r"nope\.yml"):
        main()


@pytest.mark.parametrize(
    ("raised", "code", "err"), [(DataError("no image"), 1, "no image\n"), (KeyboardInterrupt(), 130, "interrupted\n")]
)
def test_each_error_type_has_its_exit_code(
    run_command: RunCommand, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int, err: str
) -> None:
    def fail() -> None:
        raise raised

    monkeypatch.setattr("lowvision.plugins.registry.load", fail)
    result = run_command("plugins")
    assert (result.code, result.err) == (code, err)


def test_invalid_arguments_are_a_usage_error(run_command: RunCommand) -> None:
    assert run_command("chekc").code == 2
    assert run_command("check").code == 2


def test_the_version_is_printed(run_command: RunCommand) -> None:
    assert run_command("--version").out == f"lowvision {__version__}\n"


def test_help_imports_nothing_heavy() -> None:
    assert not imports("--help") & {"torch", "pydantic", "numpy", "yaml", "rich.console", "lowvision.plugins.registry"}


@pytest.mark.parametrize("arguments", [("check", "{recipe}"), ("ls",), ("plugins",), ("schema",)])
def test_checking_and_listing_import_no_torch(arguments: tuple[str, ...], recipe: Path) -> None:
    heavy = {"torch", "accelerate", "albumentations", "timm", "cv2"}
    assert not imports(*(argument.format(recipe=recipe) for argument in arguments)) & heavy


def test_listing_reads_no_yaml_and_validates_no_component() -> None:
    program = (
        "import contextlib, io, sys; from lowvision import cli; from lowvision.plugins import registry\n"
        "sys.argv = ['lowvision', 'ls']\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): cli.main()\n"
        "entries = [entry for kind in registry.load().values() for entry in kind.values()]\n"
        "print(len(entries), 'yaml' in sys.modules)\n"
        "print(*(entry.name for entry in entries if entry.component.__pydantic_complete__))"
    )
    variables = {**os.environ, entry_points.LIMIT: "sr,search,runtimes"}
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, env=variables)
    first, validated = done.stdout.split("\n")[:2]
    count, reads_yaml = first.split()
    assert int(count) > 20
    assert (reads_yaml, validated) == ("False", "")


def test_a_command_imports_no_other_command() -> None:
    imported = imports("plugins")
    files = {place.partition(".")[0] for place in COMMANDS}
    assert {file for file in files if f"lowvision.cli.{file}" in imported} == {"plugins"}


def test_python_m_lowvision_equals_the_command(recipe: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "lowvision", "check", str(recipe)], check=False, capture_output=True)
    assert done.returncode == 0


def test_shell_completion_lists_commands_and_kinds() -> None:
    def completed(typed: str, at: int) -> list[str]:
        variables = {"_LOWVISION_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(at)}
        program = "import sys; sys.argv[0] = 'lowvision'; from lowvision.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **variables},
            check=False,
            capture_output=True,
            text=True,
        )
        return done.stdout.split()

    assert completed("lowvision pl", 1) == ["plugins"]
    assert completed("lowvision ls rec", 2) == ["recipes"]
