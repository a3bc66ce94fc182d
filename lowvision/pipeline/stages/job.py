"""The context of a stage: recipe, devices, run folder, data, and the weights of earlier stages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from accelerate import Accelerator

from lowvision.data import augment, photographs
from lowvision.data.photographs import Photograph, TooSmallError
from lowvision.data.tiles import Pool, Samples, TileExtractor, too_small
from lowvision.errors import DataError, RunError
from lowvision.models import pretrained
from lowvision.models.architecture import Architecture
from lowvision.models.weights import Provenance
from lowvision.pipeline import teachers
from lowvision.plugins.registry import Registry
from lowvision.recipe.models import Recipe
from lowvision.training.log import Log
from lowvision.training.options import Fit

CALIBRATED = "calibrate/container.safetensors"
"""Path of the calibrated container, with its curve, in a run folder."""
SET = "calibrate/network.safetensors"
"""Path of the calibrated single network, with its operating points, in a run folder."""


@dataclass(frozen=True)
class Job:
    """One run of a recipe."""

    recipe: Recipe
    registry: Registry
    accelerator: Accelerator
    folder: Path
    """The run folder; each stage writes to its own subfolder."""
    log: Log

    @property
    def architecture(self) -> Architecture:
        return self.recipe.architecture

    @property
    def provenance(self) -> Provenance:
        """Description and license for the headers of weights files."""
        return Provenance(about=self.recipe.about, license=self.recipe.license)

    def photographs(self, split: str) -> tuple[Photograph, ...]:
        """Load the photographs of `train`, `valid` or `test`, decoded by all processes together; empty if not given."""
        dataset = getattr(self.recipe.data, split)
        if dataset is None:
            return ()
        shard = self.accelerator.process_index, self.accelerator.num_processes
        skips_damaged = split == "train" and self.recipe.data.on_error == "skip"
        skip = (DataError,) if skips_damaged else (TooSmallError,)
        photographs.prepare(dataset, self.recipe.task, shard, skip)
        self.accelerator.wait_for_everyone()
        loaded, left_out = photographs.load_usable(dataset, self.recipe.task, skip)
        if left_out:
            reasons = "; ".join(map(str, left_out))
            self.log.info(f"data.{split}: {len(left_out)} photographs are skipped: {reasons}")
        return self._with_teachers(loaded, shard) if split == "train" and self.recipe.data.teachers else loaded

    def _with_teachers(self, loaded: tuple[Photograph, ...], shard: tuple[int, int]) -> tuple[Photograph, ...]:
        """The photographs with their teachers' outputs as ground truth, made by all processes together."""
        self.log.info(f"data.train: ground truth is the mean output of {', '.join(self.recipe.data.teachers)}")
        averaged = teachers.load(self.recipe.data.teachers, self.recipe.task, self.registry)
        averaged.targets(loaded[shard[0] :: shard[1]])
        self.accelerator.wait_for_everyone()
        return averaged.targets(loaded)

    def extractor(self, split: str, size: int | None = None) -> TileExtractor:
        """Return the tile extractor of `train` or `valid`; log the photographs that are too small.

        size: height and width of tiles in LQ pixels. Default: those of the recipe.
        """
        loaded = self.photographs(split)
        size = size or self.recipe.tile.size
        small = too_small(loaded, size)
        if small:
            self.log.info(f"data.{split}: skipped, smaller than a tile: {', '.join(small)}")
        return TileExtractor(tuple(p for p in loaded if p.name not in small), self.recipe.task, size)

    def samples(self, extractor: TileExtractor, pool: Pool, purpose: str, candidates: int = 1) -> Samples:
        """Return an endless sequence of augmented tiles of a pool; `purpose` seeds the random draw."""
        return Samples(extractor, pool, augment.build(self.recipe.data.augment), self.recipe.seed, purpose, candidates)

    def weights_path(self, name: str) -> Path:
        """Resolve a weights file of a recipe: a path, or the name of weights that a plugin ships."""
        return pretrained.find(Path(name), self.registry)

    def kept(self, stage: str, folder: str | None = None) -> Path | None:
        """Return the path of the weights that a stage wrote; None if the stage is not in the recipe.

        folder: subfolder of the run. Default: the name of the stage.
        """
        options: Fit | None = getattr(self.recipe.stages, stage)
        if options is None:
            return None
        path = self.folder / (folder or stage) / f"{options.keep}.safetensors"
        if not path.exists():
            raise RunError(f"{path}: missing; run again with --restart")
        return path

    def container_weights(self) -> Path | None:
        """Return the path of the container of the last stage that trained or calibrated it."""
        if self.recipe.stages.calibrate and self.recipe.classifier:
            return self.folder / CALIBRATED
        return self.kept("joint") or self.kept("classifier")

    def base_weights(self) -> Path | None:
        """Return the path of the trained base; None if there is none."""
        if self.recipe.stages.base:
            return self.kept("base")
        weights = self.recipe.branches[-1].weights
        return self.weights_path(weights) if weights else None

    def branch_weights(self, k: int) -> Path | None:
        """Return the path of the weights of branch k before joint training; None if there are none."""
        if self.recipe.stages.branches:
            return self.kept("branches", f"branches/{k}")
        branch = self.recipe.branches[k]
        if branch.weights:
            return self.weights_path(branch.weights)
        return self.base_weights() if branch.backbone == self.recipe.base else None
