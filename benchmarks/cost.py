"""Count the instructions that scout-core adds: ``python benchmarks/cost.py --help``."""

from __future__ import annotations

from bench.cost_command import main

if __name__ == "__main__":
    raise SystemExit(main())
