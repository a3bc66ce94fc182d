"""Any timm model as a classifier of tiles."""

from __future__ import annotations

import difflib
from typing import Any

import timm
from torch import nn

from lowvision import RecipeError

UNSUPPORTED = {
    "drop_path_rate": "has no residual branches to drop; leave drop_path out",
    "output_stride": "has a fixed output stride; leave output_stride out",
    "dynamic_img_size": "accepts a single image size; choose a model that accepts any size",
}
"""Error message for each argument that a model does not accept."""


def create(
    model: str, *, colours: int, classes: int, dropout: float, drop_path: float | None, output_stride: int | None
) -> nn.Module:
    """Create a model (B,colours,h,w) -> logits (B,classes). Raises RecipeError for an unknown name or option."""
    if not timm.is_model(model):
        close = difflib.get_close_matches(model, timm.list_models(), n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "see timm.list_models()"
        raise RecipeError(f"classifier: timm has no model named '{model}'; {hint}")
    # Some models reject arguments that others accept, so only those that are set are passed.
    arguments: dict[str, Any] = {"drop_path_rate": drop_path, "output_stride": output_stride}
    config = timm.get_pretrained_cfg(model)
    if config is not None and config.fixed_input_size:
        arguments["dynamic_img_size"] = True  # by default a transformer accepts only the image size it was built for
    try:
        return timm.create_model(
            model,
            pretrained=False,
            in_chans=colours,
            num_classes=classes,
            drop_rate=dropout,
            **{name: value for name, value in arguments.items() if value is not None},
        )
    except TypeError as error:
        rejected = next((name for name in arguments if f"'{name}'" in str(error)), None)
        if rejected is None:
            raise
        raise RecipeError(f"classifier: timm's {model} {UNSUPPORTED[rejected]}") from None
