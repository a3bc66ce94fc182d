"""Claims about the pictures of a report."""

from __future__ import annotations

import base64
from pathlib import Path

import torch
from torch import Tensor

from lowvision.imaging import io
from lowvision.report.pictures import MAP_WIDTH, PIECE, shown


def put(folder: Path, **pictures: Tensor) -> None:
    for name, picture in pictures.items():
        io.write(folder / f"{name}.png", io.Image(io.to_uint8(picture)))


def pixels(address: str, folder: Path) -> io.Pixels:
    kind, content = address.split(";base64,")
    path = folder / f"shown.{kind.removeprefix('data:image/')}"
    path.write_bytes(base64.b64decode(content))
    return io.read(path).pixels


def test_the_crop_is_where_base_and_input_differ_most(tmp_path):
    base = torch.zeros(3, 300, 400)
    base[:, 200:280, 240:320] = 1
    put(tmp_path, input=torch.zeros(3, 300, 400), base_whole=base, gt=base)
    pictures = shown(tmp_path, ["input", "base_whole"])
    assert (pixels(pictures.pieces["base_whole"], tmp_path) == 255).all()
    assert (pixels(pictures.pieces["input"], tmp_path) == 0).all()


def test_all_crops_show_one_place_in_order_with_gt_last(tmp_path):
    picture = torch.rand(3, 120, 150)
    put(tmp_path, input=picture, base_whole=picture, routed=picture, gt=picture)
    pictures = shown(tmp_path, ["input", "base_whole", "routed"])
    assert list(pictures.pieces) == ["input", "base_whole", "routed", "gt"]
    assert len(set(pictures.pieces.values())) == 1
    assert pixels(pictures.pieces["gt"], tmp_path).shape == (PIECE, PIECE, 3)


def test_absent_pictures_are_omitted(tmp_path):
    assert shown(tmp_path / "nowhere", ["input"]) == shown(tmp_path, [])
    put(tmp_path, input=torch.rand(3, 100, 100))
    pictures = shown(tmp_path, ["input", "routed"])
    assert list(pictures.pieces) == ["input"]
    assert pictures.map is None


def test_an_image_smaller_than_a_crop_is_shown_whole(tmp_path):
    put(tmp_path, input=torch.rand(3, 20, 30), base_whole=torch.rand(3, 20, 30))
    pictures = shown(tmp_path, ["input", "base_whole"])
    assert pixels(pictures.pieces["input"], tmp_path).shape == (20, 30, 3)


def test_grey_images_are_shown(tmp_path):
    put(tmp_path, input=torch.rand(1, 90, 90), base_whole=torch.rand(1, 90, 90))
    assert len(shown(tmp_path, ["input", "base_whole"]).pieces) == 2


def test_a_wide_map_is_shrunk(tmp_path):
    put(tmp_path, map=torch.rand(3, 500, 2 * MAP_WIDTH))
    address = shown(tmp_path, []).map
    assert address
    assert pixels(address, tmp_path).shape == (250, MAP_WIDTH, 3)


def test_input_and_result_are_compared_as_a_whole_if_both_exist(tmp_path):
    put(tmp_path, input=torch.zeros(3, 300, 2000), routed=torch.ones(3, 300, 2000))
    pictures = shown(tmp_path, ["input", "routed"], has_whole=True)
    assert pixels(pictures.after, tmp_path).shape == (135, MAP_WIDTH, 3)
    assert (pixels(pictures.after, tmp_path) == 255).all()
    assert (pixels(pictures.before, tmp_path) == 0).all()
    assert shown(tmp_path, ["input", "routed"]).before is None
    assert shown(tmp_path, ["input"], has_whole=True).before is None
