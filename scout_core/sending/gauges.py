"""The gauges of a process, as plugins measure them when a period is over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from scout_core.boundary.guard import Guard
from scout_core.measuring.numbers import real
from scout_core.recording.naming import type_name

MOST: Final = 50
"""Gauges of one plugin."""
LARGEST: Final = 1e18
_LONGEST_NAME: Final = 100


def measured(guards: Iterable[Guard]) -> dict[str, dict[str, float]]:
    """
    Return the gauges of all plugins: plugin to name to number.

    A result that cannot be used is refused as a whole and counts as an error of the plugin.
    """
    gauges: dict[str, dict[str, float]] = {}
    for guard in guards:
        found = guard.run()
        if found is None:
            continue
        read = _read(found)
        if isinstance(read, str):
            guard.refuse(f"measure_process must return {read}")
        else:
            gauges.setdefault(guard.plugin, {}).update(read)
    return gauges


def _read(found: object) -> dict[str, float] | str:
    """Return the gauges, or what was expected instead; of the plugin's code only the numbers' own conversion runs."""
    if not issubclass(type(found), dict):
        return f"a dict of names to numbers, got {type_name(type(found))}"
    items: list[tuple[object, object]] = list(dict.items(found))  # type: ignore[arg-type]  # a class and its object
    if len(items) > MOST:
        return f"at most {MOST} gauges, got {len(items)}"
    gauges = {}
    for name, value in items:
        if type(name) is not str or not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
            return f"printable names of at most {_LONGEST_NAME} characters"
        number = real(value, limit=LARGEST)
        if number is None:
            return f"finite numbers, got {type_name(type(value))} for {name}"
        gauges[name] = number
    return gauges
