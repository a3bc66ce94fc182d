"""Claims about the arguments of `lowvision accelerate`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from lowvision.commands.accelerate.request import AccelerateRequest

REQUEST = AccelerateRequest(weights=Path("a.safetensors"), photos=Path("photos"), output=Path("o.safetensors"))


def test_the_record_is_json_and_changes_with_what_determines_the_result() -> None:
    assert json.loads(json.dumps(REQUEST.record())) == REQUEST.record()
    for changes in ({"minutes": 5.0}, {"max_loss": 0.1}, {"downscale": 2.0}, {"students": ("carn",)}):
        assert replace(REQUEST, **changes).record() != REQUEST.record()
    for changes in ({"device": "cuda"}, {"restart": True}, {"runs": Path("elsewhere")}):
        assert replace(REQUEST, **changes).record() == REQUEST.record()
