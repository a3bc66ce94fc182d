"""Conformance checks with which plugin authors test their components against lowvision's contracts.

A failed check raises AssertionError with a way out. No check needs pytest, and only `check_plugin` needs the plugin to
be importable.
"""

from __future__ import annotations

from lowvision.testing.backbones import check_backbone, measured_reach
from lowvision.testing.classifiers import check_classifier
from lowvision.testing.datasets import check_dataset
from lowvision.testing.losses import check_loss
from lowvision.testing.metrics import check_metric
from lowvision.testing.observers import check_observer
from lowvision.testing.plugins import check_plugin
from lowvision.testing.reducers import check_reducer
from lowvision.testing.stages import check_stage
from lowvision.testing.subject import PlainTask
from lowvision.testing.tasks import check_task

__all__ = [
    "PlainTask",
    "check_backbone",
    "check_classifier",
    "check_dataset",
    "check_loss",
    "check_metric",
    "check_observer",
    "check_plugin",
    "check_reducer",
    "check_stage",
    "check_task",
    "measured_reach",
]
