"""Measure a network and its students on this machine, and fit the work into the minutes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from lowvision.commands.accelerate import student_argument, student_training, tile_choice
from lowvision.commands.accelerate.request import AccelerateRequest
from lowvision.commands.accelerate.split import Split, split
from lowvision.commands.accelerate.student_times import StudentTimes
from lowvision.commands.accelerate.student_training import StudentTraining
from lowvision.commands.accelerate.thoroughness import Thoroughness
from lowvision.data import crops, photographs
from lowvision.data.photographs import Photograph
from lowvision.errors import DataError
from lowvision.models import component_names, weights, weights_header
from lowvision.models.architecture import Architecture, Tile
from lowvision.pipeline import distillation
from lowvision.pipeline.distillation import TeacherTargets
from lowvision.plugins.folder_dataset import Folder
from lowvision.plugins.registry import Registry
from lowvision.system import devices
from lowvision.system.progress import duration

Say = Callable[[str], None]

MOST_CONTEXT = 16
MEASURED_CROPS = 4
FEWEST_STEPS, FEWEST_PREDICTOR_STEPS, MOST_PREDICTOR_STEPS = 50, 200, 4000
FEWEST_CROPS = 16
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
    training: StudentTraining
    tile: Tile
    crops: int
    crop_size: int
    context: int
    thoroughness: Thoroughness
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
    requested = student_argument.parse(request.students, teacher.task, registry)
    if weights.is_foreign(request.weights):
        say(weights_header.recognised(header, registry))
    context = _context(teacher)
    total = PLANNED * 60 * request.minutes
    decoded = _photographs(request, teacher, say)
    device = devices.resolve(request.device)
    targets = distillation.load(str(request.weights), context, registry, torch.device(device), say)
    tile = tile_choice.sufficient(teacher, decoded, request.max_loss, targets.run, say)
    large = _large(decoded, tile.size, say)
    used = split([photograph.name for photograph in large])
    crop_size = 2 * tile.size  # students are measured on four tiles of it, with context
    chosen = crops.drawn([p for p in large if p.name in used.train], 1 << 30, crop_size, seed=0)
    each, each_side = _teacher_seconds(targets, chosen), crop_size + 2 * context
    pixel = each / each_side**2
    times = StudentTimes(teacher, tile.size, each_side, device)
    training = student_training.planned(request, requested, times, STUDENT_SHARE * total, pixel, registry)
    count = max(FEWEST_CROPS, min(len(chosen), int(TARGET_SHARE * total / max(each, 1e-4))))
    # Targets that take less than their part leave time to the students.
    spare = total * (TARGET_SHARE + STUDENT_SHARE) - count * each
    each_student = spare / len(training.students)
    steps = tuple(max(FEWEST_STEPS, int(each_student / own)) for own in training.step_seconds)
    thoroughness = Thoroughness.within(MEASURING_SHARE * total / pixel, len(used.valid), tile)
    result = Plan(
        architecture=teacher,
        is_container=architecture.kind == "container",
        split=used.held_out(thoroughness.photographs),
        training=training,
        tile=tile,
        crops=count,
        crop_size=crop_size,
        context=context,
        thoroughness=thoroughness,
        steps=steps,
        predictor_steps=max(
            FEWEST_PREDICTOR_STEPS, min(MOST_PREDICTOR_STEPS, int(PREDICTOR_SHARE * total / PREDICTOR_SECONDS))
        ),
    )
    _tell(result, each, request, registry, say)
    return result


def _folder(request: AccelerateRequest) -> Folder:
    return Folder(path=str(request.photos), has_gt=False, downscale=request.downscale)


def _context(teacher: Architecture) -> int:
    reach = teacher.branches[-1].reach(teacher.task)
    return MOST_CONTEXT if reach is None else max(4, min(MOST_CONTEXT, (reach + 1) // 2))


def _photographs(request: AccelerateRequest, teacher: Architecture, say: Say) -> tuple[Photograph, ...]:
    """Decode the photographs that are used."""
    folder = _folder(request)
    names = [photo.name for photo in folder.photos()]
    first = split(names)
    used = {*first.train, *first.valid, *first.test}
    dataset = folder.replace(only=tuple(escaped(name) for name in sorted(used)))
    decoded, damaged = photographs.load_usable(dataset, teacher.task, (DataError,))
    for error in damaged:
        say(f"--photos: skipped: {error}")
    if len(used) < len(names):
        say(f"--photos: {len(used)} of {len(names)} photographs are used, drawn at random")
    return decoded


def _large(decoded: Sequence[Photograph], side: int, say: Say) -> tuple[Photograph, ...]:
    """Return the photographs that are as large as a tile."""
    large = tuple(photograph for photograph in decoded if min(photograph.lq_size) >= side)
    small = [photograph.name for photograph in decoded if photograph not in large]
    if small:
        more = " ..." if len(small) > 5 else ""
        say(f"--photos: skipped, smaller than a tile of {side}: {', '.join(small[:5])}{more}")
    return large


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


def _tell(result: Plan, each: float, request: AccelerateRequest, registry: Registry, say: Say) -> None:
    """Say what the run will do and take. each: seconds of the teacher on a crop."""
    sizes, training = result.split, result.training
    say(
        f"photographs: {len(sizes.train)} to learn from, {len(sizes.valid)} to calibrate on, "
        f"{len(sizes.test)} to report on"
    )
    say(f"teacher: {result.crops} crops, {each:.2f} s each: {duration(result.crops * each)}")
    seconds = [own * steps for own, steps in zip(training.step_seconds, result.steps, strict=True)]
    each_student = zip(training.students, training.seconds_shares, result.steps, seconds, strict=True)
    for student, time_share, steps, total in each_student:
        alone = result.architecture.replace(branches=(student.backbone,))
        name = component_names.shown(alone, registry).partition(" for ")[0]
        say(
            f"student {name}: {student.share:.1%} of the cost, {time_share:.1%} of the seconds, {steps} steps: "
            f"{duration(total)}"
        )
    if training.starts:
        say(f"students with the same structure start from {' and '.join(training.starts)}")
    needed = (result.crops * each + sum(seconds)) / (TARGET_SHARE + STUDENT_SHARE) / PLANNED
    say(f"planned for {duration(max(needed, 60 * request.minutes))} in all")
    if needed > LATE * 60 * request.minutes:
        say(f"--minutes {request.minutes:g} is too short even for the fewest steps; the result would gain from more")
    elif min(result.steps) < training.enough_steps / 2:
        say(
            f"a student should be trained for {training.enough_steps} steps, the plan has {min(result.steps)}; give "
            "more --minutes, or smaller --students"
        )
