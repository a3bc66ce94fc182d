"""Claims about the JSON documents of commands."""

from __future__ import annotations

import json

from cli.command_result import RunCommand


def test_listings_can_be_printed_as_json(run_command: RunCommand) -> None:
    kinds = json.loads(run_command("ls", "--json").out)
    assert "carn" in [entry["name"] for entry in kinds["backbones"]]
    assert {"name", "about", "file"} == kinds["recipes"][0].keys()
    plugins = json.loads(run_command("plugins", "--json").out)
    assert {"name", "module", "distribution", "version", "provides", "broken", "left_out"} == plugins[0].keys()
    assert json.loads(run_command("schema").out)["$defs"]["backbones.carn"]
