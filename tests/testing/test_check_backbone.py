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


class Right(Backbone):
    """Convolutions and a pixel shuffle."""

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


class Around(nn.Module):
    """A network with something done before and after it."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq)


class Bundle(nn.Module):
    """What forward must not return."""

    def forward(self, lq: Tensor) -> tuple[Tensor, Tensor]:
        return lq, lq


class Sharpened(Around):
    """Remembers what it is given."""

    def __init__(self, network: nn.Module):
        super().__init__(network)
        self.seen: list[Tensor] = []

    def forward(self, lq: Tensor) -> Tensor:
        self.seen.append(lq)
        return self.network(lq) * len(self.seen)


class Clipping(Around):
    """Changes its input."""

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq.clamp_(0.2, 0.8))


class Whitening(Around):
    """Looks at the whole batch."""

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq - lq.mean())


class Averaging(Around):
    """Looks at the whole image, faintly."""

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq) + 1e-9 * lq.mean(dim=(1, 2, 3), keepdim=True)


class Placed(Around):
    """Knows where in its input a pixel is."""

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq) * torch.arange(lq.shape[-1], device=lq.device, dtype=lq.dtype).sin().mean()


class Striped(Around):
    """Treats odd columns of its input otherwise."""

    def forward(self, lq: Tensor) -> Tensor:
        odd = torch.arange(lq.shape[-1], device=lq.device) % 2
        return self.network(lq * (1 + odd.to(lq.dtype)))


class Superfluous(Around):
    """Has a layer that it does not use."""

    def __init__(self, network: nn.Module):
        super().__init__(network)
        self.spare = nn.Conv2d(3, 3, 1)


class Detached(Around):
    """Cuts its output off."""

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq).detach()


class Secret(Around):
    """Draws a factor that is in no file."""

    def __init__(self, network: nn.Module):
        super().__init__(network)
        self.register_buffer("factor", torch.rand(1), persistent=False)

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq) * self.factor


class Wandering(Around):
    """Draws weights from a source that no recipe seeds."""

    def __init__(self, network: nn.Module):
        super().__init__(network)
        self.factor = nn.Parameter(torch.tensor([random.random() + np.random.rand()], dtype=torch.float32))

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq) * self.factor


class Sliced(Around):
    """Two parameters in one piece of memory."""

    def __init__(self, network: nn.Module):
        super().__init__(network)
        both = torch.rand(4)
        self.first, self.second = nn.Parameter(both[:3]), nn.Parameter(both[1:])

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq) * (self.first.sum() + self.second.sum())


class Grounded(Around):
    """Keeps a constant where the meta device does not find it."""

    def __init__(self, network: nn.Module):
        super().__init__(network)
        self.mean = torch.zeros(1, device="cpu") + torch.tensor([0.4], device="cpu")

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq - self.mean.to(lq.dtype)) if self.mean.item() else lq


class Curious(Around):
    """Depends on the order of memory."""

    def forward(self, lq: Tensor) -> Tensor:
        shallow = self.network[:2](lq)  # type: ignore[index]  # a Sequential
        order = shallow.stride()[1] == 1
        return self.network[2:](-shallow if order else shallow)  # type: ignore[index]  # a Sequential


class Single(Around):
    """Computes in float32, whatever it is given."""

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq) if lq.dtype == torch.float64 else self.network.float()(lq.float())


class Rough(Around):
    """Is far off in half precision."""

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq) * (1 if lq.dtype.itemsize > 2 else 2)


class Opaque(Around):
    """Decides in Python by what it sees."""

    def forward(self, lq: Tensor) -> Tensor:
        if lq.device.type != "meta" and lq.sum().item() > 1e9:
            return self.network(lq) * 2
        return self.network(lq)


class Reflecting(Around):
    """Needs a large image."""

    def forward(self, lq: Tensor) -> Tensor:
        padded = nn.functional.pad(lq, (1, 1, 1, 1), mode="reflect")
        return self.network(padded)[..., 1:-1, 1:-1]


class Infinite(Around):
    """Divides by what may be 0."""

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq) / (lq - lq).mean()


class Wrapped(Backbone):
    """The right network with something around it."""

    around: str = "Around"
    """What."""
    far: int | None = 4
    """The value that `reach` returns."""

    def build(self, task: Task) -> nn.Module:
        return globals()[self.around](Right().build(task))

    def reach(self, task: Task) -> int | None:
        return self.far


class Alike(Backbone):
    """An option that changes nothing."""

    channels: int = 6
    """Feature channels."""

    def build(self, task: Task) -> nn.Module:
        return Right(channels=6).build(task)

    def reach(self, task: Task) -> int | None:
        return 4


class Worded(Alike):
    """An option of another type."""

    channels: Literal["many", "few"] = "many"  # type: ignore[assignment]  # that is what is wrong
    """Feature channels."""


class Fixed(Right):
    """An option that cannot be lowered."""

    layers: int = Field(default=2, ge=2)
    """Inner convolutions."""


class EveryScale(Right):
    """Makes x2 whatever is asked for."""

    def build(self, task: Task) -> nn.Module:
        return super().build(task.replace(scale=2))


class Colourful(Right):
    """Makes RGB whatever is asked for."""

    def build(self, task: Task) -> nn.Module:
        return nn.Sequential(Right().build(task), nn.Conv2d(task.channels, 3, 1))


class NoModule(Right):
    """Builds a function."""

    def build(self, task: Task) -> Any:
        return torch.relu


class Exact(Right):
    """Makes float64."""

    def build(self, task: Task) -> nn.Module:
        return nn.Sequential(Right().build(task), _Double())


class _Double(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.double()


class Pair(Right):
    """Returns two tensors."""

    def build(self, task: Task) -> nn.Module:
        return Bundle()


class Halving(Right):
    """Shrinks inside, and does not say so."""

    def build(self, task: Task) -> nn.Module:
        return nn.Sequential(nn.AvgPool2d(2), nn.Upsample(scale_factor=2 * task.scale), nn.Conv2d(task.channels, 3, 1))


class Told(Halving):
    """Shrinks inside, and says so."""

    multiple_of: ClassVar[int] = 2
    scales: ClassVar[tuple[int, ...]] = (1, 2)

    def build(self, task: Task) -> nn.Module:
        inner = [nn.Conv2d(task.channels, self.channels, 1)]
        inner += [nn.Conv2d(self.channels, self.channels, 1) for _ in range(self.layers)]
        inner += [nn.Conv2d(self.channels, task.channels, 1)]
        return nn.Sequential(nn.AvgPool2d(2), *inner, nn.Upsample(scale_factor=2 * task.scale))

    def reach(self, task: Task) -> int | None:
        return 1


class Untold(Backbone):
    width: int = 3

    def build(self, task: Task) -> nn.Module:
        return Right().build(task)

    def reach(self, task: Task) -> int | None:
        return 4


class Speechless(Right):
    """Has an option that nobody explains."""

    groups: int = 1


class Growing(Right):
    """Has a validator that adds one."""

    channels: int = 6
    """Feature channels."""

    @field_validator("channels")
    @classmethod
    def _more(cls, channels: int) -> int:
        return channels + 1


class Unwritable(Right):
    """Has an option that is no plain value."""

    size: complex = 1 + 2j
    """A size."""


WRONG: dict[str, tuple[Backbone, str]] = {
    "no docstring": (Untold(), "Untold: give the class a docstring"),
    "an option without words": (Speechless(), "give the option 'groups' a docstring"),
    "a validator that is not idempotent": (Growing(channels=5), r"channels=6.* was written, but .*channels=7"),
    "an option that JSON cannot hold": (Unwritable(), "cannot be written to JSON and read again"),
    "no module": (NoModule(), "build returns a .*; return a torch.nn.Module"),
    "no tensor": (Pair(), "forward returns a tuple; return one tensor"),
    "one scale for all": (EveryScale(), r"for scale 1, .* instead of \(2, 3, 1, 1\); .* or let `scales`"),
    "three colours for all": (Colourful(), r"1 colours, .* gives .* instead of \(2, 1, 1, 1\)"),
    "float64": (Exact(), "makes float64 from float32"),
    "reflection": (Wrapped(around="Reflecting"), "raises .* pad with zeros or by replicating"),
    "even sizes only": (Halving(), "or let `multiple_of` say"),
    "a mean over the image": (Wrapped(around="Averaging"), "reach returns 4 .* return None, the whole input"),
    "a reach that is no number": (Wrapped(far=-1), "reach returns -1; return a whole number"),
    "a reach one too short": (Wrapped(far=3), "reach returns 3 pixels, but .* seams; return 4"),
    "a place": (Wrapped(around="Placed"), "reach is finite, but an output depends on where in the window it lies"),
    "stripes": (Wrapped(around="Striped"), "let `multiple_of` be the step"),
    "memory": (Wrapped(around="Sharpened", far=None), "one input gives two outputs"),
    "an input changed": (Wrapped(around="Clipping", far=None), "forward changes its input"),
    "another source of weights": (Wrapped(around="Wandering", far=None), "two builds under one seed differ in factor"),
    "not finite": (Wrapped(around="Infinite", far=None), "is not finite"),
    "off the meta device": (Wrapped(around="Grounded", far=None), "cannot be counted on the meta device"),
    "the batch": (Wrapped(around="Whitening", far=None), "depends on the others in its batch"),
    "a layer unused": (Wrapped(around="Superfluous"), "no gradient reaches spare.weight"),
    "cut off": (Wrapped(around="Detached"), "cut off from all parameters"),
    "outside of the state": (Wrapped(around="Secret"), r"not in state_dict\(\)"),
    "slices of one tensor": (Wrapped(around="Sliced"), "do not survive a safetensors file"),
    "the order of memory": (Wrapped(around="Curious"), "in channels_last memory the output is another"),
    "always float32": (Wrapped(around="Single"), "half=False"),
    "far off in half": (Wrapped(around="Rough"), "in bfloat16 the output is off by .* or say half=False"),
    "a decision in Python": (Wrapped(around="Opaque"), "cannot be exported.* or say exportable=False"),
    "an option that changes nothing": (Alike(), "with 5 channels it costs .* the option must make the network smaller"),
    "an option of another type": (Worded(), "its option 'channels' is 'many'; reducers lower whole numbers"),
    "an option at its minimum": (Fixed(), "no layers below 2 is allowed"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_backbone_is_told_what_to_do(wrong: str) -> None:
    backbone, message = WRONG[wrong]
    with pytest.raises(AssertionError, match=message):
        check_backbone(backbone, exportable=wrong == "a decision in Python")


@pytest.mark.parametrize("backbone", [Right(), Told(), Wrapped(far=None), Wrapped(far=9)], ids=repr)
def test_a_right_backbone_passes(backbone: Backbone) -> None:
    check_backbone(backbone, exportable=False)


def test_a_right_backbone_is_exported_too() -> None:
    check_backbone(Right(), tasks=[PlainTask(scale=2)])


def test_only_what_is_claimed_is_checked() -> None:
    check_backbone(Wrapped(around="Single"), half=False, exportable=False)
    check_backbone(EveryScale(), tasks=[PlainTask(scale=2)], exportable=False)
    check_backbone(Wrapped(around="Opaque"), exportable=False)


@pytest.mark.parametrize("layers", [1, 5])
def test_the_reach_that_is_measured_is_that_of_the_convolutions(layers: int) -> None:
    assert measured_reach(Right(layers=layers), PlainTask(scale=2)) == layers + 2


def test_a_network_that_sees_everything_has_no_measured_reach() -> None:
    assert measured_reach(Wrapped(around="Averaging"), farthest=16) is None


class Two(ParallelConv):
    """Two convolutions of one input, added; fused rightly or, if they are to be apart, without the second."""

    def __init__(self, first: nn.Conv2d, second: nn.Conv2d, way: str):
        super().__init__((first, second))
        self.way = way

    def fused(self) -> nn.Conv2d:
        return self.parts()[0] if self.way == "apart" else super().fused()


class Alone(nn.Module):
    """The layer that is trained, or the one convolution that it is in use."""

    def __init__(self, one: nn.Module):
        super().__init__()
        self.parts = one

    def forward(self, features: Tensor) -> Tensor:
        return self.parts(features)


class Parallel(Backbone):
    """Two convolutions side by side, whose fused form is right, or wrong in a way that is told."""

    fused: bool = False
    """Whether they are one."""
    way: str = ""
    """In which."""

    def build(self, task: Task) -> nn.Module:
        def square() -> nn.Conv2d:
            return nn.Conv2d(task.channels, task.channels, 3, padding=1)

        made = Alone(square()) if self.fused and self.way != "as dear" else Alone(Two(square(), square(), self.way))
        if self.way == "another" and not self.fused:
            return nn.Sequential(made, Around(square()))
        return nn.Sequential(made)

    def reach(self, task: Task) -> int:
        return 2 if self.way == "another" and not self.fused else 1

    def fuse(self) -> Parallel:
        return self.replace(fused=not self.fused if self.way == "to and fro" else True)


def test_a_backbone_that_fuses_passes_in_both_forms() -> None:
    for fused in (False, True):
        check_backbone(Parallel(fused=fused), tasks=[PlainTask()], exportable=False)


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("as dear", "and fused .*; fuse must make it cheaper, or return None"),
        ("to and fro", "whose own fuse gives something else; a fused form gives itself"),
        (
            "another",
            "fused it differs from the trained form: 2 unexpected: 1.network.*; let the two differ only",
        ),
        ("apart", "fused its output differs by .*; `fused` must return a module that computes the same"),
    ],
)
def test_a_fused_form_that_is_none_is_told(way: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_backbone(Parallel(way=way), tasks=[PlainTask()], exportable=False)


class Stack(nn.Module, EarlyExit):
    """Convolutions in turn that can be left after each, rightly, or wrongly in a way that is told."""

    def __init__(self, colours: int, way: str):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Conv2d(colours, colours, 3, padding=1) for _ in range(2))
        self.way = way

    def forward(self, lq: Tensor) -> Tensor:
        features = lq
        for block in self.blocks:
            features = torch.relu(block(features))
        return features if self.way == "another" else lq + features

    def forward_stem(self, lq: Tensor) -> tuple[Tensor, ...]:
        return (lq.clone(),)

    def forward_block(self, state: tuple[Tensor, ...], block: int) -> tuple[Tensor, ...]:
        features = torch.relu(self.blocks[block](state[0]))
        if self.way == "in place":
            state[0].mul_(2)
        return (features[..., :-1] if self.way == "smaller" else features,)

    def forward_head(self, state: tuple[Tensor, ...], lq: Tensor) -> Tensor:
        (features,) = state
        return lq + (features.mean(dim=0, keepdim=True).expand_as(features) if self.way == "mixed" else features)


class Stopping(Backbone):
    """Says that it can be left after each of two convolutions."""

    way: str = ""
    """In which it is wrong."""

    def build(self, task: Task) -> nn.Module:
        network = Stack(task.channels, self.way)
        return nn.Sequential(network) if self.way == "hidden" else network

    def reach(self, task: Task) -> int:
        return 2

    def exits(self) -> int:
        return 2


def test_a_backbone_that_can_be_left_passes() -> None:
    check_backbone(Stopping(), tasks=[PlainTask()], exportable=False)


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("hidden", "exits returns 2, but its network is no EarlyExit; inherit from it, or return 0"),
        ("in place", "advance changes what it is given, at block 0; nothing there may be in place"),
        ("smaller", "features are .* after block 0 and .* before the first; let them keep their shape"),
        ("mixed", "left after block 0, the image of a row depends on the others; keep them apart"),
        ("another", "left after its last block it computes something else than forward; the two are one network"),
    ],
)
def test_one_that_cannot_be_left_as_it_says_is_told(way: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_backbone(Stopping(way=way), tasks=[PlainTask()], exportable=False)


class Advised(nn.Module):
    """A network with a part that only its objective asks."""

    def __init__(self, colours: int):
        super().__init__()
        self.network = nn.Conv2d(colours, colours, 3, padding=1)
        self.adviser = nn.Linear(colours, 1)

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq)


class Advising(nn.Module):
    """What trains an Advised as a whole."""

    def __init__(self, network: Advised, image_loss: ImageLoss):
        super().__init__()
        self.network, self.image_loss = network, image_loss

    def forward(self, lq: Tensor, gt: Tensor, progress: float) -> dict[str, Tensor]:
        image = self.network(lq)
        said = self.network.adviser(image.detach().mean(dim=(2, 3)))
        return {"image": self.image_loss(image, gt), "advice": (said - progress).square().mean()}


class Taught(Backbone):
    """Brings its objective, or forgets to."""

    forgets: bool = False
    """Whether it does."""
    fixes: bool = False
    """Whether it computes L1 whatever the loss of the recipe is."""

    def build(self, task: Task) -> nn.Module:
        return Advised(task.channels)

    def reach(self, task: Task) -> int:
        return 1

    def objective(self, network: nn.Module, image_loss: ImageLoss) -> nn.Module | None:
        if self.forgets or not isinstance(network, Advised):
            return None
        return Advising(network, nn.functional.l1_loss if self.fixes else image_loss)


def test_what_only_the_objective_asks_is_learned_too() -> None:
    check_backbone(Taught(), tasks=[PlainTask()], exportable=False)
    with pytest.raises(AssertionError, match=r"no gradient reaches adviser\.weight"):
        check_backbone(Taught(forgets=True), tasks=[PlainTask()], exportable=False)


class Late(Advising):
    """Trains the adviser in the second half alone."""

    def forward(self, lq: Tensor, gt: Tensor, progress: float) -> dict[str, Tensor]:
        losses = super().forward(lq, gt, progress)
        return losses if progress >= 0.5 else {"image": losses["image"]}


class Certain(Taught):
    """Says that each step trains everything, which is true unless it is late."""

    trains_all: ClassVar[bool] = True

    late: bool = False
    """Whether it is."""

    def objective(self, network: nn.Module, image_loss: ImageLoss) -> nn.Module | None:
        return Late(network, image_loss) if self.late else super().objective(network, image_loss)


def test_a_step_that_leaves_a_parameter_out_contradicts_the_claim_that_there_is_none() -> None:
    check_backbone(Certain(), tasks=[PlainTask()], exportable=False)
    with pytest.raises(AssertionError, match=r"at progress 0 its objective gives adviser\.weight no gradient"):
        check_backbone(Certain(late=True), tasks=[PlainTask()], exportable=False)


def test_an_objective_that_ignores_the_loss_of_the_recipe_fails() -> None:
    with pytest.raises(AssertionError, match="never calls image_loss"):
        check_backbone(Taught(fixes=True), tasks=[PlainTask()], exportable=False)
