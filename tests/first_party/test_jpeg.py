"""Claims about lowvision-jpeg; the reference is Pillow's encoder and decoder."""

from __future__ import annotations

import json
import sys
from io import BytesIO
from pathlib import Path
from subprocess import check_output
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from lowvision import DataError, Task
from lowvision.data import photographs
from lowvision.imaging import io
from lowvision.plugins import registry
from lowvision.recipe import reading
from lowvision.testing import check_task
from lowvision_jpeg import UNIT, Deblocking
from lowvision_jpeg.coding import MAX_SIDE, compressed
from lowvision_samples import SamplesTest

RECIPE = Path(__file__).parents[2] / "recipes" / "deblock_dncnn.yml"
ANY = torch.Generator()


def photograph(height: int = 48, width: int = 64) -> Tensor:
    """Return a crop (3,height,width) of a photograph, in [0,1]."""
    cat = SamplesTest().photos()[-1].gt
    return io.to_tensor(io.read_rgb(cat)[60 : 60 + height, 100 : 100 + width])


def error(lq: Tensor, gt: Tensor) -> float:
    return (lq - gt).square().mean().item()


def by_pillow(gt: Tensor, quality: int, subsampling: int) -> Tensor:
    pixels = gt.mul(255).round().byte().permute(1, 2, 0).numpy()
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return io.to_tensor(np.asarray(Image.open(file)))


@pytest.mark.parametrize(
    "task",
    [
        Deblocking(),
        Deblocking(quality=40, subsampling="4:4:4"),
        Deblocking(quality=(10, 40)),
        Deblocking(quality=(5, 5), subsampling="4:2:2"),
    ],
    ids=repr,
)
def test_the_task_passes_its_check(task: Task) -> None:
    check_task(task)


@pytest.mark.parametrize("quality", [5, 20, 80])
@pytest.mark.parametrize(("subsampling", "pillow"), [("4:4:4", 0), ("4:2:2", 1), ("4:2:0", 2)])
def test_compression_equals_that_of_pillow(quality: int, subsampling: Any, pillow: int) -> None:
    gt = photograph()
    ours = Deblocking(quality=quality, subsampling=subsampling).degrade(gt, ANY)
    difference = (ours - by_pillow(gt, quality, pillow)).mul(255).abs()
    # Both are libjpeg; their inverse transforms may round one level apart.
    assert difference.max() <= 2
    assert difference.mean() < 0.1


def test_the_result_has_8_bit_values() -> None:
    levels = Deblocking().degrade(photograph(), ANY) * 255
    assert torch.allclose(levels, levels.round(), atol=1e-4)


def test_red_stays_red() -> None:
    red = torch.tensor([1.0, 0.0, 0.0])[:, None, None].expand(3, 16, 16)
    assert (Deblocking(quality=90).degrade(red, ANY) - red).abs().max() < 0.02


def test_higher_quality_and_full_chroma_have_smaller_errors() -> None:
    gt = photograph()
    qualities = [error(Deblocking(quality=q).degrade(gt, ANY), gt) for q in (5, 10, 20, 40, 80)]
    assert qualities == sorted(qualities, reverse=True)
    colours = [error(Deblocking(quality=90, subsampling=s).degrade(gt, ANY), gt) for s in ("4:2:0", "4:2:2", "4:4:4")]
    assert colours == sorted(colours, reverse=True)


def test_the_block_grid_may_be_shifted() -> None:
    gt = photograph()
    framed = torch.nn.functional.pad(gt[None], (5, 0, 11, 0), mode="replicate")[0]
    assert torch.equal(compressed(gt, 10, "4:2:0", top=11, left=5), compressed(framed, 10, "4:2:0")[:, 11:, 5:])
    assert not torch.equal(compressed(gt, 10, "4:2:0", top=11, left=5), compressed(gt, 10, "4:2:0"))


def test_a_range_draws_quality_and_grid_offset_per_tile() -> None:
    gt, generator = photograph(32, 32), torch.Generator().manual_seed(0)
    task = Deblocking(quality=(10, 40))
    errors = [error(task.degrade(gt, generator), gt) for _ in range(60)]
    best, worst = (error(Deblocking(quality=q).degrade(gt, ANY), gt) for q in (40, 10))
    assert min(errors) < 1.2 * best
    assert max(errors) > 0.8 * worst
    one_quality = Deblocking(quality=(10, 10))
    drawn = {tuple(one_quality.degrade(gt, generator).flatten().tolist()) for _ in range(40)}
    assert len(drawn) > 30  # of UNIT * UNIT places
    assert UNIT == 16


def test_only_a_range_is_random() -> None:
    assert not Deblocking(quality=10).random
    assert Deblocking(quality=(10, 10)).random


def test_whole_photographs_are_compressed_once_and_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWVISION_CACHE", str(tmp_path / "cache"))
    (tmp_path / "photos").mkdir()
    io.write(tmp_path / "photos" / "one.png", io.Image(io.to_pixels(photograph())))
    known = registry.load().find("datasets", "folder").component(path=str(tmp_path / "photos"))
    (fixed,) = photographs.load(known, Deblocking(quality=10))
    (drawn,) = photographs.load(known, Deblocking(quality=(10, 20)))
    assert drawn.lq is None
    assert fixed.lq is not None
    assert torch.equal(io.to_tensor(fixed.lq), Deblocking(quality=10).degrade(io.to_tensor(fixed.gt), ANY))


@pytest.mark.parametrize("quality", [0, 101, 10.0, (40, 10), (10,), "10", True])
def test_impossible_qualities_are_refused(quality: Any) -> None:
    with pytest.raises(ValidationError, match="quality"):
        Deblocking(quality=quality)


def test_unknown_subsampling_and_another_scale_are_refused() -> None:
    with pytest.raises(ValidationError, match="subsampling"):
        Deblocking(subsampling="4:1:1")  # type: ignore[arg-type]  # that is the claim
    with pytest.raises(ValidationError, match="scale"):
        Deblocking(scale=2)  # type: ignore[arg-type]  # that is the claim


def test_an_image_too_large_for_jpeg_is_reported() -> None:
    with pytest.raises(DataError, match=f"70000x1 cannot be JPEG: a side has at most {MAX_SIDE} pixels"):
        Deblocking().degrade(torch.zeros(1, 1, 70_000), ANY)
    assert Deblocking().degrade(torch.zeros(1, 1, MAX_SIDE), ANY).shape == (1, 1, MAX_SIDE)


def test_the_recipe_runs_from_base_to_report(tmp_path: Path) -> None:
    tiny.write_photographs(tmp_path / "photos")
    assert tiny.in_a_child(tiny.run, RECIPE, tmp_path / "run", *tiny.shortened(tmp_path / "photos")) == 0
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["task"] == {"jpeg": {"scale": 1, "channels": 3, "quality": 10, "subsampling": "4:2:0"}}
    assert report["sets"][0]["mean"]["routed"]["gmac"] > 0
    assert {"input", "base_whole", "routed", "branch_2"} <= report["sets"][0]["mean"].keys()


def test_the_recipe_equals_that_of_denoising() -> None:
    known = registry.load()
    ours, theirs = (reading.read(path, known) for path in (RECIPE, RECIPE.with_name("denoise_dncnn.yml")))
    assert ours.replace(task=theirs.task) == theirs


def test_listing_the_plugin_imports_neither_torch_nor_opencv() -> None:
    program = (
        "import sys, lowvision_jpeg as p; p.lowvision_tasks(); p.Deblocking(); print({'torch', 'cv2'} & {*sys.modules})"
    )
    assert check_output([sys.executable, "-c", program], text=True).strip() == "set()"
