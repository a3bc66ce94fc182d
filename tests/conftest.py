"""Settings and fixtures of every test run."""

from __future__ import annotations

import gc
import signal

import hypothesis as hypothesis  # before objects are frozen: it looks for those that refer to its sources of randomness
import pytest
import tiny
import torch

# pytest-xdist runs a worker on each core; threads of their own would only get in each other's way.
torch.set_num_threads(1)
# A shell's background jobs ignore Ctrl-C, and so would the commands that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Put the cache of tests into a temporary folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOWVISION_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="module")
def frozen_imports():
    """Exclude everything imported so far from garbage collection, of which Accelerate does one per stage."""
    gc.freeze()


@pytest.fixture(scope="session")
def weights_file(tmp_path_factory):
    """Write a container for RGB x2 to a weights file."""
    return tiny.write_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors", tiny.architecture())
