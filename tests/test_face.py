"""Claims about the public names of `import lowvision`."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import lowvision


def test_every_public_name_can_be_imported() -> None:
    assert all(getattr(lowvision, name) is not None for name in lowvision.__all__)


def test_no_public_name_is_also_a_module() -> None:
    # Importing such a module would put it in the place of the function.
    modules = {module.name for module in pkgutil.iter_modules(lowvision.__path__)}
    assert not modules & set(lowvision.__all__)


def test_contracts_hooks_and_errors_import_without_torch() -> None:
    program = (
        "import sys, lowvision; lowvision.Task, lowvision.hookimpl, lowvision.DataError; print('torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
