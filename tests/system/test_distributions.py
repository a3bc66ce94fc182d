"""Claims about the versions of installed distributions."""

from __future__ import annotations

import numpy

from lowvision.system.distributions import installed_version


def test_an_installed_distribution_has_its_version() -> None:
    assert installed_version("numpy") == numpy.__version__


def test_a_distribution_that_is_not_installed_has_none() -> None:
    assert installed_version("no-such-distribution-anywhere") is None
