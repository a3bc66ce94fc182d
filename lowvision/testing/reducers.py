"""Check a reducer against its contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from lowvision.config.options import Options
from lowvision.plugins.contracts import Backbone, Reducer, Task
from lowvision.routing import cost
from lowvision.testing import networks, options
from lowvision.testing.backbones import subject_of
from lowvision.testing.subject import PlainTask, Subject, one_line

Level = int | float | str
UNKNOWN = "no such level"


class WithoutOptions(Backbone):
    """A backbone without options to reduce."""

    def build(self, task: Task) -> nn.Module:
        return nn.Sequential(nn.Conv2d(task.channels, task.channels * task.scale**2, 1), nn.PixelShuffle(task.scale))

    def reach(self, task: Task) -> int:
        return 0


def check_reducer(
    reducer: Reducer,
    backbone: Backbone,
    levels: Sequence[Level],
    *,
    task: Task | None = None,
    trained: nn.Module | None = None,
) -> None:
    """Check a reducer against its contract, with a small backbone that it can reduce.

    levels: as in a recipe, from the cheapest to the most expensive; the last may be the backbone itself.
    task: task to build for; by default the first supported scale, RGB.
    trained: network of the backbone for that task, for `reduce_trained`; by default a new one.

    Checks: serialization of options; every level gives a valid backbone, whose cost increases with the level; reducing
    changes no weights; impossible reductions raise ValueError; `inherit`, if defined, copies weights for some level,
    and changes nothing if it returns False. Raises AssertionError at the first failure.
    """
    options.check_options(reducer)
    task = task or PlainTask(scale=(backbone.scales or (1,))[0])
    kept = backbone.model_copy()
    network = trained or subject_of(backbone, task)[0].built(0)
    reduced = [_reduced(reducer, backbone, level, network) for level in levels]
    if backbone != kept:
        raise _failure(reducer, "reduce changes the backbone; return backbone.replace(...)")
    _check_costs(reducer, [subject_of(smaller, task)[0] for smaller in reduced], subject_of(backbone, task)[0], levels)
    _check_refusals(reducer, backbone, network)
    if type(reducer).inherit is not Reducer.inherit:
        pairs = zip(reduced, levels, strict=True)
        done = [_inherits(reducer, network, smaller, task, level) for smaller, level in pairs]
        if not any(done):
            raise _failure(
                reducer,
                "inherit is defined but returns False for every level; return True where weights were handed down, or "
                "leave it out",
            )


def _failure(reducer: Reducer, message: str) -> AssertionError:
    return AssertionError(f"{options.name_of(reducer)}: {message}")


def _reduced(reducer: Reducer, backbone: Backbone, level: Level, network: nn.Module) -> Backbone:
    before = _tensors(network)
    try:
        smaller = reducer.reduce_trained(backbone, level, network)
    except ValueError as error:
        raise _failure(
            reducer,
            f"level {level!r} of {options.name_of(backbone)} is refused: {one_line(error)}; check it with other levels",
        ) from error
    if _changed(before, network):
        raise _failure(reducer, "reduce_trained changes the network; it only reads what was learned")
    if not isinstance(smaller, Backbone):
        raise _failure(reducer, f"reduce returns a {type(smaller).__name__}; return backbone.replace(...), a Backbone")
    if not _is_valid(smaller):
        raise _failure(
            reducer,
            f"level {level!r} gives {smaller!r}, which the backbone's validators refuse; make it by "
            "backbone.replace(...), which validates, and not by model_copy or model_construct",
        )
    return smaller


def _is_valid(smaller: Options) -> bool:
    try:
        return type(smaller).model_validate(dict(smaller)) == smaller
    except ValueError:
        return False


def _check_costs(reducer: Reducer, subjects: Sequence[Subject], base: Subject, levels: Sequence[Level]) -> None:
    costs = [_cost(subject) for subject in subjects]
    whole = _cost(base)
    for k, (level, own) in enumerate(zip(levels, costs, strict=True)):
        is_last = k == len(levels) - 1
        if own > whole or (own == whole and not is_last):
            raise _failure(
                reducer,
                f"level {level!r} costs {own} and the backbone {whole}; a level must make it cheaper",
            )
        if k and costs[k - 1] >= own:
            raise _failure(
                reducer,
                f"level {levels[k - 1]!r} costs {costs[k - 1]} and level {level!r} {own}; give levels in order "
                "of increasing cost, all different",
            )


@dataclass(frozen=True, order=True)
class Cost:
    """Cost of a network; masks decide between networks of equal cost."""

    exact: int
    theoretical: int

    def __str__(self) -> str:
        masked = "" if self.theoretical == self.exact else f" ({self.theoretical} in theory)"
        return f"{self.exact} multiply-adds{masked}"


def _cost(subject: Subject) -> Cost:
    shape = (1, *subject.shape[1:])
    return Cost(networks.check_counted(subject), cost.theoretical_multiply_adds(subject.built(), shape))


def _check_refusals(reducer: Reducer, backbone: Backbone, network: nn.Module) -> None:
    """Check that an unknown level or an unsuitable backbone raises ValueError, which recipes report with its line."""
    for what, asked, level in (
        ("a level", backbone, UNKNOWN),
        ("a backbone without such options", WithoutOptions(), 1),
    ):
        for ask in (partial(reducer.reduce, asked, level), partial(reducer.reduce_trained, asked, level, network)):
            try:
                made = ask()
            except ValueError:
                continue
            except Exception as error:
                raise _failure(
                    reducer,
                    f"{what} that it does not support raises {type(error).__name__} ({one_line(error)}); raise "
                    "ValueError with a sentence, so that the error names the line of the recipe",
                ) from error
            if level == UNKNOWN or not isinstance(made, Backbone):
                raise _failure(
                    reducer, f"the level {level!r} of {options.name_of(asked)} gives {made!r}; raise ValueError"
                )


def _inherits(reducer: Reducer, larger: nn.Module, reduced: Backbone, task: Task, level: Level) -> bool:
    """Return whether a network inherits, and check that it does so correctly."""
    subject = subject_of(reduced, task)[0]
    smaller = subject.built(1)
    theirs, mine = _tensors(larger), _tensors(smaller)
    done = reducer.inherit(larger, smaller)
    if type(done) is not bool:
        raise _failure(reducer, f"inherit returns {done!r}; return True where weights were handed down, else False")
    if _changed(theirs, larger):
        raise _failure(reducer, "inherit changes the larger network; it is still the base: change `smaller` alone")
    changed = _changed(mine, smaller)
    if changed and not done:
        raise _failure(reducer, f"inherit returns False for level {level!r} but has changed {changed[0]}; return True")
    if done and not changed:
        raise _failure(reducer, f"inherit returns True for level {level!r} but has changed nothing in place")
    if done:
        _check_heir(reducer, subject, larger, smaller)
    return done


def _check_heir(reducer: Reducer, subject: Subject, larger: nn.Module, smaller: nn.Module) -> None:
    places = {tensor.untyped_storage().data_ptr() for tensor in larger.state_dict().values() if tensor.numel()}
    for name, tensor in smaller.state_dict().items():
        if tensor.numel() and tensor.untyped_storage().data_ptr() in places:
            raise _failure(reducer, f"after inherit {name} lies in the larger network's memory; copy_() it")
    output = subject.run(smaller, subject.images())
    if not output.isfinite().all():
        raise _failure(reducer, "the output of a network that has inherited is not finite")


def _tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def _changed(before: dict[str, torch.Tensor], network: nn.Module) -> list[str]:
    return [name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])]
