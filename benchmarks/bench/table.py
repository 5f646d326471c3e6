"""The results as text tables and as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from attrs import asdict

from bench.figures import Figure
from bench.measured import Measured

HEAD = ("what", "variant", "measure", "unit", "bare", "with", "added", "median", "×", "budget", "", "note")
PACKAGES = ("scout-core", "flask", "werkzeug", "sqlalchemy", "jinja2")


def machine() -> dict[str, str | int]:
    """Return the machine and the versions that the figures depend on."""
    found: dict[str, str | int] = {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count() or 0,
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def figures_table(figures: Iterable[Figure]) -> str:
    """Return a table with one line for each figure; repeated titles are left blank."""
    rows: list[tuple[str, ...]] = [HEAD]
    before = ""
    for figure in figures:
        rows.append((figure.what if figure.what != before else "", *_cells(figure)))
        before = figure.what
    return aligned(rows, left=(0, 1, 2, 3, 10, 11))


def arrivals_table(all_measured: Iterable[Measured]) -> str:
    """Return the table of what each sink decoded: the proof that every variant did its work."""
    rows: list[tuple[str, ...]] = [
        ("what", "variant", "transactions", "of", "spans", "of", "dropped", "of", "payloads", "bytes each", "")
    ]
    for measured in all_measured:
        arrived = measured.arrived
        mean_size = f"{arrived.bytes / arrived.transactions:.0f}" if arrived.transactions else ""
        pairs = (
            (arrived.transactions, arrived.expected),
            (arrived.spans, arrived.spans_expected),
            (arrived.dropped, arrived.dropped_expected),
        )
        numbers = [f"{number:,}" for pair in pairs for number in pair]
        state = "complete" if arrived.is_complete else f"INCOMPLETE {measured.last_error}".strip()
        rows.append(
            (measured.workload.title, measured.variant.name, *numbers, f"{arrived.payloads:,}", mean_size, state)
        )
    return aligned(rows, left=(0, 1, 10))


def as_json(
    figures: Sequence[Figure], all_measured: Sequence[Measured], options: dict[str, Any]
) -> dict[str, Any]:  # Any: JSON
    """Return everything that the tables show, and the figures of every round."""
    return {
        "machine": machine(),
        "options": options,
        "figures": [{**asdict(figure), "ratio": figure.ratio, "verdict": figure.verdict} for figure in figures],
        "arrived": [
            {
                "what": measured.workload.title,
                "variant": measured.variant.name,
                **asdict(measured.arrived),
                "is_complete": measured.arrived.is_complete,
                "patched": measured.patched,
                "rounds": {
                    "caller": measured.caller_us,
                    "fastest": measured.fastest_us,
                    "all threads": measured.all_us,
                },
            }
            for measured in all_measured
        ],
    }


def _cells(figure: Figure) -> tuple[str, ...]:
    return (
        figure.variant,
        figure.measure,
        figure.unit,
        _number(figure.bare),
        _number(figure.value),
        _number(figure.added, signed=True),
        _number(figure.added_median, signed=True),
        "" if figure.ratio is None else f"{figure.ratio:.2f}",
        "" if figure.budget is None else f"≤ {figure.budget:g}",
        figure.verdict,
        figure.note,
    )


def _number(value: float | None, *, signed: bool = False) -> str:
    if value is None:
        return ""
    digits = 3 if abs(value) < 1 else 2 if abs(value) < 10 else 1 if abs(value) < 1000 else 0
    return f"{value:{'+' if signed else ''}.{digits}f}"


def aligned(rows: Sequence[Sequence[str]], left: Sequence[int]) -> str:
    """
    Align the columns of a table, whose first row is its head.

    Args:
        left: columns that are aligned to the left; the others hold numbers.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join(lines)
