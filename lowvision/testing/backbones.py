"""Check a backbone against its contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from pydantic import ValidationError
from torch import nn

from lowvision.layers.reparam import Fusible, fuse, fused_state
from lowvision.models.state_dict import difference
from lowvision.plugins.contracts import Adaptive, Backbone, EarlyExit, Task
from lowvision.testing import adaptive, networks, options
from lowvision.testing.subject import PlainTask, Subject, distance

SCALES = (1, 2, 3, 4)
"""Scales to try if a backbone supports any scale."""
SIZES = ((1, 1), (7, 5), (16, 9))
"""Height and width of inputs, in units of `multiple_of`."""
SIZE_OPTIONS = ("channels", "layers")
MARGIN = 3
"""Number of pixels beyond `reach`, on every side, that are changed."""
PHASES = 4
"""Smallest number of neighbouring pixels to test: networks that resample inside treat them differently."""
FUSED = 1e-5
"""Tolerance of a fused form, relative to the largest value: rounding of its weights."""
FARTHEST = 64
"""Upper bound of the search for the true reach."""


def check_backbone(
    backbone: Backbone, *, tasks: Sequence[Task] = (), half: bool = True, exportable: bool = True
) -> None:
    """Check a backbone against its contract; use a small one, because it is run some hundred times.

    tasks: tasks to build it for; by default every supported scale, RGB and grey.
    half: whether it supports bfloat16 and float16.
    exportable: whether it can be exported to ONNX.

    Checks: serialization of options; output size for odd and small inputs; `reach` and `multiple_of`; reproducibility
    by seed; independence of the batch; gradients of all parameters; countable cost, which decreases with `channels` and
    `layers` if it has them, and by `fuse`; `exits`; safetensors; channels_last; half precision and mixed-precision
    training; export; an `Adaptive` network before and after calibration. Raises AssertionError at the first failure.
    """
    options.check_options(backbone)
    subjects = [subject_of(backbone, task) for task in tasks or _claimed(backbone)]
    for subject, task in subjects:
        _check_sizes(subject, task, backbone.multiple_of)
    colourful = {task.scale: (subject, task) for subject, task in reversed(subjects)}
    for subject, task in colourful.values():
        _check_reach(subject, task, backbone)
    subject, task = subjects[-1] if tasks else next(pair for pair in reversed(subjects) if pair[1].channels == 3)
    networks.check_network(subject, half=half, exportable=exportable)
    _check_trains_all(backbone, subject)
    for option in SIZE_OPTIONS:
        if option in type(backbone).model_fields:
            _check_size_option(backbone, option, subject, task)
    _check_fuse(backbone, subject, task)
    _check_exits(backbone, subject, task)
    if isinstance(subject.built(), Adaptive):
        adaptive.check_adaptive(subject)


def measured_reach(backbone: Backbone, task: Task | None = None, farthest: int = FARTHEST) -> int | None:
    """Measure the reach of a network in LQ pixels, None if it is more than `farthest`."""
    subject, task = subject_of(backbone, task or next(_claimed(backbone)))
    claimed = backbone.reach(task)
    return _measured(subject, task, backbone.multiple_of, farthest, guess=farthest if claimed is None else claimed)


def subject_of(backbone: Backbone, task: Task) -> tuple[Subject, Task]:
    """Return the network of a backbone for a task as a test subject, and the task."""
    side = backbone.multiple_of * -(-16 // backbone.multiple_of)
    name = f"{options.name_of(backbone)} for scale {task.scale}, {task.channels} colours"
    shape = 3, task.channels, side, side + backbone.multiple_of
    return Subject(name, lambda: backbone.build(task), shape, objective=backbone.objective), task


def _claimed(backbone: Backbone) -> Iterator[Task]:
    for scale in backbone.scales or SCALES:
        for channels in (3, 1):
            yield PlainTask(scale=scale, channels=channels)


def _check_sizes(subject: Subject, task: Task, step: int) -> None:
    network = subject.built()
    for height, width in SIZES:
        images = subject.images((2, task.channels, height * step, width * step))
        expected = 2, task.channels, height * step * task.scale, width * step * task.scale
        at = replace(subject, name=f"{subject.name}, on an input of {tuple(images.shape)}")
        law = "an output has the input's colours and exactly `scale` times its height and width; "
        law += "or state the supported scales in `scales`, and in `multiple_of` what sides must be multiples of"
        networks.check_shape(at, subject.run(network, images), expected, law)


def _check_reach(subject: Subject, task: Task, backbone: Backbone) -> None:
    reach, step = backbone.reach(task), backbone.multiple_of
    if reach is None:
        return
    if type(reach) is not int or reach < 0:
        raise subject.fail(f"reach returns {reach!r}; return a whole number of LQ pixels, or None for the whole input")
    if _sees_beyond(subject, task, step, reach):
        seen = _measured(subject, task, step, FARTHEST, guess=FARTHEST)
        way_out = "None, the whole input" if seen is None else str(seen)
        raise subject.fail(
            f"reach returns {reach} pixels, but an output pixel changes with input pixels farther away: windows of the "
            f"image would get seams; return {way_out}"
        )
    _check_place(subject, reach, step, task.scale)


def _check_trains_all(backbone: Backbone, subject: Subject) -> None:
    """Check that the objective alone reaches every parameter, at any progress, if the backbone says so."""
    if not backbone.trains_all:
        return
    for progress in (0.0, 0.5, 1.0):
        network = subject.stirred().train()
        lq = subject.images(dtype=torch.float64)
        gt = subject.images(network(lq).shape, lq.dtype)
        own = backbone.objective(network, lambda restored, gt: (restored - gt).abs().mean())
        losses = [(network(lq) - gt).abs().mean()] if own is None else list(own(lq, gt, progress).values())
        torch.stack(losses).sum().backward()
        missed = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
        if missed:
            raise subject.fail(
                f"trains_all is True, but at progress {progress:g} its objective gives {missed[0]} no gradient: "
                "several processes would wait for it for ever; omit trains_all"
            )


def _check_place(subject: Subject, reach: int, step: int, scale: int) -> None:
    """Check that an output pixel does not depend on the position of the window from which it is computed."""
    network = subject.stirred()
    kept = max(step, 2)  # LQ pixels whose outputs are compared
    offset = step * -(-3 // step)
    start = offset + step * -(-reach // step)
    length = start + kept + step * -(-reach // step) + offset
    length = step * -(-length // step)
    image = subject.images((1, subject.shape[1], length, length), torch.float64)
    inner = slice(scale * start, scale * (start + kept))
    shifted = slice(scale * (start - offset), scale * (start - offset + kept))
    whole = subject.run(network, image)[..., inner, inner]
    window = subject.run(network, image[..., offset:, offset:])[..., shifted, shifted]
    if distance(window, whole) > networks.EXACT:
        raise subject.fail(
            "reach is finite, but an output depends on where in the window it lies; let `multiple_of` be the step of "
            "the network's inner grid, or return None from reach if it depends on positions or averages over the input"
        )


def _measured(subject: Subject, task: Task, step: int, farthest: int, guess: int) -> int | None:
    """Measure the reach by bisection; a correct guess needs two probes."""
    low, high = -1, farthest + 1
    while high - low > 1:
        middle = next((probe for probe in (guess, guess - 1) if low < probe < high), (low + high) // 2)
        low, high = (middle, high) if _sees_beyond(subject, task, step, middle) else (low, middle)
    return None if high > farthest else high


def _sees_beyond(subject: Subject, task: Task, step: int, radius: int) -> bool:
    """Return whether an output changes if all input pixels farther away than `radius` change."""
    phases = max(step, PHASES)
    size = step * -(-(2 * (radius + MARGIN) + phases) // step)
    network = subject.stirred()
    first, second = subject.images((2, 1, task.channels, size, size), torch.float64)
    plain = subject.run(network, first)
    for middle in range(size // 2 - phases // 2, size // 2 - phases // 2 + phases):
        near = slice(max(0, middle - radius), middle + radius + 1)
        disturbed = second.clone()
        disturbed[..., near, near] = first[..., near, near]
        outputs = slice(middle * task.scale, (middle + 1) * task.scale)
        changed = subject.run(network, disturbed)[..., outputs, outputs] != plain[..., outputs, outputs]
        if changed.any():
            return True
    return False


def _check_size_option(backbone: Backbone, option: str, subject: Subject, task: Task) -> None:
    """Check that smaller values of an option cost less."""
    present = getattr(backbone, option)
    if type(present) is not int:
        raise subject.fail(
            f"its option '{option}' is {present!r}; reducers lower whole numbers: make it an int, or rename it"
        )
    lower = [smaller for level in range(present - 1, 0, -1) if (smaller := _turned(backbone, option, level))]
    if not lower:
        raise AssertionError(
            f"{subject.name}: no {option} below {present} is allowed, so nothing can be compared; check it with more"
        )
    previous, spent = present, networks.check_counted(subject)
    for smaller in dict.fromkeys((lower[0], lower[-1])):
        level = getattr(smaller, option)
        less = networks.check_counted(subject_of(smaller, task)[0])
        if less >= spent:
            raise subject.fail(
                f"with {level} {option} it costs {less} multiply-adds and with {previous} {spent}; the option must "
                "make the network smaller: build from it, give it its least value by Field(ge=...), or rename it"
            )
        previous, spent = level, less


def _check_fuse(backbone: Backbone, subject: Subject, task: Task) -> None:
    """Check that the fused form costs less, computes the same with the fused weights, and cannot be fused further."""
    fused, trained = backbone.fuse(), subject.stirred()
    if not isinstance(fused, Backbone | None):
        raise subject.fail(f"fuse returns a {type(fused).__name__}; return a backbone, its deployed form, or None")
    fusible = {name: module for name, module in trained.named_modules() if isinstance(module, Fusible)}
    if fused is None or fused == backbone:
        if fusible:
            raise subject.fail(
                f"its network has Fusible modules, e.g. '{next(iter(fusible))}', but fuse returns "
                f"{'None' if fused is None else 'the same backbone'}; return the deployed form"
            )
        return
    for name, module in fusible.items():
        if not isinstance(replacement := module.fused(), nn.Module):
            raise subject.fail(
                f"`fused` of '{name}' returns a {type(replacement).__name__}; return a torch.nn.Module with weights"
            )
    if fused.fuse() != fused:
        raise subject.fail(f"fuse gives {fused!r}, whose own fuse gives something else; a fused form gives itself")
    other = subject_of(fused, task)[0]
    spent, less = networks.check_counted(subject), networks.check_counted(other)
    if less >= spent:
        raise subject.fail(f"costs {spent} multiply-adds and fused {less}; fuse must make it cheaper, or return None")
    deployed = other.built().double()
    if misfit := difference(deployed.state_dict(), fused_state(trained, deployed)):
        raise subject.fail(
            f"fused it differs from the trained form: {misfit}; let the two differ only in modules that are "
            "lowvision.layers.Fusible, in whose place the fused form has what `fused` returns"
        )
    fuse(trained, deployed)
    images = subject.images(dtype=torch.float64)
    apart = distance(subject.run(deployed, images), subject.run(trained, images))
    if not apart <= FUSED:
        raise subject.fail(
            f"fused its output differs by {apart:.1g}; `fused` must return a module that computes the same"
        )


def _check_exits(backbone: Backbone, subject: Subject, task: Task) -> None:
    """Check that the blocks compute `forward`, treat rows independently, and can be left after each block."""
    exits, network = backbone.exits(), subject.stirred()
    if exits == 0:
        return
    if not isinstance(network, EarlyExit):
        raise subject.fail(
            f"exits returns {exits}, but its network is no EarlyExit; inherit from it, or return 0 from exits"
        )
    images = subject.images(dtype=torch.float64)
    expected = subject.run(network, images)
    with torch.no_grad():
        state, alone = network.forward_stem(images), network.forward_stem(images[:1])
        features = state[0].shape
        for block in range(exits):
            before = [tensor.clone() for tensor in state]
            after = network.forward_block(state, block)
            if not all(map(torch.equal, before, state)):
                raise subject.fail(f"advance changes what it is given, at block {block}; nothing there may be in place")
            state, alone = after, network.forward_block(alone, block)
            if state[0].shape != features:
                raise subject.fail(
                    f"features are {tuple(state[0].shape)} after block {block} and {tuple(features)} before the first; "
                    "let them keep their shape, and come first in the state"
                )
            image = network.forward_head(state, images)
            if image.shape != expected.shape:
                raise subject.fail(
                    f"left after block {block} it gives {tuple(image.shape)}, not {tuple(expected.shape)}"
                )
            if distance(network.forward_head(alone, images[:1]), image[:1]) > networks.EXACT:
                raise subject.fail(
                    f"left after block {block}, the image of a row depends on the others; keep them apart"
                )
    if distance(image, expected) > networks.EXACT:
        raise subject.fail("left after its last block it computes something else than forward; the two are one network")


def _turned(backbone: Backbone, option: str, level: int) -> Backbone | None:
    try:
        return backbone.replace(**{option: level})
    except ValidationError:
        return None
