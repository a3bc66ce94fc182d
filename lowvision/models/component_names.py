"""Name the components of an architecture: their registered names, their options, the distributions they come from."""

from __future__ import annotations

from collections.abc import Iterator

from lowvision.config.options import Options
from lowvision.models.architecture import Architecture
from lowvision.plugins.contracts import Backbone
from lowvision.plugins.registry import Registry


def brief(architecture: Architecture, registry: Registry) -> str:
    """Return the architecture by names, e.g. `a container of fsrcnn, fsrcnn, fsrcnn for sr x4`."""
    networks = ", ".join(_brief(backbone, registry) for backbone in architecture.branches)
    description = f"a container of {networks}" if architecture.classifier else networks
    return f"{description} for {registry.name_of(architecture.task)} x{architecture.task.scale}"


def _brief(backbone: Backbone, registry: Registry) -> str:
    """Return the name; with options if the name alone says nothing: one that is not printed holds the structure."""
    is_packed = not all(_is_printed(backbone, name) for name in type(backbone).model_fields)
    return _with_options(backbone, registry) if is_packed else registry.name_of(backbone)


def plugins_of(architecture: Architecture, registry: Registry) -> dict[str, str]:
    """Return the distributions whose plugins an architecture needs, and their installed versions."""
    entries = [registry.entry_of(component) for component in components_of(architecture)]
    return {entry.distribution: entry.version for entry in entries}


def components_of(architecture: Architecture) -> list[Options]:
    """Return the components of an architecture, with the backbones among their options."""
    parts = [architecture.task, *architecture.branches, architecture.classifier]
    present = [part for part in parts if part is not None]
    return [component for part in present for component in (part, *_inner_backbones(part))]


def _inner_backbones(options: Options) -> Iterator[Backbone]:
    """Yield the backbones among the options, and those among their options."""
    for _, value in options:
        if isinstance(value, Backbone):
            yield value
            yield from _inner_backbones(value)


def shown(architecture: Architecture, registry: Registry) -> str:
    """Return the architecture with its options, e.g. `fsrcnn(channels=16), ... for sr x2`."""
    networks = ", ".join(_with_options(branch, registry) for branch in architecture.branches)
    return f"{networks} for {registry.name_of(architecture.task)} x{architecture.task.scale}"


def _with_options(options: Options, registry: Registry) -> str:
    """Return e.g. `fsrcnn(channels=16)`; backbones among the options are written in the same way."""
    values = {name: value for name, value in options if _is_printed(options, name)}
    texts = {n: _with_options(v, registry) if isinstance(v, Backbone) else v for n, v in values.items()}
    return f"{registry.name_of(options)}({', '.join(f'{name}={value}' for name, value in texts.items())})"


def _is_printed(options: Options, name: str) -> bool:
    """Return True unless the field has `repr=False`."""
    return bool(type(options).model_fields[name].repr)
