"""Arguments and options of `lowvision evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Photos = Annotated[
    list[str],
    typer.Argument(
        metavar="PHOTOS...",
        help="Folders of ground truth, or of pairs, e.g. with subfolders gt/ and lq/; or data sets as in a recipe, "
        "e.g. samples_test or '{zip: {path: photos.zip}}'.",
    ),
]
Downscale = Annotated[float, typer.Option(min=1, help="Factor by which photographs are shrunk first.")]
LongerSide = Annotated[
    int | None, typer.Option(min=1, help="Maximum longer side in pixels; larger photographs are shrunk first.")
]
Budgets = Annotated[
    list[float] | None,
    typer.Option("--budget", help="Also measure routing within this share of the base's cost, e.g. 0.6; repeatable."),
]
Compare = Annotated[
    str | None,
    typer.Option(
        metavar="PHOTOS",
        help="Compare with classifiers that need no training, fitted on this folder or data set.",
    ),
]
OtherTask = Annotated[
    str | None,
    typer.Option(
        metavar="TASK",
        help="Task to measure, of the same scale, e.g. '{denoise: {sigma: 15}}'. Default: the trained task.",
    ),
]
Protocol = Annotated[
    Literal["basicsr", "paper"],
    typer.Option(
        help="Luma of grey files if the network restores RGB: basicsr converts them first, paper uses grey values."
    ),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(metavar="METRIC", help="Measure by this metric, e.g. ms_ssim; repeatable. Default: psnr and ssim."),
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", help="Folder for the report and its pictures. Default: none.")
]
NoGt = Annotated[
    bool,
    typer.Option(
        "--no-gt", help="The folders hold degraded images only; give a --metric without a reference, e.g. noise."
    ),
]
Processes = Annotated[
    int | None,
    typer.Option(min=1, help="Number of processes that share the photographs. Default: 1.", show_default=False),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Share the photographs among the workers of a Ray cluster: local, or ray://HOST:PORT. --processes is "
        "then the number of workers, by default one per GPU or machine, --threads the cores of each.",
    ),
]
