"""The stages of a recipe: those that it names, out of all that plugins provide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, ValidationInfo
from pydantic_core import core_schema

from lowvision.config.validation import ValidationIssue, as_error, from_error, shown
from lowvision.errors import LowvisionError
from lowvision.plugins.registry import Registry
from lowvision.plugins.stages import Stage

KIND = "stages"


class Stages(Mapping[str, Stage]):
    """The stages of a recipe by name, in the order in which they run.

    As an attribute, an available stage is None if the recipe does not have it: `recipe.stages.joint`.
    """

    __slots__ = ("_menu", "_stages", "written")

    def __init__(self, stages: Mapping[str, Stage], menu: Iterable[str] = (), written: Iterable[str] = ()):
        self._stages = {name: stages[name] for name in sorted(stages, key=lambda name: (stages[name].place, name))}
        self._menu = frozenset((*menu, *stages))
        self.written = frozenset(written)
        """Names of the stages that the recipe itself gives; the others run by default."""

    def __getitem__(self, name: str) -> Stage:
        return self._stages[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._stages)

    def __len__(self) -> int:
        return len(self._stages)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._menu:
            raise AttributeError(f"there is no stage '{name}'")
        return self._stages.get(name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stages) and self._stages == other._stages

    def __hash__(self) -> int:
        return hash(tuple(self._stages.items()))

    def __repr__(self) -> str:
        return f"Stages({self._stages!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(
            _chosen, serialization=core_schema.plain_serializer_function_ser_schema(_serialized, info_arg=True)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {}  # `recipe.schema` refers to the stages of a registry


def menu(registry: Registry) -> list[str]:
    """Return the names of all stages in the order in which they run."""
    places = {name: entry.component.place for name, entry in registry[KIND].items()}  # type: ignore[attr-defined]  # every entry of the kind is a Stage
    return sorted(places, key=lambda name: (places[name], name))


def _chosen(value: Any, info: ValidationInfo) -> Stages:
    """Return the stages that a recipe names; raise ValidationError with the issues of all of them."""
    if isinstance(value, Stages):
        return value
    if not isinstance(value, dict):
        raise ValueError(f"must be a mapping of stages to their options, not {shown(value)}")
    registry: Registry = info.context  # type: ignore[assignment]  # all callers pass it
    defaults: dict[str, Any] = {
        name: {} for name in menu(registry) if _is_default(registry, name) and name not in value
    }
    stages: dict[str, Stage] = {}
    issues: list[ValidationIssue] = []
    for name, options in {**value, **defaults}.items():
        try:
            component = registry.find(KIND, name).component
            if options is not None:
                stages[name] = component.model_validate(options, context=registry)  # type: ignore[attr-defined]  # as above
        except LowvisionError as error:
            issues.append(ValidationIssue((name,), str(error)))
        except ValidationError as error:
            issues += [issue.below(name) for issue in from_error(error, component, options)]
    if issues:
        raise as_error(KIND, issues)
    return Stages(stages, menu(registry), value)


def _is_default(registry: Registry, name: str) -> bool:
    return bool(registry[KIND][name].component.default)  # type: ignore[attr-defined]  # as above


def _serialized(stages: Stages, info: core_schema.SerializationInfo) -> dict[str, Any]:
    """Return {name: all options} in order; null for stages that would run by default but do not."""
    registry: Registry = info.context  # type: ignore[assignment]  # all callers pass it
    names = [name for name in menu(registry) if name in stages or _is_default(registry, name)]
    return {
        name: stages[name].model_dump(mode=info.mode, context=registry) if name in stages else None for name in names
    }
