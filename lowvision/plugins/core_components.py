"""The hooks of the components that the core provides itself: the defaults of recipes."""

from __future__ import annotations

from lowvision.config.options import Options
from lowvision.plugins.core_metrics import lowvision_metrics as lowvision_metrics
from lowvision.plugins.folder_dataset import lowvision_datasets as lowvision_datasets
from lowvision.plugins.l1_loss import lowvision_losses as lowvision_losses


def name_of(component: Options) -> str:
    """Return the name of a component of the core, for schemas, which have no registry."""
    provided = {**lowvision_datasets(), **lowvision_losses(), **lowvision_metrics()}
    return next(name for name, kind in provided.items() if kind is type(component))
