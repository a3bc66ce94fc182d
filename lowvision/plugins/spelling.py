"""One-line texts of components for reports, in the short forms of recipes."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from lowvision.config.options import Options
from lowvision.plugins import hookspecs
from lowvision.plugins.registry import Registry


def in_words(component: Options, registry: Registry) -> str:
    """Return the name and the options of a component, e.g. `sr, scale 4`; components in options as `spell` does."""
    needed = _needed(component, registry)
    shown = {name: value for name, value in component if name in needed or not _holds_component(value)}
    return ", ".join(
        [registry.name_of(component), *(f"{name} {spell(value, registry)}" for name, value in shown.items())]
    )


def spell(value: Any, registry: Registry) -> str:
    """Return the value of an option as a recipe writes it in one line; components without superfluous options."""
    if isinstance(value, Options):
        return _component(value, registry)
    if isinstance(value, tuple | list):
        return f"[{', '.join(spell(item, registry) for item in value)}]"
    if isinstance(value, dict):
        return _mapping({str(key): spell(item, registry) for key, item in value.items()})
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _component(component: Options, registry: Registry) -> str:
    given = {name: spell(value, registry) for name, value in _needed(component, registry).items()}
    if not isinstance(component, tuple(hookspecs.KINDS.values())):
        return _mapping(given)  # a group of options
    name = registry.name_of(component)
    return _mapping({name: _mapping(given)}) if given else name


def _mapping(texts: dict[str, str]) -> str:
    return f"{{{', '.join(f'{key}: {text}' for key, text in texts.items())}}}"


def _needed(component: Options, registry: Registry) -> dict[str, Any]:
    """Return the options without which the component would be another one: a default or a validator sets the rest."""
    needed = dict(component)
    for name in tuple(needed):
        fewer = {other: value for other, value in needed.items() if other != name}
        try:
            if type(component).model_validate(fewer, context=registry) == component:
                needed = fewer
        except ValidationError:  # it is required
            continue
    return needed


def _holds_component(value: Any) -> bool:
    return isinstance(value, Options) or (isinstance(value, tuple) and any(map(_holds_component, value)))
