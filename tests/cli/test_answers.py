"""Claims about the JSON documents of commands."""

from __future__ import annotations

import json

from cli.saying import Say


def test_listings_can_be_printed_as_json(say: Say) -> None:
    kinds = json.loads(say("ls", "--json").out)
    assert "carn" in [entry["name"] for entry in kinds["backbones"]]
    assert {"name", "about", "file"} == kinds["recipes"][0].keys()
    plugins = json.loads(say("plugins", "--json").out)
    assert {"name", "module", "distribution", "version", "provides", "broken", "left_out"} == plugins[0].keys()
    assert json.loads(say("schema").out)["$defs"]["backbones.carn"]
