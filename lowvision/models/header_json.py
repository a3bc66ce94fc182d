"""The header of a weights file as JSON: parse it within limits, and report what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lowvision.errors import WeightsError, message_of

MAX_LENGTH = 8 << 20
"""Largest number of characters of a header; the largest of a real network has some 100,000."""


def parsed(text: str, path: Path) -> dict[str, Any]:
    """Return the JSON object of a header. Raises WeightsError if it is none, or is too long or nested too deeply."""
    if len(text) > MAX_LENGTH:
        raise WeightsError(f"{path}: its header has {len(text)} characters, more than {MAX_LENGTH}; get the file again")
    try:
        raw = json.loads(text)
        with_tuples(raw)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: its header is damaged ({message_of(error)[:200]}); get the file again") from None
    if not isinstance(raw, dict):
        raise WeightsError(f"{path}: its header is no JSON object; get the file again")
    return raw


def check_format(raw: Mapping[str, Any], newest: int, path: Path) -> None:
    """Raise WeightsError if the file needs a newer lowvision."""
    version = raw.get("format", 0)
    if isinstance(version, bool) or not isinstance(version, int):
        raise WeightsError(f"{path}: its header is damaged (format must be a whole number); get the file again")
    if version > newest:
        shown = version if abs(version) < 10**9 else "more than 10^9"
        raise WeightsError(f"{path}: format {shown} is newer than this lowvision reads ({newest}); upgrade it")


def reasons(error: ValidationError) -> str:
    """Return the messages of an error in one line."""
    # A list is too short only if a branch is invalid, which has its own message.
    messages = [e["msg"].removeprefix("Value error, ") for e in error.errors() if e["type"] != "too_short"]
    return message_of(ValueError("; ".join(dict.fromkeys(messages or [str(error)]))))[:1000]


def needs(raw: Mapping[str, Any]) -> str:
    """Return the end of a message: the plugins that the file was made with."""
    plugins = raw.get("plugins")
    if not isinstance(plugins, dict) or not plugins:
        return ""
    listed = ", ".join(f"{name} {version}" for name, version in plugins.items())
    return f"; it was made with {listed[:300]}: install those that are missing"


def with_tuples(value: Any) -> Any:
    """Convert JSON's lists to tuples, which options models require."""
    if isinstance(value, list):
        return tuple(with_tuples(v) for v in value)
    if isinstance(value, dict):
        return {name: with_tuples(v) for name, v in value.items()}
    return value
