"""What every stage of a run is given: the recipe, the devices, the folder, the data, and what earlier stages left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from accelerate import Accelerator

from lowvision.data import augment, photographs
from lowvision.data.photographs import Photograph
from lowvision.data.tiles import Pool, Samples, TileExtractor, too_small
from lowvision.errors import RunError
from lowvision.models import pretrained
from lowvision.models.architecture import Architecture
from lowvision.models.weights import Provenance
from lowvision.pipeline import teachers
from lowvision.plugins.registry import Registry
from lowvision.recipe.models import Recipe
from lowvision.training.log import Log
from lowvision.training.options import Fit

CALIBRATED = "calibrate/container.safetensors"
"""Where the stage `calibrate` leaves the container, with its curve, in a run's folder."""
SET = "calibrate/network.safetensors"
"""Where it leaves a single network, with what it may be set to."""


@dataclass(frozen=True)
class Job:
    """One run, as a stage sees it."""

    recipe: Recipe
    registry: Registry
    accelerator: Accelerator
    folder: Path
    """The folder of the run; a stage writes into a folder of its own below it."""
    log: Log

    @property
    def architecture(self) -> Architecture:
        return self.recipe.architecture

    @property
    def provenance(self) -> Provenance:
        """What the weights of this run tell of themselves."""
        return Provenance(about=self.recipe.about, license=self.recipe.license)

    def photographs(self, split: str) -> tuple[Photograph, ...]:
        """The photographs of `train`, `valid` or `test`, decoded by all processes together; none if not given."""
        dataset = getattr(self.recipe.data, split)
        if dataset is None:
            return ()
        share = self.accelerator.process_index, self.accelerator.num_processes
        photographs.prepare(dataset, self.recipe.task, share)
        self.accelerator.wait_for_everyone()
        loaded = photographs.load(dataset, self.recipe.task)
        return self._taught(loaded, share) if split == "train" and self.recipe.data.teachers else loaded

    def _taught(self, loaded: tuple[Photograph, ...], share: tuple[int, int]) -> tuple[Photograph, ...]:
        """The photographs with their teachers' outputs as ground truth, made by all processes together."""
        self.log.say(f"data.train: ground truth is the mean output of {', '.join(self.recipe.data.teachers)}")
        averaged = teachers.load(self.recipe.data.teachers, self.recipe.task, self.registry)
        averaged.targets(loaded[share[0] :: share[1]])
        self.accelerator.wait_for_everyone()
        return averaged.targets(loaded)

    def extractor(self, split: str) -> TileExtractor:
        """Cuts tiles from the photographs of `train` or `valid`; tells which of them are too small."""
        found = self.photographs(split)
        size = self.recipe.tile.size
        small = too_small(found, size)
        if small:
            self.log.say(f"data.{split}: smaller than a tile, left out: {', '.join(small)}")
        return TileExtractor(tuple(p for p in found if p.name not in small), self.recipe.task, size)

    def samples(self, extractor: TileExtractor, pool: Pool, purpose: str, candidates: int = 1) -> Samples:
        """An endless sequence of augmented tiles of a pool, drawn for that purpose."""
        return Samples(extractor, pool, augment.build(self.recipe.data.augment), self.recipe.seed, purpose, candidates)

    def named(self, word: str) -> Path:
        """The weights file that a recipe means: a path, or a name of weights that a plugin carries."""
        return pretrained.find(Path(word), self.registry)

    def kept(self, stage: str, folder: str | None = None) -> Path | None:
        """The weights that a stage of this run left for the next ones; None where it is not in the recipe.

        folder: below the run's, where it is not the stage's name.
        """
        options: Fit | None = getattr(self.recipe.stages, stage)
        if options is None:
            return None
        path = self.folder / (folder or stage) / f"{options.keep}.safetensors"
        if not path.exists():
            raise RunError(f"{path} is missing; run again with --restart")
        return path

    def container_weights(self) -> Path | None:
        """The container as the last stage that trained or calibrated it left it, as a file."""
        if self.recipe.stages.calibrate and self.recipe.classifier:
            return self.folder / CALIBRATED
        return self.kept("joint") or self.kept("classifier")

    def base_weights(self) -> Path | None:
        """The trained base, as a file."""
        if self.recipe.stages.base:
            return self.kept("base")
        weights = self.recipe.branches[-1].weights
        return self.named(weights) if weights else None

    def branch_weights(self, k: int) -> Path | None:
        """The newest weights of branch k before the container is trained as a whole, as a file."""
        if self.recipe.stages.branches:
            return self.kept("branches", f"branches/{k}")
        branch = self.recipe.branches[k]
        if branch.weights:
            return self.named(branch.weights)
        return self.base_weights() if branch.backbone == self.recipe.base else None
