"""Data sets whose photographs are stored in one file: zip archives, LMDB, HDF5, and tables of Arrow or Parquet."""

from __future__ import annotations

from collections.abc import Mapping

from lowvision import Dataset, hookimpl
from lowvision_datasets.options import HDF5, LMDB, Arrow, Zip


@hookimpl
def lowvision_datasets() -> Mapping[str, type[Dataset]]:
    return {"zip": Zip, "lmdb": LMDB, "hdf5": HDF5, "arrow": Arrow}
