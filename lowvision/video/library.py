"""Import PyAV, which only clips need."""

from __future__ import annotations

from types import ModuleType

from lowvision.errors import UsageError


def pyav() -> ModuleType:
    """Return the module `av`, silenced: its decoders print about every broken frame, and we report them ourselves.

    Raises UsageError if it is not installed.
    """
    try:
        import av
        import av.logging
    except ImportError:
        raise UsageError("video needs PyAV; run pip install 'lowvision-framework[video]'") from None
    av.logging.set_level(av.logging.PANIC)
    return av
