"""Claims about answers for programs."""

from __future__ import annotations

import json

from cli.saying import Say


def test_listings_are_json_too(say: Say) -> None:
    menus = json.loads(say("ls", "--json").out)
    assert "carn" in [entry["name"] for entry in menus["backbones"]]
    plugins = json.loads(say("plugins", "--json").out)
    assert {"name", "distribution", "version", "provides", "broken"} == plugins[0].keys()
    assert json.loads(say("schema").out)["$defs"]["backbones.carn"]
