"""Arguments of `lowvision restore`: inputs, weights, and options of restoring and writing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lowvision.commands import inputs as input_files
from lowvision.commands.inputs import Input
from lowvision.errors import UsageError
from lowvision.imaging.target_size import TargetSize
from lowvision.models.calibration import Speed
from lowvision.plugins.contracts import Precision
from lowvision.system import locations

OWN_SIZE = TargetSize()
"""The size that the network gives."""


@dataclass(frozen=True, kw_only=True)
class RestoreOptions:
    """Options of restoring and writing images."""

    budget: float | None = None
    """Share of the base's cost to spend at most; None: no limit."""
    max_loss: float | None = None
    """PSNR in dB to lose at most, by the curve of the weights; None: no limit. Excludes a budget."""
    worst: float | None = None
    """PSNR in dB that all but one percent of the tiles may lose, by the curve; None: no limit. Excludes a budget."""
    speed: Speed | None = None
    """Name of a point on the curve; excludes a budget and a loss. None: `balanced` if the weights have a curve."""
    quality: int = 95
    """Quality of JPEG and WebP, 1..100."""
    strips_metadata: bool = False
    """Leave out EXIF, ICC and all other metadata."""
    keeps_times: bool = False
    """Give results the modification times of their inputs."""
    only_first_frame: bool = False
    """Restore only the first frame of animations and the first page of documents."""
    restores_alpha: bool = False
    """Restore alpha by the network; otherwise resample it."""
    background: tuple[int, int, int] = (255, 255, 255)
    """Colour behind transparent pixels in JPEG, 0..255 per channel."""
    size: TargetSize = OWN_SIZE
    """Size of the results; the network's own by default."""
    passes: int = 1
    """Number of times that the network is applied."""
    draws_maps: bool = False
    """Write a route map next to each result."""
    skips_existing: bool = False
    """Skip inputs whose result exists."""
    largest: float | None = None
    """Largest number of pixels of an input; None: no limit."""


@dataclass(frozen=True, kw_only=True)
class RestoreRequest:
    """Arguments of the command."""

    patterns: tuple[str, ...]
    """Files, folders and patterns of the inputs."""
    output: Path
    """Folder, or path of the only result."""
    remote_output: str | None = None
    """URL that takes the place of `output`."""
    suffix: str | None = None
    """File name ending of the results, e.g. `.png`; None: that of each input."""
    name_suffix: str = ""
    """Text before the ending of the results' names, e.g. `_x4`."""
    weights: Path
    """Weights file, or folder of an exported package."""
    options: RestoreOptions = RestoreOptions()
    device: str = "auto"
    runtime: str | Mapping[str, Any] = "auto"
    """Name, or name with options."""
    precision: Precision = "f32"
    streams: frozenset[Path] = frozenset()
    """Files that stand for standard input and output; messages call them `-`."""

    def __post_init__(self) -> None:
        """Raise UsageError for a suffix that cannot be a part of a name."""
        if Path(f"name{self.name_suffix}").name != f"name{self.name_suffix}":
            raise UsageError(
                f"--suffix {self.name_suffix}: is a path, but becomes a part of each result's name; use -o for folders"
            )
        if self.name_suffix and str(self.output) == "-":
            raise UsageError(f"--suffix {self.name_suffix}: standard output has no name; omit --suffix")

    def plan(self, ignored: Counter[str] | None = None) -> tuple[Input, ...]:
        """Find the inputs and the paths of their results; count the other files by suffix. Raises UsageError."""
        maps = self.options.draws_maps
        output = locations.find(self.remote_output) if self.remote_output else self.output
        planned = input_files.plan(self.patterns, output, self.suffix, maps, self.name_suffix, ignored)
        if self.options.keeps_times and any(image.source or image.target for image in planned):
            raise UsageError("--keep-times: needs local inputs and results; omit it")
        return tuple(replace(image, streams=self.streams) for image in planned) if self.streams else planned
