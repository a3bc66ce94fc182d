"""`python -m tests.kills --seconds 3600`: a campaign of any length; exit code 1 if a kill lost or left something."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest does: tests import each other by name

if __name__ == "__main__":
    from kills import campaign

    parser = argparse.ArgumentParser(prog="python -m tests.kills", description="Kill commands at random moments.")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("kills"), help="Scratch folder.")
    parser.add_argument("--kinds", nargs="+", choices=list(campaign.KINDS), default=list(campaign.KINDS))
    arguments = parser.parse_args()
    counts, failures = campaign.run(arguments.kinds, arguments.seed, arguments.seconds, arguments.folder.resolve())
    print(", ".join(f"{count} kills of {kind}" for kind, count in counts.items()))
    print("\n".join(failures))
    sys.exit(1 if failures else 0)
