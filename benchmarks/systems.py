"""Makes docs/systems.md: every system that routes or slims a network, after short training, beside ClassSR containers.

    python benchmarks/systems.py RUNS          # runs the recipes that have no report in RUNS yet, then writes
    python benchmarks/systems.py RUNS write    # writes what is there

Each recipe takes minutes on two cores, an hour and more for all of them; a run that is there is not made again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lowvision import devices, registry
from lowvision.recipe import reading
from lowvision.recipe.models import Recipe
from lowvision.routing import cost

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "systems.md"
TILE, IMAGE = (1, 3, 32, 32), (1, 3, 540, 960)
WORDS = ("system", "routes", "knob", "row")
COLUMNS = (*WORDS[:3], "parameters", "MMAC", "GMAC", "tiles", "input dB", "base dB", "row", "dB", "cost", "seconds")
HEAD = """\
# Systems

Made by `python benchmarks/systems.py`: each system's recipe, as shipped, learned for minutes from the sample
photographs, and its report was read. So this compares what minutes of training make of each idea, not what papers reach
after days. Rows of one scale can be compared with each other; `tiles` says how much each has seen.

- **Parameters** are those of all that is kept: of every branch and the classifier, or of the one network.
- **MMAC, GMAC**: exact multiply-adds of the largest network on a tile of 32x32, and on a whole image of 960x540.
- **Tiles** were seen in training, in all stages together.
- **dB**: PSNR-Y, as many pixels as the scale cut off at each border, mean over the sample photographs that were held
  out; **base** is the largest network on the whole image, **input** is bicubic.
- **Cost and seconds** are shares of what the base takes on the same overlapping tiles, classifier included, measured in
  the same process; seconds below 100 % are a gain. Where a system has no knob, the row is the base itself.
"""


@dataclass(frozen=True)
class System:
    """One row, or one for each setting of its knob."""

    recipe: str
    name: str
    routes: str
    knob: str
    ways: tuple[str, ...]
    """The rows of its report that show the knob; none: it has none."""


SYSTEMS = (
    System("sr_fsrcnn", "ClassSR, FSRCNN", "tiles to three networks", "budget", ("routed",)),
    System("sr_arm", "ARM, FSRCNN", "tiles to widths of one network", "eta", ()),
    System("sr_carn", "ClassSR, CARN", "tiles to three networks", "budget", ("routed",)),
    System("sr_pixel", "PCSR", "pixels to two upsamplers", "k", ()),
    System("sr_smsr", "SMSR", "pixels and channels, by masks", "offset of the masks", ()),
    System("sr_srresnet", "ClassSR, SRResNet", "tiles to three networks", "budget", ("routed",)),
    System("sr_exits", "early exits, SRResNet", "tiles to exits of one network", "threshold", ()),
    System("sr_esrt", "ESRT", "nothing; attention in segments", "segments", ()),
    System("sr_acnet", "ACNet", "nothing; kernels fuse after training", "reparam", ()),
    System(
        "sr_sparse",
        "balanced sparsity in ClassSR, FSRCNN",
        "tiles to three networks, two of them sparse",
        "budget",
        ("routed",),
    ),
    System("sr_search", "sorted sparsestmax", "nothing; widths and operations are found", "share of cost", ()),
)


def main() -> None:
    match sys.argv[1:]:
        case [runs]:
            for system in SYSTEMS:
                if not _report(Path(runs), system).exists():
                    subprocess.run(["lowvision", "run", system.recipe, "--runs", runs], check=True)
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
        yield from _rows(system, runs / system.recipe)
    yield ""
    if missing := [f"`{system.recipe}` ({system.name})" for system in SYSTEMS if system not in measured]:
        yield f"Not measured yet: {', '.join(missing)}."
        yield ""


def _rows(system: System, folder: Path) -> Iterator[str]:
    mean: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))["sets"][0]["mean"]
    quality = next(name for name in mean["input"] if name.startswith("psnr_y@"))
    known = registry.load()
    recipe = reading.read(folder / "recipe.resolved.yml", known)
    base = recipe.architecture.only(-1).build_network()
    kept = recipe.architecture.build_container() if len(recipe.branches) > 1 else base
    about = [f"{system.name}, x{recipe.task.scale}", system.routes, system.knob, f"{cost.parameters(kept):,}"]
    about += [f"{cost.multiply_adds(base, TILE) / 1e6:.1f}", f"{cost.multiply_adds(base, IMAGE) / 1e9:.1f}"]
    about += [f"{_tiles(recipe):,}", f"{mean['input'][quality]:.2f}", f"{mean['base_whole'][quality]:.2f}"]
    found = system.ways or tuple(way for way in mean if way.startswith("adaptive")) or ("base_tiled",)
    for way in found:
        cells = [*about, way.replace("_", " "), f"{mean[way][quality]:.2f}", *_shares(mean[way], mean["base_tiled"])]
        yield f"| {' | '.join(cells)} |"
        about = [""] * len(about)


def _shares(row: dict[str, Any], tiled: dict[str, Any]) -> list[str]:
    return [f"{row[name] / tiled[name]:.0%}" for name in ("gmac", "seconds")]


def _tiles(recipe: Recipe) -> int:
    stages = recipe.stages
    seen = sum(stage.steps * stage.batch for stage in (stages.base, stages.classifier, stages.joint) if stage)
    if stages.branches:
        seen += len(recipe.branches) * stages.branches.steps * stages.branches.batch
    if stages.classifier:
        seen += stages.classifier.ranked_steps * stages.classifier.batch
    return seen


if __name__ == "__main__":
    main()
