"""The weights files that the options of a stage name."""

from __future__ import annotations

from collections.abc import Iterator

from lowvision.plugins.stages import Stage


def files_of(stage: Stage) -> Iterator[tuple[str, str]]:
    """Yield the option and the name of each file, or of shipped weights, in the `weights_options` of a stage."""
    for option in stage.weights_options:
        value = getattr(stage, option)
        for name in (value,) if isinstance(value, str) else value or ():
            yield option, name
