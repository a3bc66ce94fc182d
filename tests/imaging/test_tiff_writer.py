"""Claims about written TIFF files: pages with their tags, depth and size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from image_files import frames

from lowvision.imaging import io


def test_every_tiff_page_keeps_its_size_depth_and_tags(tmp_path: Path) -> None:
    pages = [frames()[0], frames(1)[0].astype(np.uint16)[:10] * 257, frames(4)[0][:, :7]]
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for number, page in enumerate(pages):
            writer.write(
                page[..., 0] if page.shape[2] == 1 else page,
                photometric="minisblack" if page.shape[2] == 1 else "rgb",
                extrasamples=["unassalpha"] if page.shape[2] == 4 else None,
                description=f"page {number}",
                software=False,
                metadata=None,
                resolution=(100 + number, 200),
                resolutionunit=3,
                extratags=[(285, 2, 0, f"name {number}", True), (297, 3, 2, (number, 3), True)],
            )
    assert io.count_frames(tmp_path / "a.tif") == 3
    io.write_frames(tmp_path / "b.tif", io.read_frames(tmp_path / "a.tif"))
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        for number, (written, page) in enumerate(zip(file.pages, pages, strict=True)):
            actual = written.asarray()
            np.testing.assert_array_equal(actual if actual.ndim == 3 else actual[..., None], page)
            assert written.tags["ImageDescription"].value == f"page {number}"
            assert written.tags["PageName"].value == f"name {number}"
            assert written.tags["PageNumber"].value == (number, 3)
            assert written.tags["XResolution"].value == (100 + number, 1)
            assert written.tags["ResolutionUnit"].value == 3
