"""Measure a network and its students on this machine, and fit the work into the minutes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache, partial

import torch

from lowvision.commands.accelerate import students as candidates
from lowvision.commands.accelerate.request import AccelerateRequest
from lowvision.commands.accelerate.split import Split, split
from lowvision.commands.accelerate.students import Student
from lowvision.commands.accelerate.thoroughness import Thoroughness
from lowvision.data import crops, photographs
from lowvision.data.photographs import Photograph
from lowvision.errors import DataError, UsageError
from lowvision.models import component_names, weights, weights_header
from lowvision.models.architecture import Architecture, Tile
from lowvision.pipeline import distillation
from lowvision.pipeline.distillation import TeacherTargets
from lowvision.plugins.contracts import Backbone
from lowvision.plugins.folder_dataset import Folder
from lowvision.plugins.registry import Registry
from lowvision.routing.tiling import up
from lowvision.system import devices
from lowvision.system.progress import duration

Say = Callable[[str], None]

TILE, OVERLAP = 32, 4
"""Tiles for a teacher with a small receptive field: neighbours are merged, so that small ones cost little."""
WIDE_TILE, WIDE_OVERLAP = 64, 4
"""Tiles for a teacher that sees its whole input, or nearly: a single tile must have some context."""
WIDE_REACH = 64
"""Radius of the receptive field from which tiles are wide. RRDB (radius 349) on tiles is far from its own whole image:
docs/accelerate.md, "Measure networks of other people"."""
MOST_CONTEXT = 16
MEASURED_CROPS = 4
MEASURED_STEPS = 3
ENOUGH_STEPS = 1000
"""Fewest steps that a student should get in its part of the time; otherwise a smaller one is chosen."""
FEWEST_STEPS, FEWEST_PREDICTOR_STEPS, MOST_PREDICTOR_STEPS = 50, 200, 4000
FEWEST_CROPS = 16
BATCH_PIXELS, FEWEST_TILES = 16 * 32**2, 4
"""Pixels of a training step, and the fewest tiles."""
LATE = 1.3
"""Factor above the minutes from which the plan warns."""
TARGET_SHARE, STUDENT_SHARE, PREDICTOR_SHARE, MEASURING_SHARE = 0.25, 0.45, 0.1, 0.2
"""Parts of the time: the teacher's targets, training students, training the error predictor, calibration and report."""
PLANNED = 0.8
"""Fraction of the minutes that is planned: loading, validation and steps slower than the quickest take the rest."""
PREDICTOR_SECONDS = 0.06
"""Assumed seconds of a step of the error predictor on one core; it is small."""


@dataclass(frozen=True)
class Plan:
    """The planned crops, students and steps of the recipe, and their duration."""

    architecture: Architecture
    """The teacher alone."""
    is_container: bool
    """True: the teacher is the last branch of a container."""
    split: Split
    students: tuple[Student, ...]
    start: str | None
    """Shipped weights that the students start from."""
    is_warm: bool
    """True: they hold all students."""
    tile: Tile
    crops: int
    crop_size: int
    context: int
    thoroughness: Thoroughness
    batch: int
    """Tiles of a training step."""
    steps: tuple[int, ...]
    """Steps of each student."""
    predictor_steps: int


def check_photographs(request: AccelerateRequest) -> None:
    """Raise DataError if the folder does not exist or holds no images."""
    _folder(request).photos()


def plan(request: AccelerateRequest, registry: Registry, say: Say) -> Plan:
    """Measure the teacher on the first crops and a step of each student; say what the run will take."""
    header = weights.check(request.weights, registry)
    architecture = header.architecture.deployed()
    teacher = architecture.only(-1)
    if weights.is_foreign(request.weights):
        say(weights_header.recognised(header, registry))
    tile, context = _tile(teacher), _context(teacher)
    total = PLANNED * 60 * request.minutes
    step_seconds = cache(partial(_step_seconds, teacher=teacher, side=tile.size))
    most = STUDENT_SHARE * total / len(candidates.SHARES) / ENOUGH_STEPS
    start, trained = candidates.initial_weights(teacher, registry)
    students = _students(request, teacher, tile.size, registry, trained, lambda student: step_seconds(student) <= most)
    warm = [student.backbone in trained for student in students]
    crop_size = max(64, up(tile.size + 2 * (tile.size // 4), 32))
    used, loaded = _photographs(request, teacher, tile.size, say)
    targets = distillation.load(
        str(request.weights), context, registry, torch.device(devices.resolve(request.device)), say
    )
    chosen = crops.drawn([p for p in loaded if p.name in used.train], 1 << 30, crop_size, seed=0)
    each = _teacher_seconds(targets, chosen)
    seconds = [step_seconds(student) for student in students]
    count = max(FEWEST_CROPS, min(len(chosen), int(TARGET_SHARE * total / max(each, 1e-4))))
    # Targets that take less than their part leave time to the students.
    spare = total * (TARGET_SHARE + STUDENT_SHARE) - count * each
    steps = tuple(max(FEWEST_STEPS, int(spare / len(students) / own)) for own in seconds)
    pixel = each / (crop_size + 2 * context) ** 2
    thoroughness = Thoroughness.within(MEASURING_SHARE * total / pixel, len(used.valid), tile)
    result = Plan(
        architecture=teacher,
        is_container=architecture.kind == "container",
        split=used.held_out(thoroughness.photographs),
        students=tuple(students),
        start=start if any(warm) else None,
        is_warm=all(warm),
        tile=tile,
        crops=count,
        crop_size=crop_size,
        context=context,
        thoroughness=thoroughness,
        batch=_batch(tile.size),
        steps=steps,
        predictor_steps=max(
            FEWEST_PREDICTOR_STEPS, min(MOST_PREDICTOR_STEPS, int(PREDICTOR_SHARE * total / PREDICTOR_SECONDS))
        ),
    )
    _tell(result, each, seconds, request, registry, say)
    return result


def _folder(request: AccelerateRequest) -> Folder:
    return Folder(path=str(request.photos), has_gt=False, downscale=request.downscale)


def _tile(teacher: Architecture) -> Tile:
    backbone = teacher.branches[-1]
    reach = backbone.reach(teacher.task)
    size, overlap = (WIDE_TILE, WIDE_OVERLAP) if reach is None or reach >= WIDE_REACH else (TILE, OVERLAP)
    return Tile(size=up(size, backbone.multiple_of), overlap=overlap, merge=reach is None)


def _context(teacher: Architecture) -> int:
    reach = teacher.branches[-1].reach(teacher.task)
    return MOST_CONTEXT if reach is None else max(4, min(MOST_CONTEXT, (reach + 1) // 2))


def _students(
    request: AccelerateRequest,
    teacher: Architecture,
    side: int,
    registry: Registry,
    trained: Collection[Backbone],
    is_affordable: Callable[[Student], bool],
) -> list[Student]:
    """Return the students of the request, or the chosen ones. Raises UsageError if none is cheaper than the teacher."""
    if request.students:
        given = candidates.with_costs(request.students, teacher, side)
        candidates.check(given, registry)
        return given
    chosen = candidates.choose(teacher, side, registry, trained=trained, is_affordable=is_affordable)
    if not chosen:
        raise UsageError(
            f"{request.weights}: cannot be made faster: the smallest student costs more than "
            f"{candidates.SHARES[-1]:.0%} of the network; give smaller ones by --students"
        )
    return chosen


def _photographs(
    request: AccelerateRequest, teacher: Architecture, side: int, say: Say
) -> tuple[Split, tuple[Photograph, ...]]:
    """Decode the photographs that are used, and divide those that are as large as a tile."""
    folder = _folder(request)
    names = [photo.name for photo in folder.photos()]
    first = split(names)
    used = {*first.train, *first.valid, *first.test}
    dataset = folder.replace(only=tuple(escaped(name) for name in sorted(used)))
    loaded, damaged = photographs.load_usable(dataset, teacher.task, (DataError,))
    large = tuple(photograph for photograph in loaded if min(photograph.lq_size) >= side)
    small = [photograph.name for photograph in loaded if photograph not in large]
    for error in damaged:
        say(f"--photos: skipped: {error}")
    if small:
        more = " ..." if len(small) > 5 else ""
        say(f"--photos: skipped, smaller than a tile of {side}: {', '.join(small[:5])}{more}")
    if len(used) < len(names):
        say(f"--photos: {len(used)} of {len(names)} photographs are used, drawn at random")
    return split([photograph.name for photograph in large]), large


def escaped(name: str) -> str:
    """Return the pattern, for `only` of a data set, that matches only this name."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _teacher_seconds(targets: TeacherTargets, chosen: Sequence[Photograph]) -> float:
    """Return the seconds of a crop; the first one, which allocates memory, is not counted."""
    targets.taught(chosen[:1])
    best = float("inf")
    for photograph in chosen[1:MEASURED_CROPS] or chosen:
        best = min(best, targets.seconds_of(photograph))
    return best


def _batch(side: int) -> int:
    """Return the tiles of a training step: as many pixels for large tiles as for small ones."""
    return max(FEWEST_TILES, BATCH_PIXELS // side**2)


def _step_seconds(student: Student, teacher: Architecture, side: int) -> float:
    """Return the seconds of one training step of a student, on the CPU or the default accelerator."""
    torch.manual_seed(0)
    network = student.backbone.build(teacher.task).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters())
    task = teacher.task
    batch = _batch(side)
    lq = torch.rand(batch, task.channels, side, side).contiguous(memory_format=torch.channels_last)
    gt = torch.rand(batch, task.channels, side * task.scale, side * task.scale)
    best = float("inf")
    for _ in range(MEASURED_STEPS):
        began = time.perf_counter()
        (network(lq) - gt).abs().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        best = min(best, time.perf_counter() - began)
    return best


def _tell(
    result: Plan, each: float, seconds: Sequence[float], request: AccelerateRequest, registry: Registry, say: Say
) -> None:
    """Say what the run will do and take."""
    sizes = result.split
    say(
        f"photographs: {len(sizes.train)} to learn from, {len(sizes.valid)} to calibrate on, "
        f"{len(sizes.test)} to report on"
    )
    if result.architecture.branches[-1].reach(result.architecture.task) is None:
        say("the network sees its whole input: fidelity is to the network run on tiles")
    say(f"teacher: {result.crops} crops, {each:.2f} s each: {duration(result.crops * each)}")
    for student, own, steps in zip(result.students, seconds, result.steps, strict=True):
        alone = result.architecture.replace(branches=(student.backbone,))
        name = component_names.shown(alone, registry).partition(" for ")[0]
        say(f"student {name}: {student.share:.1%} of the cost, {steps} steps of {own:.2f} s: {duration(steps * own)}")
    if result.start:
        say(f"students with the same structure start from {result.start}")
    training = result.crops * each + sum(own * steps for own, steps in zip(seconds, result.steps, strict=True))
    needed = training / (TARGET_SHARE + STUDENT_SHARE) / PLANNED
    say(f"planned for {duration(max(needed, 60 * request.minutes))} in all")
    if needed > LATE * 60 * request.minutes:
        say(f"--minutes {request.minutes:g} is too short even for the fewest steps; the result would gain from more")
    elif min(result.steps) < ENOUGH_STEPS / 2 and not result.is_warm:
        say(
            f"a student should be trained for {ENOUGH_STEPS} steps, the plan has {min(result.steps)}; give more "
            "--minutes, or smaller --students"
        )
