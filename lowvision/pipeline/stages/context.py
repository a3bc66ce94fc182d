"""The context that a stage runs in: recipe, data, networks of earlier stages, training, and its own folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn
from torch.utils.data import Dataset

from lowvision.data.tiles import Grid, fixed_tiles
from lowvision.models import deployment, weights
from lowvision.models.architecture import Architecture
from lowvision.pipeline.stages import container, network
from lowvision.pipeline.stages.job import Job
from lowvision.training.log import Value
from lowvision.training.options import Fit, RoutedFit


@dataclass(frozen=True)
class StageContext(Job):
    """One stage of one run. All processes of the run call the same methods in the same order."""

    @property
    def stage_folder(self) -> Path:
        """The folder of this stage in the run folder."""
        return self.folder / self.stage

    def file(self, name: str) -> Path:
        """Return the path of a file in the stage folder, to be written by the main process only.

        The file is added to the list of the run's files, so that `--restart` removes it.
        """
        path = self.stage_folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self.claim(path)
        return path

    def save(self, path: Path, network: nn.Module, architecture: Architecture, measured: dict[str, Value]) -> None:
        """Write a weights file on the main process: the deployed form, and the training form if it differs."""
        if self.accelerator.is_main_process:
            self.claim(path, deployment.training_file(path))
            super().save(path, network, architecture, measured)

    def info(self, line: str) -> None:
        """Print a message after the name of this stage, on the main process, and append it to `log.txt`."""
        self.log.info(f"{self.stage}: {line}")

    def measure(self, step: int, values: Mapping[str, Value]) -> None:
        """Record metrics of a step of this stage: in `metrics.jsonl`, in trackers and for observers."""
        self.log.measure(self.stage, step, values)

    def training_tiles(self, size: int | None = None) -> Dataset[tuple[Tensor, Tensor]]:
        """Return an endless sequence of augmented pairs (lq, gt) of `data.train`; item n depends on seed, stage and n.

        size: height and width of lq. Default: those of the recipe.
        """
        extractor = self.extractor("train", size)
        return self.samples(extractor, Grid(extractor.photographs, extractor.size, stride=1), self.stage)

    def validation_tiles(self) -> tuple[Tensor, Tensor]:
        """Return the fixed tiles of `data.valid`: lq (N,C,h,w) and gt (N,C,s*h,s*w)."""
        return fixed_tiles(self.extractor("valid"), self.recipe.data.valid_tiles, self.recipe.seed)

    def base(self) -> nn.Module:
        """Return the base with the weights of the last earlier stage that trains it; random ones if there is none."""
        return network.initialised(self, self.architecture.only(-1), self.base_weights(training=True))

    def branch(self, k: int) -> nn.Module:
        """Return branch k with the weights of earlier stages; random ones if there are none."""
        return network.initialised(self, self.architecture.only(k), self.branch_weights(k, training=True))

    def load(self, name: str, architecture: Architecture) -> nn.Module:
        """Return a single network with the weights of a file, or of shipped weights by their name.

        architecture: e.g. `self.architecture.only(-1)`, the base. Raises WeightsError if the file does not hold it.
        """
        return network.initialised(self, architecture, self.weights_path(name))

    def container(self) -> nn.Module:
        """Return the container with the weights of earlier stages; untrained parts if there are none."""
        path = self.container_weights()
        return weights.load_container(path, self.deployed, self.registry) if path else container.assembled(self)

    def train(
        self,
        trainee: nn.Module,
        options: Fit,
        *,
        objective: network.MakeObjective | None = None,
        branch: int | None = None,
        tiles: Dataset[tuple[Tensor, Tensor]] | None = None,
    ) -> dict[str, Value]:
        """Train a network from `base`, or from `branch` with its number; return its last metrics on `data.valid`.

        Writes `last.safetensors` and `best.safetensors` to the stage folder, or to its subfolder `<branch>`. An
        interrupted training resumes from its last checkpoint with the same result.
        objective: a function as `Backbone.objective`, from a network and the sum of the stage's losses to a module.
        Default: that of the backbone. tiles: default, `training_tiles`.
        """
        stage = self.stage if branch is None else f"{self.stage}/{branch}"
        architecture = self.architecture.only(-1 if branch is None else branch)
        samples = self.training_tiles() if tiles is None else tiles
        return network.train(self, stage, architecture, options, samples, trainee, objective)

    def train_container(self, trainee: nn.Module, options: RoutedFit, *, frozen_branches: bool = True) -> None:
        """Train a container from `container`: the classifier, and the branches unless they are frozen."""
        container.train(self, self.stage, options, trainee, frozen_branches)  # type: ignore[arg-type]  # from `container`
