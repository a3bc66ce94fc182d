"""The context of a stage: recipe, devices, run folder, data, and the weights of earlier stages."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from accelerate import Accelerator
from torch import Tensor, nn

from lowvision.data import augment, photographs
from lowvision.data.photographs import Photograph, TooSmallError
from lowvision.data.tiles import Pool, Samples, TileExtractor, too_small
from lowvision.data.undegraded import Undegraded, degraded
from lowvision.data.weighted import weighted
from lowvision.errors import DataError, RunError, summary_of
from lowvision.models import deployment, pretrained, weights
from lowvision.models.architecture import Architecture
from lowvision.models.weights_header import Provenance
from lowvision.pipeline import distillation, losses, run_folder, teachers
from lowvision.pipeline.distillation import TeacherTargets
from lowvision.plugins.registry import Registry
from lowvision.plugins.stages import Trainable
from lowvision.recipe.models import Recipe
from lowvision.training import checkpoint
from lowvision.training.log import Log, Value
from lowvision.training.loss_sum import LossSum
from lowvision.training.options import Fit
from lowvision.training.selection import Selection

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
    stage: str = ""
    """Name of the stage that runs; empty: all stages have run."""

    @property
    def architecture(self) -> Architecture:
        """The architecture in the form that is trained."""
        return self.recipe.architecture

    @property
    def deployed(self) -> Architecture:
        """The architecture in the form that is validated, calibrated and evaluated."""
        return self.architecture.deployed()

    @property
    def provenance(self) -> Provenance:
        """Description, license and protocol for the headers of weights files."""
        return Provenance(about=self.recipe.about, license=self.recipe.license, validated=self._validation_protocol())

    def set_name(self, split: str) -> str:
        """Return the name of a data set of the recipe; the name of the folder, if it is one."""
        dataset = getattr(self.recipe.data, split)
        folder = getattr(dataset, "path", None)
        return Path(folder).name if folder else self.registry.name_of(dataset)

    def _validation_protocol(self) -> str:
        data, size = self.recipe.data, self.recipe.tile.size
        if data.valid is None:
            return ""
        return (
            f"means over {data.valid_tiles} fixed tiles of {size}x{size} LQ pixels of {self.set_name('valid')}, in "
            "training, of 8-bit values without cropping borders"
        )

    def claim(self, *paths: Path) -> None:
        """Add files that this run is about to write to the list of its files."""
        if self.accelerator.is_main_process:
            run_folder.claim(self.folder, *paths)

    def listed(self, name: str) -> Path:
        """Return the path of a file in the run folder, after adding it to the list of the run's files."""
        self.claim(self.folder / name)
        return self.folder / name

    def claim_training(self, folder: Path) -> None:
        """Add everything that a training stage writes to `folder`."""
        files = [folder / f"{name}.safetensors" for name in ("best", "last")]
        self.claim(*files, *map(deployment.training_file, files), folder / checkpoint.FOLDER)

    @property
    def _cache_shard(self) -> tuple[int, int]:
        """Return the share of this process in filling the cache, and the number of shares: one per process of a node.

        The cache is local to a node, unless LOWVISION_CACHE names a shared folder; then every node fills it.
        """
        processes = int(os.environ.get("LOCAL_WORLD_SIZE", self.accelerator.num_processes))
        return self.accelerator.local_process_index, processes

    def photographs(self, split: str) -> tuple[Photograph, ...]:
        """Load the photographs of `train`, `valid` or `test`, decoded by all processes together; empty if not given."""
        dataset = getattr(self.recipe.data, split)
        if dataset is None:
            return ()
        skips_damaged = split == "train" and self.recipe.data.on_error == "skip"
        skip = (DataError,) if skips_damaged else (TooSmallError,)
        photographs.prepare(dataset, self.recipe.task, self._cache_shard, skip)
        self.accelerator.wait_for_everyone()
        loaded, left_out = photographs.load_usable(dataset, self.recipe.task, skip)
        if left_out:
            reasons = "; ".join(map(str, left_out))
            self.log.info(f"data.{split}: {len(left_out)} photographs are skipped: {reasons}")
        if self.recipe.teacher and (split == "train" or any(photograph.gt_path is None for photograph in loaded)):
            return self._taught(loaded, split)
        return self._with_teachers(loaded) if split == "train" and self.recipe.data.teachers else loaded

    def _taught(self, loaded: tuple[Photograph, ...], split: str) -> tuple[Photograph, ...]:
        """Return crops of the photographs with the teacher's output as ground truth, made by all processes together."""
        targets, shard = self.teacher_targets(), self._cache_shard
        if shard[1] > 1:
            distillation.with_targets(loaded, split, self.recipe, targets, shard)
            self.accelerator.wait_for_everyone()
        return distillation.with_targets(loaded, split, self.recipe, targets, (0, 1))

    def teacher_targets(self) -> TeacherTargets:
        """Return the outputs of the recipe's teacher, computed when they are read."""
        teacher = self.recipe.teacher
        assert teacher is not None
        return distillation.load(
            teacher.weights, teacher.context, self.registry, self.accelerator.device, self.log.info
        )

    def _with_teachers(self, loaded: tuple[Photograph, ...]) -> tuple[Photograph, ...]:
        """Return the photographs with their teachers' outputs as ground truth, made by all processes together."""
        first, step = self._cache_shard
        self.log.info(f"data.train: ground truth is the mean output of {', '.join(self.recipe.data.teachers)}")
        averaged = teachers.load(self.recipe.data.teachers, self.recipe.task, self.registry)
        averaged.targets(loaded[first::step])
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

    def samples(
        self, extractor: TileExtractor, pool: Pool, purpose: str, candidates: int = 1, *, defers: bool = False
    ) -> Samples:
        """Return an endless sequence of augmented tiles of a pool; `purpose` seeds the random draw.

        defers: leave random degradations to `degrade`, if the recipe has `data.degrade: device`.
        """
        weights = self.recipe.data.train.weights() if self.recipe.data.train else None
        pool = weighted(pool, extractor.photographs, weights)
        is_drawn = self.recipe.task.random and not any(photograph.lq_path for photograph in extractor.photographs)
        defers = defers and self.recipe.data.degrade == "device" and is_drawn
        augmented = augment.build(self.recipe.data.augment)
        return Samples(extractor, pool, augmented, self.recipe.seed, purpose, candidates, defers)

    def degrade(self, tiles: Undegraded) -> tuple[Tensor, Tensor]:
        """Return lq and gt of clean tiles on their device."""
        return degraded(tiles, self.recipe.task)

    def image_loss(self, options: Fit) -> LossSum:
        """Build the losses of a training stage, on the device of this process."""
        device = self.accelerator.device
        return losses.build(options.loss, self.recipe.task, self.registry, device)

    def selection(self, options: Fit) -> Selection:
        """Return how a training stage selects its best weights."""
        metric = options.selecting_metric
        return Selection() if metric is None else Selection(self.registry.name_of(metric), metric)

    def arrays(self, path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Return the arrays of an npz file that this run wrote. Raises RunError if it is damaged or lacks one."""
        try:
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in names}
        except Exception as error:  # numpy and zipfile raise many types for a damaged file
            raise RunError(f"{path}: is missing or damaged ({summary_of(error)}); run again with --restart") from error

    def weights_path(self, name: str) -> Path:
        """Resolve a weights file of a recipe: a path, or the name of weights that a plugin ships."""
        return pretrained.find(Path(name), self.registry)

    def save(self, path: Path, network: nn.Module, architecture: Architecture, measured: dict[str, Value]) -> None:
        """Write the deployed form of a network, and next to it the one that was trained if that is another."""
        form = architecture.deployed()
        weights.save(path, deployment.deployed(network, architecture), form, self.registry, measured, self.provenance)
        if form != architecture:
            weights.save(
                deployment.training_file(path), network, architecture, self.registry, measured, self.provenance
            )

    def kept(self, stage: str, folder: str | None = None, training: bool = False) -> Path | None:
        """Return the path of the weights that a stage wrote; None if the stage is not in the recipe.

        folder: subfolder of the run. Default: the name of the stage. training: the form that can be trained further.
        """
        options = self.recipe.stages.get(stage)
        if options is None:
            return None
        path = self.folder / (folder or stage) / options.result
        if not path.exists():
            is_elsewhere = self._cache_shard[1] < self.accelerator.num_processes
            way_out = (
                "put the run's folder on a file system that all machines share"
                if is_elsewhere
                else "run again with --restart"
            )
            raise RunError(f"{path}: missing; {way_out}")
        return deployment.training_file(path) if training and deployment.training_file(path).exists() else path

    def _last_to_train(self, network: Trainable) -> str | None:
        """Return the name of the last stage before this one that trains a network; None if no stage does."""
        names = list(self.recipe.stages)
        earlier = names[: names.index(self.stage)] if self.stage else names
        return next((name for name in reversed(earlier) if self.recipe.stages[name].trains == network), None)

    def container_weights(self) -> Path | None:
        """Return the path of the container of the last stage that trained or calibrated it."""
        stage = self._last_to_train("container")
        return self.kept(stage) if stage and self.recipe.classifier else None

    def base_weights(self, training: bool = False) -> Path | None:
        """Return the path of the trained base; None if there is none.

        training: the form that can be trained further.
        """
        if stage := self._last_to_train("base"):
            return self.kept(stage, training=training)
        last = len(self.recipe.branches) - 1
        if file := self.recipe.branches[last].weights:
            return self.weights_path(file)
        return self.kept("distil", f"distil/{last}", training) if self.recipe.stages.distil else None

    def branch_weights(self, k: int, training: bool = False) -> Path | None:
        """Return the path of the weights of branch k before joint training; None if there are none.

        training: the form that can be trained further.
        """
        if stage := self._last_to_train("branches"):
            return self.kept(stage, f"{stage}/{k}", training)
        branch = self.recipe.branches[k]
        if branch.weights:
            return self.weights_path(branch.weights)
        if self.recipe.stages.distil:
            return self.kept("distil", f"distil/{k}", training)
        return self.base_weights(training) if branch.backbone == self.recipe.base else None
