"""A store as it is after weeks, generated once and brought up to date in later runs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from attrs import frozen

from collecting.shop import Shop, report, with_end
from scout_core.measuring.report import Report
from scout_dashboard.store import Store, files
from scout_dashboard.store.tables import VERSION

_NEW_INSTANCE: Final = "00c0ffee00c0ffee"
_VARIANTS: Final = 7
"""Different reports, which take turns."""


@frozen(kw_only=True)
class Size:
    """The contents of a generated store."""

    days: int
    names: int
    traces_per_day: int

    @property
    def folder(self) -> str:
        """Name of the directory that holds it."""
        return f"{self.days}-days-{self.names}-names-{self.traces_per_day}-traces-schema-{VERSION}"


def prepare(cache: Path, size: Size, progress: Callable[[str], None]) -> tuple[Path, float]:
    """
    Generate the store, or add what is missing up to now.

    Returns:
        The data directory, and the seconds it took.
    """
    started = time.perf_counter()
    folder = cache / size.folder
    cache.mkdir(parents=True, exist_ok=True)
    latest = _latest(folder)
    if latest is not None and time.time() - latest > 2 * files.DAY:
        shutil.rmtree(folder)
        latest = None
    now = time.time()
    ends = [end for end in _ends(size, now) if latest is None or end > latest]
    by_day: dict[int, list[float]] = {}
    for end in ends:
        by_day.setdefault(files.day_of(end), []).append(end)
    store = Store(folder, retention_days=size.days + 1, trace_retention_days=size.days + 1)
    try:
        for done, (day, of_day) in enumerate(sorted(by_day.items())):
            progress(f"generating day {done + 1} of {len(by_day)}")
            traces = 0 if day < files.day_of(now) - 7 else max(1, size.traces_per_day // len(of_day))
            _fill(store, size, of_day, traces=traces)
    finally:
        store.close()
    return folder, time.perf_counter() - started


def _fill(store: Store, size: Size, ends: list[float], *, traces: int) -> None:
    shop = Shop(names=size.names, calls=40.0, traces=traces)
    variants = [
        report(shop, end=ends[0], period=60.0, instance=_NEW_INSTANCE, number=1, seed=seed) for seed in range(_VARIANTS)
    ]
    for found in _moved(variants, ends):
        store.apply(found, now=found.end)


def _moved(variants: list[Report], ends: list[float]) -> Iterator[Report]:
    for end in ends:
        yield with_end(variants[int(end) // 60 % len(variants)], end=end, number=int(end))


def _latest(folder: Path) -> float | None:
    if not folder.exists():
        return None
    store = Store(folder, retention_days=400, trace_retention_days=400)
    try:
        return max((app.last for app in store.reader.apps()), default=None)
    finally:
        store.close()


def _ends(size: Size, now: float) -> Iterator[float]:
    """
    Yield the ends of the reports: hourly, in the last two days every five minutes, and in the last three hours every minute.

    A page over a long range reads coarse slices, whose number does not depend on how many reports they were summed from.
    """
    last = int(now // 60) * 60 - 1
    for age in range(size.days * 1_440, -1, -1):
        if age % (60 if age > 2_880 else 5 if age > 180 else 1) == 0:
            yield float(last - age * 60)
