"""Checks of networks that backbones and classifiers share."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from lowvision.errors import LowvisionError
from lowvision.inference import onnx_graph
from lowvision.plugins import registry
from lowvision.plugins.contracts import Trained
from lowvision.routing import cost
from lowvision.testing.subject import Subject, copy_of, distance, one_line, short

EXACT = 1e-9
"""Tolerance in float64, relative to the largest value: sums in another order."""
CLOSE = 1e-4
"""Tolerance in float32 in another runtime, relative to the largest value."""
HALVES = {torch.bfloat16: 0.1, torch.float16: 0.02}
"""Half-precision formats and their tolerances for small networks, relative to the largest value."""


def check_repeatable(subject: Subject) -> None:
    """Check that a seed determines the network and an input its output, and that the input is not changed."""
    first, second = subject.built().state_dict(), subject.built().state_dict()
    if first.keys() != second.keys():
        raise subject.fail("two builds have different tensors; build the same modules every time")
    for key, tensor in first.items():
        if not torch.equal(tensor, second[key]):
            raise subject.fail(
                f"two builds under one seed differ in {key}; draw weights with torch.nn.init or torch.rand, and "
                "from no generator but torch's own, so that the recipe's seed decides"
            )
    network, images = subject.stirred(), subject.images(dtype=torch.float64)
    kept = images.clone()
    outputs = [subject.run(network, images) for _ in range(2)]
    if not torch.equal(images, kept):
        raise subject.fail("forward changes its input; no in-place operation may touch it")
    if not torch.equal(*outputs):
        raise subject.fail(
            "in eval() one input gives two outputs; nothing may be drawn or remembered in forward unless self.training"
        )
    if not outputs[0].isfinite().all():
        raise subject.fail("the output of an image in [0,1] is not finite")


def check_batch_independence(subject: Subject) -> None:
    """Check that in eval() the output of an image does not depend on the rest of the batch."""
    network, images = subject.stirred(), subject.images(dtype=torch.float64)
    together = subject.run(network, images)
    alone = torch.cat([subject.run(network, image[None]) for image in images])
    if distance(together, alone) > EXACT:
        raise subject.fail(
            "in eval() the output of an image depends on the others in its batch; tiles are batched as it suits the "
            "machine, so take no statistics over the batch (dimension 0) unless self.training"
        )


def check_backward(subject: Subject) -> None:
    """Check that in train() every trainable parameter has a gradient from the output or the network's objective."""
    network = subject.stirred().train()
    learned = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
    if not learned:
        return
    output = network(subject.images(dtype=torch.float64))
    if not output.requires_grad:
        raise subject.fail("the output is cut off from all parameters; no detach() or no_grad() in forward")
    loss = (output * subject.images(output.shape, output.dtype)).sum()
    calls: list[Tensor] = []
    own = subject.objective(network, lambda restored, gt: calls.append(restored) or (restored - gt).abs().mean())  # type: ignore[func-returns-value]  # None, so that the loss is returned
    if own is not None:
        losses = own(subject.images(dtype=torch.float64), subject.images(output.shape, output.dtype), 0.5)
        loss = loss + torch.stack(list(losses.values())).sum()
        if not calls:
            raise subject.fail(
                "its objective never calls image_loss, so that `loss` of a recipe has no effect; compute the loss "
                "between images by it instead of by L1"
            )
    loss.backward()
    for name, parameter in learned.items():
        if parameter.grad is None or not parameter.grad.any():
            raise subject.fail(
                f"no gradient reaches {name}; use it in forward, remove it, or set requires_grad=False (or make it a "
                "buffer) where it is a constant"
            )
        if not parameter.grad.isfinite().all():
            raise subject.fail(f"the gradient of {name} is not finite")


def check_counted(subject: Subject) -> int:
    """Check that a network runs on torch's meta device, and return its exact multiply-adds for one image."""
    shape = (1, *subject.shape[1:])
    try:
        with torch.device("meta"):
            blueprint = subject.make()
        spent = cost.multiply_adds(blueprint, shape)
        real = cost.multiply_adds(subject.built(), shape)
    except (RuntimeError, NotImplementedError, ValueError, TypeError) as error:
        raise subject.fail(
            f"cannot be counted on the meta device ({one_line(error)}); keep tensors as parameters "
            "or buffers, make new ones with device of the input, and read no tensor values in build or forward"
        ) from error
    if spent != real:
        raise subject.fail(f"costs {spent} multiply-adds on the meta device and {real} on the CPU")
    return spent


def check_round_trip(subject: Subject) -> None:
    """Check that weights survive a safetensors file."""
    network, images = subject.built(0), subject.images()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.5)  # imitates training: weights that differ from every build
    other = subject.built(1)
    try:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "network.safetensors"
            save_model(network, str(path))
            load_model(other, path)
    except (ValueError, RuntimeError) as error:
        raise subject.fail(
            f"its weights do not survive a safetensors file: {one_line(error)}; build the same tensors every time, and "
            "let none be a slice of another"
        ) from error
    if distance(subject.run(other, images), subject.run(network, images)) > CLOSE:
        raise subject.fail(
            "with the weights of another it computes something else: some of what it learns or draws is not in "
            "state_dict(); make it a parameter or a persistent buffer"
        )


def check_channels_last(subject: Subject) -> None:
    """Check that channels_last memory does not change the output."""
    network, images = subject.stirred(), subject.images(dtype=torch.float64)
    plain = subject.run(network, images)
    last = subject.run(
        network.to(memory_format=torch.channels_last),
        images.to(memory_format=torch.channels_last),
    )
    if distance(last, plain) > EXACT:
        raise subject.fail(
            "in channels_last memory the output is another; no as_strided, and reshape rather than view where the "
            "order of the elements counts"
        )


def check_half(subject: Subject) -> None:
    """Check the output in bfloat16 and float16; operators that the CPU lacks in a format are skipped."""
    images = subject.images()
    expected = subject.run(subject.built(), images)
    for dtype, tolerance in HALVES.items():
        try:
            actual = subject.run(subject.built().to(dtype), images.to(dtype))
        except AssertionError as error:
            if "not implemented for" in str(error):
                continue
            raise AssertionError(f"{error}; or pass half=False") from error
        if actual.dtype != dtype:
            raise subject.fail(
                f"makes {short(actual.dtype)} from {short(dtype)}; make constants buffers, so that they follow, and "
                "cast what is computed in float32 back, or pass half=False"
            )
        if distance(actual, expected) > tolerance:
            raise subject.fail(
                f"in {short(dtype)} the output is off by {distance(actual, expected):.0%}; compute what needs it in "
                "float32 and go back, or pass half=False"
            )


def check_mixed(subject: Subject) -> None:
    """Check that training under autocast to bfloat16, as with `precision: bf16`, has finite gradients."""
    network, images = subject.built().train(), subject.images()
    own = subject.objective(network, nn.functional.l1_loss)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        return
    try:
        with torch.autocast("cpu", torch.bfloat16):
            output = network(images)
            losses = [output.float().mean()]
            if own is not None:
                losses += own(images, subject.images(output.shape), 0.5).values()
        torch.stack([loss.float() for loss in losses]).sum().backward()
    except RuntimeError as error:
        raise subject.fail(
            f"cannot be trained in mixed precision ({one_line(error)}); bring what is added to a buffer or a parameter "
            "to its dtype, or pass half=False"
        ) from error
    for name, parameter in network.named_parameters():
        if parameter.grad is not None and not parameter.grad.isfinite().all():
            raise subject.fail(f"in mixed precision the gradient of {name} is not finite; or pass half=False")


def check_export(subject: Subject) -> None:
    """Check that the network can be exported, and that every installed runtime of `auto` computes the same output."""
    try:
        onnx_graph.maker()
    except LowvisionError as error:
        warnings.warn(f"{subject.name}: export is not checked: {error}", stacklevel=2)
        return
    network = subject.built()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        try:
            onnx_graph.write(copy_of(network), path, subject.shape[1], *_sides(subject))
        except LowvisionError as error:
            raise subject.fail(f"{error}; or pass exportable=False") from error
        for name, entry in registry.load()["runtimes"].items():
            runtime = entry.component()
            if runtime.missing() or not runtime.automatic:
                continue
            images = subject.images()
            actual = runtime.prepare(_Written(network, path), 1, "cpu")(images)
            off = distance(actual, subject.run(network, images))
            if off > CLOSE:
                raise subject.fail(f"runtime {name} is off by {off:.1e}; find the operator, or pass exportable=False")


def _sides(subject: Subject) -> tuple[int, int]:
    """Return the height, and the difference of width and height."""
    height, width = subject.shape[2:]
    return height, width - height


@dataclass(frozen=True)
class _Written(Trained):
    """A network and its exported graph."""

    network: nn.Module
    path: Path

    def module(self) -> nn.Module:
        return copy_of(self.network)

    def onnx(self) -> Path:
        return self.path


def check_network(subject: Subject, *, half: bool, exportable: bool) -> None:
    """Run all checks of this module."""
    check_repeatable(subject)
    check_counted(subject)
    check_batch_independence(subject)
    check_backward(subject)
    check_round_trip(subject)
    check_channels_last(subject)
    if half:
        check_half(subject)
        check_mixed(subject)
    if exportable:
        check_export(subject)


def check_shape(subject: Subject, output: Tensor, expected: tuple[int, ...], law: str) -> None:
    """Raise a failure with the requirement `law` unless the output has the shape and float32."""
    if tuple(output.shape) != expected:
        raise subject.fail(f"gives {tuple(output.shape)} instead of {expected}; {law}")
    if output.dtype != torch.float32:
        raise subject.fail(f"makes {short(output.dtype)} from float32; make no float64 constants")
