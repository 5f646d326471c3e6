"""Gauges of a process, or of all processes of an application, as the health page shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from scout_dashboard.formatting import Figure, count, decimal, duration, percent, size

_BUILT_IN: Final = "process"
"""The plugin of the core whose gauges have words of their own; those of other plugins are shown by their names."""
_WORDS: Final = {
    "rss_bytes": "Memory",
    "cpu_seconds": "Processor",
    "threads": "Threads",
    "open_files": "Open files",
    "gc_collections": "Garbage collections",
}
_NOTES: Final = {"gc_full_collections": "full"}


@frozen
class Gauge:
    """One gauge."""

    label: str
    figure: Figure
    note: str = ""


def gauge_rows(measured: Mapping[str, Any]) -> list[Gauge]:
    """
    Return what is shown of a process or an application.

    Args:
        measured: ``gauges`` and ``processor`` of the JSON (Any: several types).
    """
    gauges: Mapping[str, Mapping[str, float]] = measured["gauges"]
    own = gauges.get(_BUILT_IN, {})
    rows = [_known(name, own, measured["processor"]) for name in _WORDS if name in own]
    for plugin, others in sorted(gauges.items()):
        rows += [
            Gauge(f"{plugin}: {_words(name)}", _figure(name, number))
            for name, number in sorted(others.items())
            if plugin != _BUILT_IN or name not in _WORDS.keys() | _NOTES.keys()
        ]
    return rows


def _known(name: str, own: Mapping[str, float], processor: float | None) -> Gauge:
    if name == "cpu_seconds":
        return Gauge(_WORDS[name], percent(processor), f"of one core; {duration(own[name] * 1_000)} in all")
    if name == "gc_collections" and "gc_full_collections" in own:
        return Gauge(_WORDS[name], count(own[name]), f"{count(own['gc_full_collections'])} full")
    return Gauge(_WORDS[name], _figure(name, own[name]))


def _figure(name: str, number: float) -> Figure:
    if name.endswith("_bytes"):
        return size(number)
    if name.endswith("_seconds"):
        return duration(number * 1_000)
    return count(number) if number == int(number) else decimal(number)


def _words(name: str) -> str:
    return name.removesuffix("_bytes").removesuffix("_seconds").replace("_", " ")
