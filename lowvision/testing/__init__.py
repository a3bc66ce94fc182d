"""The conformance kit: checks by which the author of a plugin, in tests of his own, holds it against the contracts.

Each check raises AssertionError, and its message says what to do. None needs pytest, and none needs the plugin to be
installed, except `check_plugin`, which asks an installed or importable module as lowvision does.
"""

from __future__ import annotations

from lowvision.testing.backbones import check_backbone, measured_reach
from lowvision.testing.classifiers import check_classifier
from lowvision.testing.plugins import check_plugin
from lowvision.testing.reducers import check_reducer
from lowvision.testing.subject import PlainTask
from lowvision.testing.tasks import check_task

__all__ = [
    "PlainTask",
    "check_backbone",
    "check_classifier",
    "check_plugin",
    "check_reducer",
    "check_task",
    "measured_reach",
]
