"""Two small folders of photographs, and a data set of both, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lowvision.imaging import io
from lowvision.plugins.folder_dataset import Folder
from lowvision.plugins.mixed_dataset import Mixed


def write_two_folders(tmp_path: Path) -> list[Path]:
    """Write two folders: one black photograph of 40x40 pixels, and two white ones of 24x24."""
    for name, value, side in (("dark/a", 0, 40), ("bright/a", 255, 24), ("bright/b", 255, 24)):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        io.write(path, io.Image(np.full((side, side, 3), value, np.uint8)))
    return [tmp_path / "dark", tmp_path / "bright"]


def mixed(folders: list[Path], **options: Any) -> Mixed:
    return Mixed(of=tuple(Folder(path=str(folder)) for folder in folders), **options)
