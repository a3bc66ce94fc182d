"""Claims about lowvision-datasets: photographs in archives and databases equal those of files."""

from __future__ import annotations

import pickle
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import check_output
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from lowvision import DataError, Dataset
from lowvision.data import photographs
from lowvision.imaging import io
from lowvision.plugins import registry
from lowvision.testing import check_dataset, check_plugin
from lowvision_datasets import HDF5, LMDB, Arrow, Zip

SR = registry.load().find("tasks", "sr").component(scale=2)
IMAGES = {name: np.random.default_rng(n).integers(0, 256, (16, 20, 3), dtype=np.uint8) for n, name in enumerate("abc")}
HALVES = {name: pixels[::2, ::2].copy() for name, pixels in IMAGES.items()}


def png(pixels: np.ndarray) -> bytes:
    return io.encoded(io.Image(pixels), ".png")


def in_zip(path: Path, folders: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for folder, images in folders.items():
            for name, pixels in images.items():
                archive.writestr(f"{folder}{name}.png", png(pixels))
        archive.writestr("README.txt", "no image")


def in_lmdb(path: Path, images: Mapping[str, np.ndarray]) -> None:
    lmdb = pytest.importorskip("lmdb")
    with lmdb.open(str(path), map_size=2**24) as environment, environment.begin(write=True) as transaction:
        for name, pixels in images.items():
            transaction.put(name.encode(), png(pixels))


def zipped(folder: Path) -> Dataset:
    in_zip(folder / "set.zip", {"": IMAGES})
    return Zip(path=str(folder / "set.zip"))


def zipped_pairs(folder: Path) -> Dataset:
    in_zip(folder / "set.zip", {"HR/": IMAGES, "LR/": HALVES})
    return Zip(path=str(folder / "set.zip"), gt="HR", lq="LR")


def lmdb(folder: Path) -> Dataset:
    in_lmdb(folder / "set.lmdb", IMAGES)
    return LMDB(path=str(folder / "set.lmdb"))


def lmdb_pairs(folder: Path) -> Dataset:
    in_lmdb(folder / "gt.lmdb", IMAGES)
    in_lmdb(folder / "lq.lmdb", HALVES)
    return LMDB(path=str(folder / "gt.lmdb"), lq=str(folder / "lq.lmdb"))


def hdf5(folder: Path) -> Dataset:
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "set.h5", "w") as file:
        for name, pixels in IMAGES.items():
            file[f"photos/{name}"] = pixels
    return HDF5(path=str(folder / "set.h5"), gt="photos")


def hdf5_pairs(folder: Path) -> Dataset:
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "set.h5", "w") as file:
        file["gt"] = np.stack(list(IMAGES.values()))
        file["lq"] = np.stack(list(HALVES.values()))
    return HDF5(path=str(folder / "set.h5"), gt="gt", lq="lq")


def parquet(folder: Path) -> Dataset:
    pyarrow, writer = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")

    column = [{"bytes": png(pixels), "path": f"{name}.png"} for name, pixels in IMAGES.items()]
    writer.write_table(pyarrow.table({"image": column[:2]}), folder / "train-0.parquet")
    writer.write_table(pyarrow.table({"image": column[2:]}), folder / "train-1.parquet")
    return Arrow(path=str(folder))


def arrow_pairs(folder: Path) -> Dataset:
    pyarrow = pytest.importorskip("pyarrow")

    table = pyarrow.table({"hr": list(map(png, IMAGES.values())), "lr": list(map(png, HALVES.values()))})
    with pyarrow.ipc.new_stream(str(folder / "data-0.arrow"), table.schema) as writer:
        writer.write_table(table)
    return Arrow(path=str(folder), gt="hr", lq="lr")


ALONE: tuple[Callable[[Path], Dataset], ...] = (zipped, lmdb, hdf5, parquet)
PAIRS: tuple[Callable[[Path], Dataset], ...] = (zipped_pairs, lmdb_pairs, hdf5_pairs, arrow_pairs)


def test_the_plugin_registers_its_data_sets() -> None:
    assert check_plugin("lowvision_datasets") == {"datasets": ["arrow", "hdf5", "lmdb", "zip"]}


@pytest.mark.parametrize("make", [*ALONE, *PAIRS], ids=lambda make: make.__name__)
def test_every_data_set_passes_its_check(make: Any, tmp_path: Path) -> None:
    check_dataset(make(tmp_path))


@pytest.mark.parametrize("make", ALONE, ids=lambda make: make.__name__)
def test_photographs_equal_those_of_the_files(make: Any, tmp_path: Path) -> None:
    loaded = photographs.load(make(tmp_path), SR)
    assert [photograph.gt.tolist() for photograph in loaded] == [pixels.tolist() for pixels in IMAGES.values()]


@pytest.mark.parametrize("make", ALONE, ids=lambda make: make.__name__)
def test_degraded_images_need_no_ground_truth(make: Any, tmp_path: Path) -> None:
    dataset = make(tmp_path).replace(has_gt=False)
    loaded = photographs.load(dataset, SR)
    assert [photograph.lq.tolist() for photograph in loaded] == [pixels.tolist() for pixels in IMAGES.values()]
    assert all(photo.gt is None for photo in dataset.photos())
    check_dataset(dataset)
    with pytest.raises(ValidationError, match="has_gt: false takes all images as degraded ones; omit lq"):
        dataset.replace(lq="lq")


@pytest.mark.parametrize("make", PAIRS, ids=lambda make: make.__name__)
def test_pairs_equal_those_of_the_files(make: Any, tmp_path: Path) -> None:
    loaded = photographs.load(make(tmp_path), SR)
    for photograph, gt, lq in zip(loaded, IMAGES.values(), HALVES.values(), strict=True):
        assert np.array_equal(photograph.gt, gt)
        assert photograph.lq is not None
        assert np.array_equal(photograph.lq, lq)


@pytest.mark.parametrize("make", ALONE, ids=lambda make: make.__name__)
def test_photographs_can_be_selected_and_pickled(make: Any, tmp_path: Path) -> None:
    dataset = make(tmp_path)
    (photo,) = dataset.replace(only=(dataset.photos()[1].name,)).photos()
    again = pickle.loads(pickle.dumps(photo))
    assert again == photo
    assert str(tmp_path) in str(photo.gt)


def test_a_damaged_file_and_a_missing_one_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.zip").write_bytes(b"PK no zip")
    with pytest.raises(DataError, match=r"bad.zip: cannot be read as Zip: File is not a zip file"):
        Zip(path=str(tmp_path / "bad.zip")).photos()
    with pytest.raises(DataError, match=r"none.zip: no such file or folder"):
        Zip(path=str(tmp_path / "none.zip")).photos()


def test_pairs_without_a_counterpart_are_named(tmp_path: Path) -> None:
    in_zip(tmp_path / "set.zip", {"HR/": IMAGES, "LR/": {"a": HALVES["a"]}})
    with pytest.raises(DataError, match="'b' and 1 more are not in both gt and lq"):
        Zip(path=str(tmp_path / "set.zip"), gt="HR", lq="LR").photos()


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    dataset = parquet(tmp_path)
    with pytest.raises(DataError, match="has no column 'hr'; there are image"):
        dataset.replace(gt="hr").photos()


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowvision_datasets.options.find_spec", lambda name: None)
    with pytest.raises(
        ValidationError, match=r"needs lmdb, which is not installed; pip install 'lowvision-framework\[lmdb\]'"
    ):
        LMDB(path="any")
    Zip(path="any")


def test_listing_the_plugin_imports_no_library() -> None:
    program = "import sys, lowvision_datasets as p; p.lowvision_datasets(); print(*{'lmdb', 'h5py'} & {*sys.modules})"
    assert check_output([sys.executable, "-c", program], text=True).strip() == ""
