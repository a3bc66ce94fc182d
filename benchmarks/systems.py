"""Write docs/systems.md: systems that route or slim a network, compared with ClassSR containers after short training.

    python benchmarks/systems.py RUNS          # run the recipes without a report in RUNS, then write the page
    python benchmarks/systems.py RUNS write    # write the page from existing reports

Each recipe takes minutes on two cores, all of them more than an hour; finished runs are not repeated. The recipes in
benchmarks/systems train a system and the ClassSR container of its backbone on equally many tiles.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from lowvision.data.photographs import Photograph, lq_of
from lowvision.imaging import io
from lowvision.imaging.metrics import measure
from lowvision.inference import engines
from lowvision.models import weights
from lowvision.pipeline.stages.job import Job
from lowvision.plugins import registry
from lowvision.plugins.registry import Registry
from lowvision.recipe import reading
from lowvision.recipe.models import Recipe
from lowvision.routing import cost
from lowvision.routing.engine import Engine
from lowvision.system import devices
from lowvision.training.log import Log

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "systems.md"
OWN = ROOT / "benchmarks" / "systems"
"""Folder of recipes that are not shipped."""
TILE, IMAGE = (1, 3, 32, 32), (1, 3, 540, 960)
WORDS = ("system", "routes", "setting", "row")
FIGURES = ("parameters", "MMAC", "GMAC", "tiles", "input dB", "base dB")
COLUMNS = (*WORDS[:3], *FIGURES, "row", "dB", "cost", "seconds", "ClassSR dB")
HEAD = """\
# Other systems compared

How do other ways to spend less compute compare with classify-then-route at equal cost? After minutes of training, early
exit, SMSR and ARM reach a higher PSNR than the ClassSR container of their backbone, PCSR a lower one. SMSR needs more
seconds than its dense base on a CPU.
Fully trained networks may compare differently.

Protocol: `python benchmarks/systems.py RUNS` trains each recipe for minutes on the sample photographs and reads its
report. A ClassSR container of the same backbone, trained on as many tiles, follows its system. Compare rows only at the
same scale and number of tiles.

| column | meaning |
|---|---|
| parameters | of everything that is kept: all branches and the classifier, or the one network |
| MMAC, GMAC | exact multiply-adds of the largest network on a tile of 32x32, and on a whole image of 960x540 |
| tiles | tiles shown to restoring networks in all stages together; stages that train only a classifier do not count |
| input dB, base dB | PSNR-Y of bicubic, and of the largest network on the whole image after the stage `base`; \
`scale` pixels cropped at each border, mean over the held-out sample photographs |
| dB | the same for the row |
| cost, seconds | shares of the tiled base, classifier included, measured in one process; \
below 100 % is a gain. A system without a setting has the row of its base. \
Seconds: one pass over three small photographs on a shared machine |
| ClassSR dB | PSNR of the ClassSR container on the same photographs, tile by tile, for the same multiply-adds; \
`over budget`: even its cheapest branch costs more |
"""


@dataclass(frozen=True)
class System:
    """A system: one row, or one row per setting of its cost."""

    recipe: str
    name: str
    routes: str
    setting: str
    ways: tuple[str, ...] = ()
    """Rows of its report to show; by default those that begin with `adaptive`, otherwise the tiled base."""
    classsr: str = ""
    """Recipe of the ClassSR container that it is compared with."""


TILES = "tiles to three networks"
SYSTEMS = (
    System("sr_arm", "ARM, FSRCNN", "tiles to widths of one network", "eta", classsr="classsr_fsrcnn"),
    System("sr_pixel", "PCSR, FSRCNN's body", "pixels to two upsamplers", "k", classsr="classsr_fsrcnn"),
    System("classsr_fsrcnn", "ClassSR, FSRCNN", TILES, "budget", ("routed",)),
    System("sr_exits", "early exits, SRResNet", "tiles to exits of a network", "threshold", classsr="classsr_srresnet"),
    System("classsr_srresnet", "ClassSR, SRResNet", TILES, "budget", ("routed",)),
    System("sr_smsr", "SMSR", "pixels and channels, by masks", "offset of the masks", classsr="classsr_smsr"),
    System("classsr_smsr", "ClassSR, SMSR without pressure", TILES, "budget", ("routed",)),
    System("acnet", "ACNet", "nothing; kernels fuse after training", "reparam", classsr="sr_acnet"),
    System("sr_acnet", "ClassSR, ACNet", TILES, "budget", ("routed",)),
    System("esrt", "ESRT", "nothing; attention in segments", "segments", classsr="sr_esrt"),
    System("sr_esrt", "ClassSR, ESRT", TILES, "budget", ("routed",)),
    System("sr_sparse", "balanced sparsity in ClassSR, FSRCNN", f"{TILES}, two of them sparse", "budget", ("routed",)),
    System("sr_search", "sorted sparsestmax", "nothing; widths and operations are found", "share of cost"),
)


def main() -> None:
    match sys.argv[1:]:
        case [runs]:
            for system in SYSTEMS:
                if not _report(Path(runs), system).exists():
                    own = OWN / f"{system.recipe}.yml"
                    subprocess.run(
                        ["lowvision", "run", str(own) if own.exists() else system.recipe, "--runs", runs], check=True
                    )
        case [runs, "write"]:
            pass
        case _:
            sys.exit(__doc__)
    PAGE.write_text("\n".join(_page(Path(runs))), encoding="utf-8")


def _report(runs: Path, system: System) -> Path:
    return runs / system.recipe / "report.json"


def _page(runs: Path) -> Iterator[str]:
    yield HEAD
    yield f"Measured on {devices.cpu_name()}."
    yield ""
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"|{'|'.join('---' if name in WORDS else '---:' for name in COLUMNS)}|"
    measured = [system for system in SYSTEMS if _report(runs, system).exists()]
    for system in measured:
        yield from _rows(system, runs)
    yield ""
    if missing := [f"`{system.recipe}` ({system.name})" for system in SYSTEMS if system not in measured]:
        yield f"Not measured yet: {', '.join(missing)}."
        yield ""


def _rows(system: System, runs: Path) -> Iterator[str]:
    document = json.loads(_report(runs, system).read_text(encoding="utf-8"))["sets"][0]
    mean: dict[str, Any] = document["mean"]
    quality = next(name for name in mean["input"] if name.startswith("psnr_y@"))
    known = registry.load()
    recipe = reading.read(runs / system.recipe / "recipe.resolved.yml", known)
    base = recipe.architecture.only(-1).build_network()
    kept = recipe.architecture.build_container() if len(recipe.branches) > 1 else base
    about = [f"{system.name}, x{recipe.task.scale}", system.routes, system.setting, f"{cost.parameters(kept):,}"]
    about += [f"{cost.multiply_adds(base, TILE) / 1e6:.1f}", f"{cost.multiply_adds(base, IMAGE) / 1e9:.1f}"]
    about += [f"{_tiles(recipe):,}", f"{mean['input'][quality]:.2f}", f"{mean['base_whole'][quality]:.2f}"]
    row_names = system.ways or tuple(way for way in mean if way.startswith("adaptive")) or ("base_tiled",)
    rival = Rival.of(runs / system.classsr, known) if (runs / system.classsr / "report.json").exists() else None
    for way in row_names:
        cells = [*about, way.replace("_", " "), f"{mean[way][quality]:.2f}", *_shares(mean[way], mean["base_tiled"])]
        cells += [rival.at([image[way]["gmac"] for image in document["images"]], quality) if rival else ""]
        yield f"| {' | '.join(cells)} |"
        about = [""] * len(about)


@dataclass(frozen=True)
class Rival:
    """A ClassSR container that restores the same photographs at the same cost as a system."""

    engine: Engine
    photographs: tuple[Photograph, ...]
    recipe: Recipe

    @classmethod
    def of(cls, folder: Path, known: Registry) -> Rival:
        """Load the result of the run in `folder`."""
        recipe = reading.read(folder / "recipe.resolved.yml", known)
        accelerator = Accelerator(cpu=True)
        job = Job(recipe, known, accelerator, folder, Log(folder, speaks=False))
        path = job.container_weights()
        assert path
        architecture = job.architecture
        container = weights.load_container(path, architecture, known)
        engine = engines.of_container(
            container, architecture, accelerator.device, geometry=engines.geometry(architecture).alone, batch=16
        )
        return cls(engine, job.photographs("test"), recipe)

    def at(self, gmac: Sequence[float], quality: str) -> str:
        """Return its mean quality, as text, at `gmac` billions of multiply-adds per photograph."""
        reached = []
        for number, (photograph, most) in enumerate(zip(self.photographs, gmac, strict=True)):
            lq = lq_of(photograph, self.recipe.task, self.recipe.seed + number)
            restored = self.engine.route(lq, round(most * 1e9))
            if restored.cost > round(most * 1e9):
                return "over budget"
            reached.append(measure(restored.image, io.to_tensor(photograph.gt), self.recipe.task.scale)[quality])
        return f"{sum(reached) / len(reached):.2f}"


def _shares(row: dict[str, Any], tiled: dict[str, Any]) -> list[str]:
    return [f"{row[name] / tiled[name]:.0%}" for name in ("gmac", "seconds")]


def _tiles(recipe: Recipe) -> int:
    stages = recipe.stages
    seen = sum(stage.steps * stage.batch for stage in (stages.base, stages.classifier, stages.joint) if stage)
    if stages.branches:
        seen += len(recipe.branches) * stages.branches.steps * stages.branches.batch
    return seen


if __name__ == "__main__":
    main()
