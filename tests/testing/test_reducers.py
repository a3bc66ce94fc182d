"""Claims about check_reducer: it accepts a correct reducer, and reports each kind of error with a way out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import Field
from torch import nn

from lowvision import Backbone, Reducer, Task
from lowvision.testing import PlainTask, check_reducer


class Net(Backbone):
    """Two convolutions."""

    channels: int = Field(default=8, ge=1)
    """Feature channels."""
    height: int = 1
    """Kernel size of the second convolution."""

    def build(self, task: Task) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(task.channels, self.channels, 3, padding=1),
            nn.Conv2d(self.channels, task.channels, (self.height, 1), padding=(self.height // 2, 0)),
        )

    def reach(self, task: Task) -> int | None:
        return 1 + self.height // 2


class FaultyReducer(Reducer):
    """A reducer of channels with the given fault."""

    fault: str = ""
    """In which."""

    def reduce(self, backbone: Backbone, level: Any) -> Any:
        match self.fault:
            case "every word":
                return backbone.replace(channels=level if type(level) is int else 1)
            case "no questions":
                return backbone.replace(channels=level + 0)
            case "grows":
                return backbone.replace(channels=_whole(level) + 8)
            case "unchecked":
                return backbone.model_copy(update={"channels": level + 0.0})
            case "a number":
                return level
            case "reversed costs":
                return backbone.replace(channels=9 - _whole(level))
        return backbone.replace(channels=_whole(level))


class FaultyInheritance(FaultyReducer):
    """A reducer that inherits slices, with the given fault."""

    def inherit(self, larger: Any, smaller: Any) -> Any:
        if self.fault == "never":
            return False
        count = smaller[0].out_channels
        with torch.no_grad():
            if self.fault == "shares":
                smaller[0].bias.data = larger[0].bias.data[:count]
            if self.fault != "pretends":
                smaller[0].weight.copy_(larger[0].weight[:count])
                smaller[1].weight.copy_(larger[1].weight[:, :count])
            if self.fault == "wastes":
                larger[0].weight.zero_()
            if self.fault == "not finite":
                smaller[0].weight.div_(0)
        if self.fault == "silent":
            return None
        return self.fault != "denies"


class Reader(FaultyInheritance):
    """Keeps the channels with a positive trained bias, which only the weights show."""

    def reduce(self, backbone: Backbone, level: Any) -> Any:
        raise ValueError("trained weights tell")

    def reduce_trained(self, backbone: Backbone, level: Any, network: Any) -> Any:
        if level != "open" or type(backbone) is not Net:
            raise ValueError(f"no level {level!r}")
        count = int((network[0].bias > 0).sum())
        if self.fault == "tidies":
            network[0].bias.data.clamp_(min=0)
        return backbone.replace(channels=count)


def _whole(level: Any) -> int:
    if type(level) is not int:
        raise ValueError(f"give a whole number of channels, not {level!r}")
    return level


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (FaultyReducer(fault="every word"), "the level 'no such level' of .* raise ValueError"),
        (FaultyReducer(fault="no questions"), r"raises TypeError .* raise ValueError with a sentence"),
        (FaultyReducer(fault="grows"), "level 2 costs .* a level must make it cheaper"),
        (FaultyReducer(fault="unchecked"), "which the backbone's validators refuse; make it by backbone.replace"),
        (FaultyReducer(fault="a number"), "reduce returns a int; return backbone.replace"),
        (FaultyReducer(fault="reversed costs"), "level 2 costs .* give levels in order of increasing cost"),
        (FaultyInheritance(fault="never"), "inherit is defined but returns False for every level"),
        (FaultyInheritance(fault="pretends"), "returns True for level 2 but has changed nothing"),
        (FaultyInheritance(fault="denies"), "returns False for level 2 but has changed 0.weight"),
        (FaultyInheritance(fault="silent"), "inherit returns None"),
        (FaultyInheritance(fault="shares"), "0.bias lies in the larger network's memory; copy_"),
        (FaultyInheritance(fault="wastes"), "inherit changes the larger network"),
        (FaultyInheritance(fault="not finite"), "is not finite"),
    ],
    ids=repr,
)
def test_an_invalid_reducer_is_reported_with_a_remedy(wrong: Reducer, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_reducer(wrong, Net(), [2, 4])


@pytest.mark.parametrize("right", [FaultyReducer(), FaultyInheritance()], ids=repr)
def test_a_valid_reducer_passes(right: Reducer) -> None:
    check_reducer(right, Net(), [2, 4, 8])


def test_levels_must_be_valid_and_ordered_by_cost() -> None:
    with pytest.raises(AssertionError, match=r"level 4 costs .* in order of increasing cost"):
        check_reducer(FaultyReducer(), Net(), [4, 2])
    with pytest.raises(AssertionError, match=r"level 8 costs .* a level must make it cheaper"):
        check_reducer(FaultyReducer(), Net(), [8, 4])
    with pytest.raises(AssertionError, match=r"level 0 of .* is refused: .* check it with other levels"):
        check_reducer(FaultyReducer(), Net(), [0, 4])


def test_a_reducer_that_reads_trained_weights_passes() -> None:
    trained = Net().build(PlainTask())
    with torch.no_grad():
        trained[0].bias.copy_(torch.tensor([1.0, 1, 1, -1, -1, -1, -1, -1]))  # type: ignore[operator]  # of a Sequential
    check_reducer(Reader(), Net(), ["open"], trained=trained)
    with pytest.raises(AssertionError, match="reduce_trained changes the network; it only reads"):
        check_reducer(Reader(fault="tidies"), Net(), ["open"], trained=trained)
