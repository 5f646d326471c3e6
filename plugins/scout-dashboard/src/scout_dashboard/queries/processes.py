"""The processes that report: their plugins and counters; and how the collector is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from attrs import asdict

from scout_core.sending.protocol import PROBE_APP, ProcessFacts
from scout_dashboard.queries.figures import Facts
from scout_dashboard.queries.plugins import plugin_facts
from scout_dashboard.store import Store
from scout_dashboard.store.reader import Reader
from scout_dashboard.tally import Tally

_SHOWN_SECONDS: Final = 86_400
_MOST_SHOWN: Final = 50
_OWN_EXPORTER: Final = "collector"
"""How an agent calls the exporter that sends here; its counters are the totals, so that nothing counts twice."""


def plugins(reader: Reader, *, app: str | None, now: float) -> Facts:
    """The plugins of each process, the process that started last first; of one those that need a look first."""
    return {"processes": [head | {"plugins": _plugins(facts)} for head, facts in _processes(reader, app=app, now=now)]}


def health(store: Store, tally: Tally, *, app: str | None, now: float) -> Facts:
    """Counters of each process and their sum; counters and state of the collector; the store."""
    found = _processes(store.reader, app=app, now=now)
    stored = _stored(store.reader, [head["instance"] for head, _ in found])
    processes = [head | {"counters": _settled(facts, stored[head["instance"]])} for head, facts in found]
    return {
        "processes": processes,
        "totals": _totals([_main_counters(process["counters"]) for process in processes]),
        "collector": tally.facts() | {"store_bytes": store.size_bytes(), "oldest": oldest(store.reader)},
        "store": {
            "path": str(store.directory),
            "retention_days": store.retention_days,
            "trace_retention_days": store.trace_retention_days,
        },
    }


def apps(reader: Reader) -> list[Facts]:
    """Each application and when it reported last."""
    return [{"name": app.name, "seen": app.last} for app in reader.apps()]


def oldest(reader: Reader) -> float | None:
    """Since when there is data; None for an empty store."""
    return min((app.first for app in reader.apps()), default=None)


def _processes(reader: Reader, *, app: str | None, now: float) -> list[tuple[Facts, Facts]]:
    since = now - _SHOWN_SECONDS
    sql = "SELECT instance, seen, facts FROM process WHERE seen >= ? ORDER BY seen DESC LIMIT ?"
    latest: dict[str, tuple[float, Facts]] = {}
    for instance, seen, facts in reader.rows("metrics", sql, (since, _MOST_SHOWN), start=since):
        if seen >= latest.get(instance, (0.0, {}))[0]:
            latest[instance] = (seen, json.loads(facts))
    rows = [(_head(facts["process"], seen), facts) for seen, facts in latest.values()]
    wanted = [row for row in rows if (row[0]["app"] != PROBE_APP if app is None else row[0]["app"] == app)]
    return sorted(wanted, key=lambda row: (-row[0]["started"], row[0]["instance"]))[:_MOST_SHOWN]


def _plugins(facts: Facts) -> list[Facts]:
    plugins = [plugin_facts(status) for status in facts["plugins"]]
    return sorted(plugins, key=lambda plugin: (not plugin["needs_look"], plugin["state"] != "active", plugin["name"]))


def _head(process: Facts, seen: float) -> Facts:
    return asdict(
        ProcessFacts(
            app=process["app"],
            host=process["hostname"],
            pid=process["pid"],
            instance=process["instance"],
            agent=process["agent"],
            python=process["python"],
            revision=process["revision"],
            started=process["started"],
            seen=seen,
        )
    )


def _stored(reader: Reader, instances: Sequence[str]) -> dict[str, int]:
    """How many transactions of each process are in the store; those of days past their retention are not."""
    sums = dict.fromkeys(instances, 0)
    sql = f"SELECT instance, stored FROM process WHERE instance IN ({', '.join('?' * len(sums))})"  # noqa: S608  # no values
    for instance, stored in reader.rows("metrics", sql, tuple(sums)):
        sums[instance] += stored
    return sums


def _settled(facts: Facts, stored: int) -> dict[str, Facts]:
    """
    A process's counters, that of the exporter which sends here with what arrived since it counted.

    A report's counters are from before it was sent: of a process that has ended they would say "queued" for ever.
    """
    counters: dict[str, Facts] = facts["counters"]
    own = counters.get(_OWN_EXPORTER)
    if own is None:
        return counters
    dropped = sum(own["dropped"].values())
    # What it had given up may have arrived after all; it stays dropped, so that the sum is right.
    exported = min(max(stored, own["exported"] + facts.get("transactions", 0)), own["finished"] - dropped)
    if exported < own["exported"]:
        return counters  # they do not add up by themselves, and the page says so
    settled = {"exported": exported, "queued": own["finished"] - dropped - exported}
    return counters | {_OWN_EXPORTER: own | settled}


def _main_counters(counters: dict[str, Facts]) -> Facts | None:
    return counters.get(_OWN_EXPORTER) or next((counters[name] for name in sorted(counters)), None)


def _totals(counters: list[Facts | None]) -> Facts:
    totals: Facts = {"finished": 0, "exported": 0, "queued": 0, "dropped": {}}
    for each in counters:
        if each is None:
            continue
        for key in ("finished", "exported", "queued"):
            totals[key] += each[key]
        for reason, count in each["dropped"].items():
            totals["dropped"][reason] = totals["dropped"].get(reason, 0) + count
    return totals
