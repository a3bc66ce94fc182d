"""Claims about check_backbone: it accepts a correct backbone, and reports each kind of error with a way out."""

from __future__ import annotations

import random
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from lowvision import Backbone, EarlyExit, ImageLoss, Task
from lowvision.layers import ParallelConv
from lowvision.testing import PlainTask, check_backbone, measured_reach


class Valid(Backbone):
    """A valid backbone: convolutions and a pixel shuffle."""

    channels: int = Field(default=6, ge=1)
    """Feature channels."""
    layers: int = Field(default=2, ge=1)
    """Inner convolutions."""

    def build(self, task: Task) -> nn.Module:
        inner = [nn.Conv2d(self.channels, self.channels, 3, padding=1) for _ in range(self.layers)]
        return nn.Sequential(
            nn.Conv2d(task.channels, self.channels, 3, padding=1),
            nn.ReLU(),
            *inner,
            nn.Conv2d(self.channels, task.channels * task.scale**2, 3, padding=1),
            nn.PixelShuffle(task.scale),
        )

    def reach(self, task: Task) -> int | None:
        return self.layers + 2


class FaultyWrapper(nn.Module):
    """A network with steps before and after it."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq)


class Bundle(nn.Module):
    """A return type that forward must not have."""

    def forward(self, lq: Tensor) -> tuple[Tensor, Tensor]:
        return lq, lq


class Stateful(FaultyWrapper):
    """Stores state between calls."""

    def __init__(self, network: nn.Module):
        super().__init__(network)
        self.seen: list[Tensor] = []

    def forward(self, lq: Tensor) -> Tensor:
        self.seen.append(lq)
        return self.network(lq) * len(self.seen)


class ChangesInput(FaultyWrapper):
    """Changes its input."""

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq.clamp_(0.2, 0.8))


class BatchDependent(FaultyWrapper):
    """Depends on the whole batch."""

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq - lq.mean())


class GlobalMean(FaultyWrapper):
    """Depends weakly on the whole image."""

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq) + 1e-9 * lq.mean(dim=(1, 2, 3), keepdim=True)


class PositionDependent(FaultyWrapper):
    """Depends on the position of a pixel."""

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq) * torch.arange(lq.shape[-1], device=lq.device, dtype=lq.dtype).sin().mean()


class ColumnDependent(FaultyWrapper):
    """Treats odd columns of its input differently."""

    def forward(self, lq: Tensor) -> Tensor:
        odd = torch.arange(lq.shape[-1], device=lq.device) % 2
        return self.network(lq * (1 + odd.to(lq.dtype)))


class UnusedLayer(FaultyWrapper):
    """Has an unused layer."""

    def __init__(self, network: nn.Module):
        super().__init__(network)
        self.spare = nn.Conv2d(3, 3, 1)


class Detached(FaultyWrapper):
    """Detaches its output from the graph."""

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq).detach()


class UnsavedFactor(FaultyWrapper):
    """Draws a factor that is not in the state dict."""

    def __init__(self, network: nn.Module):
        super().__init__(network)
        self.register_buffer("factor", torch.rand(1), persistent=False)

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq) * self.factor


class UnseededWeights(FaultyWrapper):
    """Draws weights from an unseeded generator."""

    def __init__(self, network: nn.Module):
        super().__init__(network)
        self.factor = nn.Parameter(torch.tensor([random.random() + np.random.rand()], dtype=torch.float32))

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq) * self.factor


class SharedStorage(FaultyWrapper):
    """Two parameters in one piece of memory."""

    def __init__(self, network: nn.Module):
        super().__init__(network)
        both = torch.rand(4)
        self.first, self.second = nn.Parameter(both[:3]), nn.Parameter(both[1:])

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq) * (self.first.sum() + self.second.sum())


class UnregisteredConstant(FaultyWrapper):
    """Keeps a constant that is not a buffer."""

    def __init__(self, network: nn.Module):
        super().__init__(network)
        self.mean = torch.zeros(1, device="cpu") + torch.tensor([0.4], device="cpu")

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq - self.mean.to(lq.dtype)) if self.mean.item() else lq


class MemoryFormatDependent(FaultyWrapper):
    """Depends on the order of memory."""

    def forward(self, lq: Tensor) -> Tensor:
        shallow = self.network[:2](lq)  # type: ignore[index]  # a Sequential
        order = shallow.stride()[1] == 1
        return self.network[2:](-shallow if order else shallow)  # type: ignore[index]  # a Sequential


class Float32Only(FaultyWrapper):
    """Computes in float32 for every dtype."""

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq) if lq.dtype == torch.float64 else self.network.float()(lq.float())


class InaccurateHalf(FaultyWrapper):
    """Is inaccurate in half precision."""

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq) * (1 if lq.dtype.itemsize > 2 else 2)


class PythonBranch(FaultyWrapper):
    """Branches in Python by its input."""

    def forward(self, lq: Tensor) -> Tensor:
        if lq.device.type != "meta" and lq.sum().item() > 1e9:
            return self.network(lq) * 2
        return self.network(lq)


class LargeInputOnly(FaultyWrapper):
    """Needs a large input."""

    def forward(self, lq: Tensor) -> Tensor:
        padded = nn.functional.pad(lq, (1, 1, 1, 1), mode="reflect")
        return self.network(padded)[..., 1:-1, 1:-1]


class DivisionByZero(FaultyWrapper):
    """Divides by a value that may be 0."""

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq) / (lq - lq).mean()


class Wrapped(Backbone):
    """The valid network with a fault around it."""

    around: str = "FaultyWrapper"
    """Name of the wrapper or part."""
    far: int | None = 4
    """The value that `reach` returns."""

    def build(self, task: Task) -> nn.Module:
        return globals()[self.around](Valid().build(task))

    def reach(self, task: Task) -> int | None:
        return self.far


class UselessOption(Backbone):
    """An option without effect."""

    channels: int = 6
    """Feature channels."""

    def build(self, task: Task) -> nn.Module:
        return Valid(channels=6).build(task)

    def reach(self, task: Task) -> int | None:
        return 4


class RetypedOption(UselessOption):
    """An option of another type."""

    channels: Literal["many", "few"] = "many"  # type: ignore[assignment]  # the fault
    """Feature channels."""


class FixedOption(Valid):
    """An option that cannot be lowered."""

    layers: int = Field(default=2, ge=2)
    """Inner convolutions."""


class EveryScale(Valid):
    """Enlarges by 2 for every scale."""

    def build(self, task: Task) -> nn.Module:
        return super().build(task.replace(scale=2))


class AlwaysRGB(Valid):
    """Returns RGB for any number of channels."""

    def build(self, task: Task) -> nn.Module:
        return nn.Sequential(Valid().build(task), nn.Conv2d(task.channels, 3, 1))


class NoModule(Valid):
    """Builds a function instead of a module."""

    def build(self, task: Task) -> Any:
        return torch.relu


class Float64Output(Valid):
    """Returns float64."""

    def build(self, task: Task) -> nn.Module:
        return nn.Sequential(Valid().build(task), _Double())


class _Double(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.double()


class Pair(Valid):
    """Returns two tensors."""

    def build(self, task: Task) -> nn.Module:
        return Bundle()


class Halving(Valid):
    """Halves its features without multiple_of."""

    def build(self, task: Task) -> nn.Module:
        return nn.Sequential(nn.AvgPool2d(2), nn.Upsample(scale_factor=2 * task.scale), nn.Conv2d(task.channels, 3, 1))


class DeclaredMultiple(Halving):
    """Halves its features and states multiple_of."""

    multiple_of: ClassVar[int] = 2
    scales: ClassVar[tuple[int, ...]] = (1, 2)

    def build(self, task: Task) -> nn.Module:
        inner = [nn.Conv2d(task.channels, self.channels, 1)]
        inner += [nn.Conv2d(self.channels, self.channels, 1) for _ in range(self.layers)]
        inner += [nn.Conv2d(self.channels, task.channels, 1)]
        return nn.Sequential(nn.AvgPool2d(2), *inner, nn.Upsample(scale_factor=2 * task.scale))

    def reach(self, task: Task) -> int | None:
        return 1


class UndocumentedClass(Backbone):
    width: int = 3

    def build(self, task: Task) -> nn.Module:
        return Valid().build(task)

    def reach(self, task: Task) -> int | None:
        return 4


class UndocumentedOption(Valid):
    """Has an option without docstring."""

    groups: int = 1


class ChangingValidator(Valid):
    """Has a validator that changes the value."""

    channels: int = 6
    """Feature channels."""

    @field_validator("channels")
    @classmethod
    def _more(cls, channels: int) -> int:
        return channels + 1


class NonPlainOption(Valid):
    """Has an option that is not a plain value."""

    size: complex = 1 + 2j
    """A size."""


WRONG: dict[str, tuple[Backbone, str]] = {
    "no docstring": (UndocumentedClass(), "UndocumentedClass: give the class a docstring"),
    "an option without words": (UndocumentedOption(), "give the option 'groups' a docstring"),
    "a validator that is not idempotent": (
        ChangingValidator(channels=5),
        r"channels=6.* was written, but .*channels=7",
    ),
    "an option that JSON cannot hold": (NonPlainOption(), "cannot be written to JSON and read again"),
    "no module": (NoModule(), "build returns a .*; return a torch.nn.Module"),
    "no tensor": (Pair(), "forward returns a tuple; return one tensor"),
    "one scale for all": (EveryScale(), r"for scale 1, .* instead of \(2, 3, 1, 1\); .* supported scales in `scales`"),
    "three colours for all": (AlwaysRGB(), r"1 colours, .* gives .* instead of \(2, 1, 1, 1\)"),
    "float64": (Float64Output(), "makes float64 from float32"),
    "reflection": (Wrapped(around="LargeInputOnly"), "raises .* pad with zeros or by replicating"),
    "even sizes only": (Halving(), "or state in `multiple_of`"),
    "a mean over the image": (Wrapped(around="GlobalMean"), "reach returns 4 .* return None, the whole input"),
    "a reach that is no number": (Wrapped(far=-1), "reach returns -1; return a whole number"),
    "a reach one too short": (Wrapped(far=3), "reach returns 3 pixels, but .* seams; return 4"),
    "a place": (
        Wrapped(around="PositionDependent"),
        "reach is finite, but an output depends on where in the window it lies",
    ),
    "stripes": (Wrapped(around="ColumnDependent"), "let `multiple_of` be the step"),
    "memory": (Wrapped(around="Stateful", far=None), "one input gives two outputs"),
    "an input changed": (Wrapped(around="ChangesInput", far=None), "forward changes its input"),
    "another source of weights": (
        Wrapped(around="UnseededWeights", far=None),
        "two builds under one seed differ in factor",
    ),
    "not finite": (Wrapped(around="DivisionByZero", far=None), "is not finite"),
    "off the meta device": (Wrapped(around="UnregisteredConstant", far=None), "cannot be counted on the meta device"),
    "the batch": (Wrapped(around="BatchDependent", far=None), "depends on the others in its batch"),
    "a layer unused": (Wrapped(around="UnusedLayer"), "no gradient reaches spare.weight"),
    "cut off": (Wrapped(around="Detached"), "cut off from all parameters"),
    "outside of the state": (Wrapped(around="UnsavedFactor"), r"not in state_dict\(\)"),
    "slices of one tensor": (Wrapped(around="SharedStorage"), "do not survive a safetensors file"),
    "the order of memory": (Wrapped(around="MemoryFormatDependent"), "in channels_last memory the output is another"),
    "always float32": (Wrapped(around="Float32Only"), "half=False"),
    "far off in half": (Wrapped(around="InaccurateHalf"), "in bfloat16 the output is off by .* or pass half=False"),
    "a decision in Python": (Wrapped(around="PythonBranch"), "cannot be exported.* or pass exportable=False"),
    "an option that changes nothing": (
        UselessOption(),
        "with 5 channels it costs .* the option must make the network smaller",
    ),
    "an option of another type": (RetypedOption(), "its option 'channels' is 'many'; reducers lower whole numbers"),
    "an option at its minimum": (FixedOption(), "no layers below 2 is allowed"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_invalid_backbone_is_reported_with_a_remedy(wrong: str) -> None:
    backbone, message = WRONG[wrong]
    with pytest.raises(AssertionError, match=message):
        check_backbone(backbone, exportable=wrong == "a decision in Python")


@pytest.mark.parametrize("backbone", [Valid(), DeclaredMultiple(), Wrapped(far=None), Wrapped(far=9)], ids=repr)
def test_a_valid_backbone_passes(backbone: Backbone) -> None:
    check_backbone(backbone, exportable=False)


def test_a_valid_backbone_is_exported() -> None:
    check_backbone(Valid(), tasks=[PlainTask(scale=2)])


def test_parameters_of_the_check_restrict_what_is_checked() -> None:
    check_backbone(Wrapped(around="Float32Only"), half=False, exportable=False)
    check_backbone(EveryScale(), tasks=[PlainTask(scale=2)], exportable=False)
    check_backbone(Wrapped(around="PythonBranch"), exportable=False)


@pytest.mark.parametrize("layers", [1, 5])
def test_the_measured_reach_equals_that_of_the_convolutions(layers: int) -> None:
    assert measured_reach(Valid(layers=layers), PlainTask(scale=2)) == layers + 2


class Claiming(Valid):
    """A backbone that claims any reach."""

    claimed: int | None = None
    """The claimed reach."""

    def reach(self, task: Task) -> int | None:
        return self.claimed


@pytest.mark.parametrize("claimed", [None, 0, 3, 4, 5, 70])
def test_the_measured_reach_does_not_depend_on_the_claimed_one(claimed: int | None) -> None:
    assert measured_reach(Claiming(claimed=claimed), PlainTask(scale=2), farthest=9) == 4


def test_a_network_with_global_reach_has_no_measured_reach() -> None:
    assert measured_reach(Wrapped(around="GlobalMean"), farthest=16) is None


class Two(ParallelConv):
    """Two convolutions of one input, added; fused rightly or, if they are to be apart, without the second."""

    def __init__(self, first: nn.Conv2d, second: nn.Conv2d, fault: str):
        super().__init__((first, second))
        self.fault = fault

    def fused(self) -> nn.Conv2d:
        if self.fault == "no module":
            return None  # type: ignore[return-value]  # the fault
        return self.parts()[0] if self.fault == "apart" else super().fused()


class Alone(nn.Module):
    """A network of one layer, in training or deployed form."""

    def __init__(self, branch: nn.Module):
        super().__init__()
        self.parts = branch

    def forward(self, features: Tensor) -> Tensor:
        return self.parts(features)


class Parallel(Backbone):
    """Two parallel convolutions whose fused form is valid or has the given fault."""

    fused: bool = False
    """True: the fused form."""
    fault: str = ""
    """In which."""

    def build(self, task: Task) -> nn.Module:
        def square() -> nn.Conv2d:
            return nn.Conv2d(task.channels, task.channels, 3, padding=1)

        layer = (
            Alone(square()) if self.fused and self.fault != "same cost" else Alone(Two(square(), square(), self.fault))
        )
        if self.fault == "another" and not self.fused:
            return nn.Sequential(layer, FaultyWrapper(square()))
        return nn.Sequential(layer)

    def reach(self, task: Task) -> int:
        return 2 if self.fault == "another" and not self.fused else 1

    def fuse(self) -> Parallel:
        faulty = {"forgotten": None, "itself": self, "a network": nn.Identity(), "a flag": True}
        if self.fault in faulty:
            return faulty[self.fault]  # type: ignore[return-value]  # the fault
        return self.replace(fused=not self.fused if self.fault == "toggled" else True)


def test_a_fusable_backbone_passes_in_both_forms() -> None:
    for fused in (False, True):
        check_backbone(Parallel(fused=fused), tasks=[PlainTask()], exportable=False)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("same cost", "and fused .*; fuse must make it cheaper, or return None"),
        ("toggled", "whose own fuse gives something else; a fused form gives itself"),
        (
            "another",
            "fused it differs from the trained form: 2 unexpected: 1.network.*; let the two differ only",
        ),
        ("apart", "fused its output differs by .*; `fused` must return a module that computes the same"),
        ("forgotten", "has Fusible modules, e.g. '0.parts', but fuse returns None; return the deployed form"),
        ("itself", "has Fusible modules, e.g. '0.parts', but fuse returns the same backbone; return the deployed form"),
        ("a network", "fuse returns a Identity; return a backbone, its deployed form, or None"),
        ("a flag", "fuse returns a bool; return a backbone, its deployed form, or None"),
        ("no module", "`fused` of '0.parts' returns a NoneType; return a torch.nn.Module with weights"),
    ],
)
def test_an_invalid_fused_form_is_reported(fault: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_backbone(Parallel(fault=fault), tasks=[PlainTask()], exportable=False)


class Stack(nn.Module, EarlyExit):
    """Convolutions with an exit after each, valid or with the given fault."""

    def __init__(self, colours: int, fault: str):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Conv2d(colours, colours, 3, padding=1) for _ in range(2))
        self.fault = fault

    def forward(self, lq: Tensor) -> Tensor:
        features = lq
        for block in self.blocks:
            features = torch.relu(block(features))
        return features if self.fault == "another" else lq + features

    def forward_stem(self, lq: Tensor) -> tuple[Tensor, ...]:
        return (lq.clone(),)

    def forward_block(self, state: tuple[Tensor, ...], block: int) -> tuple[Tensor, ...]:
        features = torch.relu(self.blocks[block](state[0]))
        if self.fault == "in place":
            state[0].mul_(2)
        return (features[..., :-1] if self.fault == "smaller" else features,)

    def forward_head(self, state: tuple[Tensor, ...], lq: Tensor) -> Tensor:
        (features,) = state
        return lq + (features.mean(dim=0, keepdim=True).expand_as(features) if self.fault == "mixed" else features)


class ExitBackbone(Backbone):
    """A backbone with two early exits."""

    fault: str = ""
    """In which it is wrong."""

    def build(self, task: Task) -> nn.Module:
        network = Stack(task.channels, self.fault)
        return nn.Sequential(network) if self.fault == "hidden" else network

    def reach(self, task: Task) -> int:
        return 2

    def exits(self) -> int:
        return 2


def test_a_backbone_with_early_exits_passes() -> None:
    check_backbone(ExitBackbone(), tasks=[PlainTask()], exportable=False)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("hidden", "exits returns 2, but its network is no EarlyExit; inherit from it, or return 0"),
        ("in place", "advance changes what it is given, at block 0; nothing there may be in place"),
        ("smaller", "features are .* after block 0 and .* before the first; let them keep their shape"),
        ("mixed", "left after block 0, the image of a row depends on the others; keep them apart"),
        ("another", "left after its last block it computes something else than forward; the two are one network"),
    ],
)
def test_invalid_early_exits_are_reported(fault: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_backbone(ExitBackbone(fault=fault), tasks=[PlainTask()], exportable=False)


class NetworkWithAdviser(nn.Module):
    """A network with a part that only its objective uses."""

    def __init__(self, colours: int):
        super().__init__()
        self.network = nn.Conv2d(colours, colours, 3, padding=1)
        self.adviser = nn.Linear(colours, 1)

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq)


class AdviserObjective(nn.Module):
    """The objective of NetworkWithAdviser."""

    def __init__(self, network: NetworkWithAdviser, image_loss: ImageLoss):
        super().__init__()
        self.network, self.image_loss = network, image_loss

    def forward(self, lq: Tensor, gt: Tensor, progress: float) -> dict[str, Tensor]:
        image = self.network(lq)
        correction = self.network.adviser(image.detach().mean(dim=(2, 3)))
        return {"image": self.image_loss(image, gt), "advice": (correction - progress).square().mean()}


class WithObjective(Backbone):
    """A backbone with or without its objective."""

    forgets: bool = False
    """True: `objective` is missing."""
    fixes: bool = False
    """True: it computes L1 instead of the recipe's loss."""

    def build(self, task: Task) -> nn.Module:
        return NetworkWithAdviser(task.channels)

    def reach(self, task: Task) -> int:
        return 1

    def objective(self, network: nn.Module, image_loss: ImageLoss) -> nn.Module | None:
        if self.forgets or not isinstance(network, NetworkWithAdviser):
            return None
        return AdviserObjective(network, nn.functional.l1_loss if self.fixes else image_loss)


def test_parameters_used_only_by_the_objective_are_trained() -> None:
    check_backbone(WithObjective(), tasks=[PlainTask()], exportable=False)
    with pytest.raises(AssertionError, match=r"no gradient reaches adviser\.weight"):
        check_backbone(WithObjective(forgets=True), tasks=[PlainTask()], exportable=False)


class LateAdviserObjective(AdviserObjective):
    """Trains the adviser in the second half alone."""

    def forward(self, lq: Tensor, gt: Tensor, progress: float) -> dict[str, Tensor]:
        losses = super().forward(lq, gt, progress)
        return losses if progress >= 0.5 else {"image": losses["image"]}


class TrainsAll(WithObjective):
    """A backbone whose `trains_all` is True; whether that is right depends on `late`."""

    trains_all: ClassVar[bool] = True

    late: bool = False
    """True: the first half of the steps leaves the adviser out."""

    def objective(self, network: nn.Module, image_loss: ImageLoss) -> nn.Module | None:
        return LateAdviserObjective(network, image_loss) if self.late else super().objective(network, image_loss)


def test_an_unused_parameter_contradicts_the_claim_that_all_are_trained() -> None:
    check_backbone(TrainsAll(), tasks=[PlainTask()], exportable=False)
    with pytest.raises(AssertionError, match=r"at progress 0 its objective gives adviser\.weight no gradient"):
        check_backbone(TrainsAll(late=True), tasks=[PlainTask()], exportable=False)


def test_an_objective_that_ignores_the_recipe_loss_is_reported() -> None:
    with pytest.raises(AssertionError, match="never calls image_loss"):
        check_backbone(WithObjective(fixes=True), tasks=[PlainTask()], exportable=False)
