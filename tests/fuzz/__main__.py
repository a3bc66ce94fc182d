"""`python -m tests.fuzz --seconds 3600 --seed 1`: a campaign of any length; exit code 1 if an input failed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest does: tests import each other by name

if __name__ == "__main__":
    from fuzz import campaign

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Try mutated inputs.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("fuzz"), help="Scratch folder; failures are kept there.")
    kinds = ["weights", "headers", "recipes", "images", "packages", "checkpoints", "metrics"]
    parser.add_argument("--kinds", nargs="+", choices=kinds, default=kinds)
    arguments = parser.parse_args()
    counts, failures = campaign.run(arguments.kinds, arguments.seed, arguments.seconds, arguments.folder.resolve())
    print("\n".join(campaign.lines(counts, failures)))
    sys.exit(1 if failures else 0)
