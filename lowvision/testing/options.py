"""Check options models: serialization and docstrings."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import ValidationError

from lowvision.config import yaml_reader
from lowvision.config.options import Options
from lowvision.errors import LowvisionError, PluginError, message_of
from lowvision.plugins import hookspecs, registry
from lowvision.plugins.registry import Registry
from lowvision.testing.registration import registered


def check_options(options: Options) -> None:
    """Check that options survive the header of a weights file, and that class and fields have docstrings."""
    kind = type(options)
    if not kind.__doc__ or kind.__doc__ == kind.__mro__[1].__doc__:
        raise AssertionError(f"{kind.__name__}: give the class a docstring; `lowvision ls` shows its first line")
    described = kind.described()
    for name in kind.model_fields:
        if name not in described:
            raise AssertionError(
                f"{kind.__name__}: give the option '{name}' a docstring below it; editors and `lowvision show` show it"
            )
    components = registry.load()  # needed to serialize a component among the options
    if unprovided := _unprovided(options, components):
        with registered(unprovided) as components:
            _check_written(options, components)
    else:
        _check_written(options, components)


def _check_written(options: Options, components: Registry) -> None:
    kind = type(options)
    try:
        written = yaml_reader.parse(
            json.dumps(options.model_dump(mode="json", context=components)), kind.__name__
        ).value
        again = kind.model_validate(written, context=components)
    except (ValidationError, TypeError, ValueError, LowvisionError) as error:
        reason = message_of(error)[:300]
        raise AssertionError(
            f"{kind.__name__}: its options cannot be written to JSON and read again, as recipes and weights "
            f"files do ({reason}); use numbers, strings, booleans, tuples and further Options, and validators that "
            "accept their own results"
        ) from error
    if again != options:
        raise AssertionError(
            f"{kind.__name__}: {options!r} was written, but {again!r} is read; a validator must not change its own "
            "results"
        )


def _unprovided(options: Options, components: Registry) -> dict[str, dict[str, type]]:
    """Return the components among the options that no plugin provides, e.g. those of a test: kind -> name -> class."""
    result: dict[str, dict[str, type]] = {}
    for part in _parts(options):
        for kind, contract in hookspecs.KINDS.items():
            if isinstance(part, contract) and not _is_provided(part, components):
                result.setdefault(kind, {})[f"unprovided_{id(type(part))}"] = type(part)
    return result


def _parts(options: Options) -> Iterator[Options]:
    """Yield the options among the options, and those among them."""
    for _, value in options:
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Options):
                yield part
                yield from _parts(part)


def _is_provided(component: Options, components: Registry) -> bool:
    try:
        return bool(components.name_of(component))
    except PluginError:
        return False


def name_of(options: Options) -> str:
    """Return the class and the options that were set, e.g. `Plain(channels=8)`."""
    values = ", ".join(f"{name}={getattr(options, name)!r}" for name in sorted(options.model_fields_set))
    return f"{type(options).__name__}({values})"
