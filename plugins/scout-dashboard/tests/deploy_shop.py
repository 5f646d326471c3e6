"""A shop with a deploy, whose endpoints have the same figures before and after it, but for those that are given."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from urllib.parse import quote

import known_shop
import long_shop
from attrs import evolve
from sample_reports import error_group, report

from scout_core.measuring.report import Report
from scout_dashboard.collector import Collector

MINUTE = 60
APP = "Deployed shop of the northern region"
REVISION = "release/2026-11-30-with-the-new-prices-of-the-northern-region"
AT = time.time() - 2_400
ADDRESS = f"/deploy?app={quote(APP)}&revision={quote(REVISION)}&at={AT}"
NAMES = [f"Controller/shop.page_{number}" for number in range(40)]
Item = tuple[str, float, float, float]


def menu(changes: Mapping[int, tuple[float, float]] | None = None) -> tuple[Item, ...]:
    """Return name, typical seconds, calls a minute and share of errors of each endpoint; of those given by number, times and errors."""
    found = []
    for number, name in enumerate(NAMES):
        times, errors = (changes or {}).get(number, (1.0, 0.02))
        found.append((name, 0.05 * times, 20.0, errors))
    return (*found, ("Job/mail.send", 0.2, 20.0, 0.02), ("Controller/shop.rare", 0.1, 0.05, 0.0))


def reports(
    *,
    start: float,
    minutes: int,
    revision: str,
    of: tuple[Item, ...] | None = None,
    app: str = "Shop",
    groups: Mapping[str, int] | None = None,
    seed: int = 1,
) -> Iterator[Report]:
    """Yield a report for each minute from a time on, of one process; with so many errors of each group in each minute."""
    for number in range(1, minutes + 1):
        end = start + number * MINUTE
        instance = f"{revision}{int(start)}".encode().hex()[-16:]
        made = report(end=end, number=number, seed=seed, menu=of or menu(), traces=0, instance=instance, app=app)
        process = evolve(made.process, revision=revision, started=start)
        errors = [
            error_group(
                key, count, end=end, names=(NAMES[9],), exception=f"shop.errors.{key}", message=f"message of {key}"
            )
            for key, count in (groups or {}).items()
        ]
        yield evolve(made, process=process, error_groups=tuple(errors))


def fill(collector: Collector) -> None:
    """Send the reports of an application with long names, of which the deploy at ``ADDRESS`` changed some."""
    long = ((long_shop.NAME, 0.05, 20.0, 0.02), (long_shop.JOB, 0.05, 20.0, 0.02))
    worse = ((long_shop.NAME, 0.2, 20.0, 0.5), (long_shop.JOB, 0.05, 20.0, 0.02))
    groups = {"rises": 2, "usual": 10}
    before = reports(start=AT - 2_400, minutes=40, revision="one", of=(*menu(), *long), groups=groups, app=APP)
    more = {"rises": 20, "usual": 10, "arises": 3}
    changed = {0: (2.0, 0.02), 1: (0.5, 0.02)}
    after = reports(start=AT, minutes=39, revision=REVISION, of=(*menu(changed), *worse), groups=more, app=APP)
    for sent in (*before, *after):
        known_shop.send(collector, sent)
