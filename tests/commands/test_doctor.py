"""Claims about `lowvision doctor`: each problem is found, and reported with a way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import distributions
import pytest

from lowvision.commands import doctor

Install = Callable[..., None]
GOOD = """
from lowvision import Dataset, hookimpl

class Album(Dataset):
    def photos(self):
        return ()

@hookimpl
def lowvision_datasets():
    return {"patient_album": Album}
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Write the metadata of an installed distribution, and a module that it names as a plugin."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(
        name: str, module: str = "", source: str = "", requires: tuple[str, ...] = (), group: str = "lowvision"
    ) -> None:
        distributions.install(tmp_path, name, module, module.removeprefix("patient_"), group=group, requires=requires)
        if module:
            (tmp_path / f"{module}.py").write_text(source)

    return write


def reported_problem(part: str) -> dict[str, str]:
    """Return the only problem whose text contains `part`."""
    (problem,) = [problem for problem in doctor.document()["problems"] if part in problem["problem"]]
    return problem


def test_doctor_describes_the_whole_installation() -> None:
    document = doctor.document()
    names = {dependency["name"] for dependency in document["dependencies"]}
    assert {"torch", "pydantic", "openvino"} <= names
    assert not {"ruff", "pytest"} & names
    assert document["cores"]["all"] >= document["cores"]["usable"] >= 1
    assert document["devices"][0] == "cpu"
    assert document["runtimes"]["torch"] is None
    assert any(plugin.startswith("lowvision-sr ") for plugin in document["plugins"])
    text = doctor.text(document)
    assert "runtime torch: ready" in text
    assert text.endswith("nothing wrong") == (not document["problems"])


def test_an_entry_point_in_a_similar_group_is_reported(install: Install) -> None:
    install("patient-album", "patient_album", GOOD, group="lowvision.plugins")
    problem = reported_problem("of patient-album is in group 'lowvision.plugins', so patient_album is not loaded")
    assert problem["solution"].startswith("write [project.entry-points.lowvision] in its pyproject.toml")


def test_the_unrelated_distribution_lowvision_is_reported(install: Install) -> None:
    install("lowvision")
    assert reported_problem("'lowvision' 1.0, an unrelated project")["solution"].startswith(
        "pip uninstall lowvision, then pip "
    )


def test_two_distributions_of_opencv_are_reported(install: Install) -> None:
    install("opencv-python")
    install("opencv-contrib-python")
    way_out = reported_problem("opencv-python and opencv-contrib-python are both installed")["solution"]
    assert way_out.startswith(
        "pip uninstall opencv-python-headless opencv-python opencv-contrib-python, then pip install"
    )


def test_two_distributions_with_one_plugin_are_reported(install: Install) -> None:
    install("patient-a", "patient_twin", GOOD)
    install("patient-b", "patient_twin", GOOD)
    problem = reported_problem("patient-a and patient-b both install the plugin patient_twin")
    assert problem["solution"] == "pip uninstall patient-b, then reinstall patient-a"


def test_a_broken_plugin_is_reported(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("patient-c", "patient_broken", "import no_such_package_anywhere")
    monkeypatch.setenv("LOWVISION_STRICT", "1")  # which keeps other commands from answering
    problem = reported_problem("plugin patient-broken (from patient-c) failed to load: ModuleNotFoundError")
    assert problem["solution"].endswith("pip uninstall patient-c")
    text = doctor.text(doctor.document())
    assert "LOWVISION_STRICT=1" in text
    assert "    update it or what it imports, or pip uninstall patient-c" in text.splitlines()


def test_a_name_of_two_plugins_is_reported(install: Install) -> None:
    install("patient-d", "patient_one", GOOD)
    install("patient-e", "patient_two", GOOD)
    problem = reported_problem(
        "dataset 'patient_album' is claimed by patient-one (from patient-d) and patient-two (from pat"
    )
    assert "LOWVISION_PLUGINS" in problem["solution"]


def test_excluded_plugins_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWVISION_PLUGINS", "sr,runtimes")
    document = doctor.document()
    assert [plugin.split()[0] for plugin in document["plugins"]] == [
        "lowvision",
        "lowvision-stages",
        "lowvision-observers",
        "lowvision-runtimes",
        "lowvision-sr",
    ]
    assert "lowvision-denoise" in document["left_out"]
    assert "left out by LOWVISION_PLUGINS: " in doctor.text(document)


@pytest.mark.parametrize(
    ("variable", "value", "problem_text"),
    [
        ("LOWVISION_PLUGINS", "sr,xyz", "LOWVISION_PLUGINS: no plugin 'xyz'; there are "),
        ("LOWVISION_STRICT", "yes", "LOWVISION_STRICT is 'yes'"),
        ("LOWVISION_CACHE_LIMIT", "much", "LOWVISION_CACHE_LIMIT is 'much'; give a number of GiB"),
        ("LOWVISION_CACHE", "FILE/cache", "cache: the cache cannot be written"),
    ],
)
def test_an_invalid_environment_variable_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, problem_text: str
) -> None:
    (tmp_path / "FILE").touch()
    monkeypatch.setenv(variable, value.replace("FILE", str(tmp_path / "FILE")))
    assert variable in reported_problem(problem_text)["solution"]


def test_a_missing_or_outdated_dependency_is_reported(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    requires = (
        "numpy>=999",
        "no-such-thing>=1",
        "no-such-extra>=1; extra == 'fast'",
        "pydantic>=999; extra == 'fast'",
        "no-such-tool; extra == 'dev'",
        "no-such-platform; sys_platform == 'nowhere'",
        "pluggy>=1",
    )
    install("patient-framework", requires=requires)
    monkeypatch.setattr(doctor, "DISTRIBUTION", "patient-framework")
    assert (
        reported_problem("no-such-thing is not installed; required is no-such-thing>=1")["solution"]
        == "pip install 'no-such-thing>=1'"
    )
    assert reported_problem("numpy ")["problem"].endswith("is installed; required is numpy>=999")
    assert reported_problem("pydantic ")["solution"] == "pip install 'pydantic>=999'"
    document = doctor.document()
    assert [dependency["name"] for dependency in document["dependencies"]][2:] == [
        "no-such-extra",
        "pydantic",
        "pluggy",
    ]
    assert not [problem for problem in document["problems"] if "no-such-extra" in problem["problem"]]


def test_a_framework_that_is_not_installed_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "DISTRIBUTION", "no-such-framework")
    assert reported_problem("no-such-framework is not installed")["solution"]
    assert doctor.text(doctor.document()).startswith("lowvision is not installed, Python ")


def test_a_pytorch_that_cannot_be_imported_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> Any:
        raise OSError("libtorch_cpu.so: cannot open shared object file")

    monkeypatch.setattr(doctor, "import_module", fail)
    assert reported_problem("PyTorch cannot be imported: OSError: libtorch_cpu.so")["solution"].startswith(
        "pip install"
    )
