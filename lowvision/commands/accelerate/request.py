"""The arguments of `lowvision accelerate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class AccelerateRequest:
    """Arguments of the command."""

    weights: Path
    """The network to accelerate; an existing file."""
    photos: Path
    """Folder of typical input images of the network."""
    output: Path
    """Weights file to write."""
    minutes: float = 30.0
    """Time to fit into."""
    max_loss: float = 0.3
    """Loss in dB (`restore --max-loss`) at which the result must be faster."""
    downscale: float = 1.0
    """Factor by which the photographs are shrunk first."""
    students: tuple[str, ...] = ()
    """Small networks as in a recipe, or weights files or names of shipped weights; empty: chosen by seconds."""
    runtime: str = "auto"
    """Runtime in which the report compares."""
    runs: Path = Path("runs")
    """Folder of run folders."""
    restart: bool = False
    device: str = "cpu"

    def record(self) -> dict[str, Any]:
        """Return what determines the result, of JSON's types."""
        return {
            "weights": str(self.weights),
            "photos": str(self.photos),
            "minutes": self.minutes,
            "max_loss": self.max_loss,
            "downscale": self.downscale,
            "students": list(self.students),
        }
