"""Settings and fixtures of every test run."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import hypothesis as hypothesis  # before objects are frozen: it looks for those that refer to its sources of randomness
import pytest
import tiny
import torch

# pytest-xdist runs a worker on each core; threads of their own would only get in each other's way.
torch.set_num_threads(1)
# A shell's background jobs ignore Ctrl-C, and so would the commands that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


LONG = (
    "commands/test_restore.py",
    "commands/test_restore_cluster.py",
    "scaffold/test_installed.py",
    "test_gallery.py",
    "first_party/test_light.py",
    "first_party/test_efficient.py",
    "pipeline/test_run.py",
    "first_party/test_esrt.py",
    "bench/test_measure.py",
    "pipeline/stages/test_resume.py",
    "inference/test_onnx_graph.py",
    "inference/test_package.py",
    "first_party/test_smsr.py",
    "first_party/test_sr.py",
    "fuzz/test_campaign.py",
)
"""Files that take the longest, in this order: started first, no worker has one of them left alone at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the tests of long files to the front."""
    tests = Path(__file__).parent
    ranks = {tests / name: rank for rank, name in enumerate(LONG)}
    items.sort(key=lambda item: ranks.get(item.path, len(LONG)))


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Put the cache of tests into a temporary folder, one for all workers of pytest-xdist."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOWVISION_CACHE", str(folder / "cache"))
        yield


@pytest.fixture(autouse=True, scope="module")
def frozen_imports():
    """Exclude everything imported so far from garbage collection, of which Accelerate does one per stage."""
    gc.freeze()


@pytest.fixture(scope="session")
def weights_file(tmp_path_factory):
    """Write a container for RGB x2 to a weights file."""
    return tiny.write_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors", tiny.architecture())
