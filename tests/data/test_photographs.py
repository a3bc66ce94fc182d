"""Photographs are decoded, shrunk and degraded once; all unusable files are reported at once."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lowvision.data import photographs
from lowvision.errors import DataError
from lowvision.imaging import io
from lowvision.plugins import registry
from lowvision.plugins.folder_dataset import Folder

KNOWN = registry.load()
SR = KNOWN.find("tasks", "sr").component
DENOISE = KNOWN.find("tasks", "denoise").component


def draw(height: int, width: int, dtype=np.uint8, channels: int = 3) -> np.ndarray:
    top = np.iinfo(dtype).max
    ramp = np.linspace(0, top, height * width * channels).reshape(height, width, channels)
    return ramp.astype(dtype)


def put(folder: Path, name: str, pixels: np.ndarray) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    io.write(path, io.Image(pixels))
    return path


def loaded(folder: Path, task, **options):
    return photographs.load(Folder(path=str(folder), **options), task)


def test_gt_is_cropped_to_a_multiple_of_the_scale_and_lq_is_made_by_the_task(tmp_path):
    put(tmp_path, "a.png", draw(41, 50))
    (photograph,) = loaded(tmp_path, SR(scale=4))
    assert photograph.gt.shape == (40, 48, 3)
    assert photograph.lq.shape == (10, 12, 3)
    assert photograph.lq_size == (10, 12)
    expected = SR(scale=4).degrade(io.to_tensor(photograph.gt), None)
    assert np.abs(io.to_uint8(expected).astype(int) - photograph.lq).max() <= 1


def test_a_random_degradation_is_not_cached_and_depends_on_its_seed(tmp_path):
    put(tmp_path, "a.png", draw(20, 20))
    (photograph,) = loaded(tmp_path, DENOISE())
    assert photograph.lq is None
    noisy = [photographs.lq_of(photograph, DENOISE(), seed) for seed in (1, 1, 2)]
    assert noisy[0].equal(noisy[1])
    assert not noisy[0].equal(noisy[2])


def test_downscale_and_scales_give_one_photograph_per_size(tmp_path):
    put(tmp_path, "a.png", draw(80, 120))
    prepared = loaded(tmp_path, SR(scale=2), downscale=2.0, scales=(1.0, 0.5))
    assert [(p.name, p.gt.shape) for p in prepared] == [("a", (40, 60, 3)), ("a@0.5", (20, 30, 3))]


def test_longer_side_shrinks_larger_photographs_only(tmp_path):
    put(tmp_path, "large.png", draw(60, 120))
    put(tmp_path, "small.png", draw(20, 30))
    prepared = loaded(tmp_path, SR(scale=2), longer_side=60)
    assert [p.gt.shape[:2] for p in prepared] == [(30, 60), (20, 30)]


def test_sixteen_bit_photographs_stay_sixteen_bit(tmp_path):
    put(tmp_path, "deep.png", draw(16, 16, np.uint16))
    (photograph,) = loaded(tmp_path, SR(scale=2))
    assert photograph.gt.dtype == photograph.lq.dtype == np.uint16


def test_a_grey_task_gets_luma(tmp_path):
    put(tmp_path, "a.png", draw(16, 16))
    (photograph,) = loaded(tmp_path, SR(scale=2, channels=1))
    assert photograph.gt.shape == (16, 16, 1)


def test_pairs_are_used_unchanged(tmp_path):
    put(tmp_path, "gt/a.png", draw(20, 20))
    put(tmp_path, "lq/a.png", draw(10, 10))
    (photograph,) = loaded(tmp_path, SR(scale=2))
    assert np.array_equal(photograph.lq, draw(10, 10))


def test_a_pair_of_the_wrong_ratio_is_reported_with_both_sizes(tmp_path):
    put(tmp_path, "gt/a.png", draw(20, 20))
    put(tmp_path, "lq/a.png", draw(9, 10))
    with pytest.raises(DataError, match=r"10x9 does not fit gt 20x20; at scale 2 it must be 10x10"):
        loaded(tmp_path, SR(scale=2))


def test_unmatched_pairs_are_reported_with_counts_and_names(tmp_path):
    put(tmp_path, "gt/a.png", draw(20, 20))
    put(tmp_path, "gt/b.png", draw(20, 20))
    put(tmp_path, "lq/a.png", draw(10, 10))
    with pytest.raises(DataError, match=r"(?s)2.*1.*b"):
        loaded(tmp_path, SR(scale=2))


def test_all_damaged_images_are_named_at_once(tmp_path):
    put(tmp_path, "good.png", draw(20, 20))
    whole = put(tmp_path, "cut.png", draw(60, 60)).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(DataError) as error:
        loaded(tmp_path, SR(scale=2))
    assert all(name in str(error.value) for name in ("cut.png", "empty.jpg", "text.png"))
    assert "good.png" not in str(error.value)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied", "a.png"), "a.png: cannot be read: Permission denied; exclude it"),
        (MemoryError(), "a: needs more memory than there is; exclude it, or make it smaller"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "a: needs more memory than there is; .*"),
    ],
)
def test_a_file_that_cannot_be_opened_or_held_in_memory_is_reported_in_one_line(tmp_path, monkeypatch, error, reason):
    put(tmp_path, "a.png", draw(16, 16))
    put(tmp_path, "b.png", draw(16, 18))
    read = photographs.sources.read_rgb

    def failing(path):
        if path.name == "a.png":
            raise error
        return read(path)

    monkeypatch.setattr(photographs.sources, "read_rgb", failing)
    with pytest.raises(DataError, match=f"^{reason}$"):
        loaded(tmp_path, SR(scale=2))
    usable, left_out = photographs.load_usable(Folder(path=str(tmp_path)), SR(scale=2), (DataError,))
    assert [photograph.name for photograph in usable] == ["b"]
    assert len(left_out) == 1


def test_an_error_of_a_task_is_not_reported_as_a_damaged_photograph(tmp_path, monkeypatch):
    put(tmp_path, "a.png", draw(16, 16))
    monkeypatch.setattr(photographs.sources, "read_rgb", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        loaded(tmp_path, SR(scale=2))


def test_processes_prepare_disjoint_shares_of_all_photographs(tmp_path, monkeypatch):
    for n in range(5):
        put(tmp_path, f"{n}.png", draw(16 + n, 16))
    folder = Folder(path=str(tmp_path))
    for process in range(2):
        photographs.prepare(folder, SR(scale=2), (process, 2))

    def never(*_):
        raise AssertionError("decoded twice")

    monkeypatch.setattr(io, "read_rgb", never)
    assert len(photographs.load(folder, SR(scale=2))) == 5


def test_concurrent_decoding_is_limited_to_one_thread_each(tmp_path, monkeypatch):
    monkeypatch.setattr("lowvision.system.cores.usable", lambda: 128)
    assert photographs.decoders() == 16
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "64")
    assert photographs.decoders() == 2
    threads = []

    def photograph(*_):
        threads.append(torch.get_num_threads())
        return photographs.Photograph("a", tmp_path, None, 1)

    monkeypatch.setattr(photographs, "_photograph", photograph)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        listed = SimpleNamespace(photo=None, dataset=SimpleNamespace(scales=(1,)), part=0)
        photographs._each([listed] * 4, None)
        assert threads == [1] * 4
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
