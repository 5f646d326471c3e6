"""Measure the time and memory that scout-core adds: ``python benchmarks/run.py --help``."""

from __future__ import annotations

from bench.command import main

if __name__ == "__main__":
    raise SystemExit(main())
