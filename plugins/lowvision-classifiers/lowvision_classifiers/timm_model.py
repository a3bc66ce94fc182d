"""Any model of timm as a classifier of tiles."""

from __future__ import annotations

import difflib
from typing import Any

import timm
from torch import nn

from lowvision import RecipeError

UNABLE = {
    "drop_path_rate": "has no residual branches to drop; leave drop_path out",
    "output_stride": "has an output stride of its own; leave output_stride out",
    "dynamic_img_size": "takes images of one size alone; take a model for any size",
}
"""What it means when a model does not know an argument, and the way out."""


def create(
    model: str, *, colours: int, classes: int, dropout: float, drop_path: float | None, output_stride: int | None
) -> nn.Module:
    """A model (B,colours,h,w) -> logits (B,classes). Raises RecipeError for what timm does not know."""
    if not timm.is_model(model):
        near = difflib.get_close_matches(model, timm.list_models(), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "see timm.list_models()"
        raise RecipeError(f"classifier: timm has no model named '{model}'; {hint}")
    # Some models refuse an argument that others know, so only those that were given are passed.
    given: dict[str, Any] = {"drop_path_rate": drop_path, "output_stride": output_stride}
    about = timm.get_pretrained_cfg(model)
    if about is not None and about.fixed_input_size:
        given["dynamic_img_size"] = True  # else a transformer takes images of the size that it was made for alone
    try:
        return timm.create_model(
            model,
            pretrained=False,
            in_chans=colours,
            num_classes=classes,
            drop_rate=dropout,
            **{name: value for name, value in given.items() if value is not None},
        )
    except TypeError as error:
        unknown = next((name for name in given if f"'{name}'" in str(error)), None)
        if unknown is None:
            raise
        raise RecipeError(f"classifier: timm's {model} {UNABLE[unknown]}") from None
