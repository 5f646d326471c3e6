"""Measure how much the collector takes in, and how fast its pages are: ``python benchmarks/collector.py --help``."""

from __future__ import annotations

from collecting.command import main

if __name__ == "__main__":
    raise SystemExit(main())
