"""Arguments of the programs in this folder, which the benchmarks start: positions only, and ``--help``."""

from __future__ import annotations

import sys


def arguments(description: str | None) -> list[str]:
    """Return the arguments of the program; with ``-h`` or ``--help`` print the description and exit."""
    if {"-h", "--help"} & {*sys.argv[1:]}:
        sys.stdout.write(f"{description or ''}\n")
        raise SystemExit
    return sys.argv[1:]
