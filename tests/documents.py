"""Small report documents for tests."""

from __future__ import annotations

from typing import Any


def measured(psnr: float, **more: Any) -> dict[str, Any]:
    """Return a row as the evaluation writes it."""
    return {"psnr_rgb@crop4": psnr, "psnr_y@crop4": psnr + 1.5, "ssim_y@crop4": 0.8, **more}


def document(branches: int = 3, name: str = "bird", **more: dict[str, Any]) -> dict[str, Any]:
    """Return a report of one set with one image; 0 branches mean a base without container. more: additional rows."""
    rows = {
        "input": measured(26.0),
        "base_whole": measured(27.5, seconds=0.31, gmac=2.0, share_of_base_whole=1.0),
        "base_tiled": measured(27.4, seconds=0.42, gmac=2.4, share_of_base_whole=1.2, share_of_base_tiled=1.0),
    }
    if branches:
        spent = {"seconds": 0.35, "gmac": 1.8, "share_of_base_whole": 0.9, "share_of_base_tiled": 0.75}
        rows["routed"] = measured(27.38, shares=[1 / branches] * branches, **spent)
        rows["random"] = measured(27.1, **spent)
    rows |= {f"branch_{k}": measured(26.5 + k / 10) for k in range(branches)} | more
    images = [{"name": name, "height": 480, "width": 640, **rows}]
    return {"schema": 1, "task": {"sr": {"scale": 4}}, "sets": [{"name": "birds", "images": images, "mean": rows}]}


def without_seconds(value: Any) -> Any:
    """Return a document without the measured times."""
    if isinstance(value, dict):
        return {key: without_seconds(each) for key, each in value.items() if key != "seconds"}
    return [without_seconds(each) for each in value] if isinstance(value, list) else value
