"""lowvision: a plugin-based framework for low-level vision with a classify-then-route container at its core.

The public interface for plugin authors and for programs that restore images
(`lowvision.load(path).restore(array)`). Names are loaded on first access, so `import lowvision` is fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lowvision.commands.hub import from_pretrained as from_pretrained
    from lowvision.commands.hub import push_to_hub as push_to_hub
    from lowvision.commands.python_api import Report as Report
    from lowvision.commands.python_api import evaluate as evaluate
    from lowvision.commands.python_api import run as run
    from lowvision.config.options import Options as Options
    from lowvision.data.pixel_transforms import PixelTransform as PixelTransform
    from lowvision.errors import DataError as DataError
    from lowvision.errors import LowvisionError as LowvisionError
    from lowvision.errors import PluginError as PluginError
    from lowvision.errors import RecipeError as RecipeError
    from lowvision.errors import RunError as RunError
    from lowvision.errors import TrainingError as TrainingError
    from lowvision.errors import UsageError as UsageError
    from lowvision.errors import WeightsError as WeightsError
    from lowvision.imaging.metrics import psnr as psnr
    from lowvision.imaging.resize import resize as resize
    from lowvision.imaging.resize import upsample as upsample
    from lowvision.inference.restorer import Restored as Restored
    from lowvision.inference.restorer import Restorer as Restorer
    from lowvision.inference.restorer import load as load
    from lowvision.models.architecture import BackboneChoice as BackboneChoice
    from lowvision.models.architecture import DatasetChoice as DatasetChoice
    from lowvision.models.architecture import TaskChoice as TaskChoice
    from lowvision.models.wrapped_backbone import WrappedBackbone as WrappedBackbone
    from lowvision.pipeline.stages.context import StageContext as StageContext
    from lowvision.plugins.contracts import Adaptive as Adaptive
    from lowvision.plugins.contracts import Backbone as Backbone
    from lowvision.plugins.contracts import Classifier as Classifier
    from lowvision.plugins.contracts import Dataset as Dataset
    from lowvision.plugins.contracts import EarlyExit as EarlyExit
    from lowvision.plugins.contracts import Format as Format
    from lowvision.plugins.contracts import Part as Part
    from lowvision.plugins.contracts import Photo as Photo
    from lowvision.plugins.contracts import Precision as Precision
    from lowvision.plugins.contracts import Reader as Reader
    from lowvision.plugins.contracts import Recognised as Recognised
    from lowvision.plugins.contracts import Reducer as Reducer
    from lowvision.plugins.contracts import Runtime as Runtime
    from lowvision.plugins.contracts import Skip as Skip
    from lowvision.plugins.contracts import Stored as Stored
    from lowvision.plugins.contracts import Task as Task
    from lowvision.plugins.contracts import Trained as Trained
    from lowvision.plugins.contracts import Weights as Weights
    from lowvision.plugins.hookspecs import hookimpl as hookimpl
    from lowvision.plugins.losses import Critic as Critic
    from lowvision.plugins.losses import ImageLoss as ImageLoss
    from lowvision.plugins.losses import Loss as Loss
    from lowvision.plugins.metrics import Metric as Metric
    from lowvision.plugins.observers import Observer as Observer
    from lowvision.plugins.observers import ObserverOptions as ObserverOptions
    from lowvision.plugins.observers import StopStage as StopStage
    from lowvision.plugins.stages import Stage as Stage
    from lowvision.plugins.stages import Trainable as Trainable
    from lowvision.routing.budget import cost_weight_within as cost_weight_within
    from lowvision.routing.cost import multiply_adds as multiply_adds
    from lowvision.training.core_observers import OptunaPruning as OptunaPruning
    from lowvision.training.stage import TrainingStage as TrainingStage

__version__ = "0.1.0"

_NAMES_IN = {
    "models.architecture": ("BackboneChoice", "DatasetChoice", "TaskChoice"),
    "plugins.contracts": (
        "Adaptive",
        "Backbone",
        "Classifier",
        "Dataset",
        "Format",
        "EarlyExit",
        "Part",
        "Photo",
        "Precision",
        "Reader",
        "Recognised",
        "Reducer",
        "Runtime",
        "Skip",
        "Stored",
        "Task",
        "Trained",
        "Weights",
    ),
    "errors": (
        "DataError",
        "LowvisionError",
        "PluginError",
        "RecipeError",
        "RunError",
        "TrainingError",
        "UsageError",
        "WeightsError",
    ),
    "plugins.hookspecs": ("hookimpl",),
    "commands.python_api": ("Report", "evaluate", "run"),
    "commands.hub": ("from_pretrained", "push_to_hub"),
    "models.wrapped_backbone": ("WrappedBackbone",),
    "plugins.losses": ("Critic", "ImageLoss", "Loss"),
    "plugins.metrics": ("Metric",),
    "plugins.observers": ("Observer", "ObserverOptions", "StopStage"),
    "training.core_observers": ("OptunaPruning",),
    "plugins.stages": ("Stage", "Trainable"),
    "pipeline.stages.context": ("StageContext",),
    "training.stage": ("TrainingStage",),
    "imaging.metrics": ("psnr",),
    "config.options": ("Options",),
    "data.pixel_transforms": ("PixelTransform",),
    "imaging.resize": ("resize", "upsample"),
    "routing.budget": ("cost_weight_within",),
    "routing.cost": ("multiply_adds",),
    "inference.restorer": ("Restored", "Restorer", "load"),
}
_MODULE_OF = {name: f"{__name__}.{module}" for module, names in _NAMES_IN.items() for name in names}

__all__ = ["__version__", *sorted(_MODULE_OF)]  # noqa: PLE0604  # the names are strings, computed once


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'lowvision' has no attribute '{name}'")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
