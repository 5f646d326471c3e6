"""The processes that report, with their plugins and counters, and the state of the collector."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Final

from attrs import asdict

from scout_core.sending.protocol import PROBE_APP, ProcessFacts, is_heard_from
from scout_dashboard.queries.arrivals import arrivals
from scout_dashboard.queries.gauges import gauges_of, usage
from scout_dashboard.queries.metrics import Facts
from scout_dashboard.queries.plugins import plugin_facts, urgency
from scout_dashboard.store import Store
from scout_dashboard.store.reader import Reader
from scout_dashboard.tally import Tally

_SHOWN_SECONDS: Final = 86_400
_MAX_SHOWN: Final = 50
_OWN_EXPORTER: Final = "collector"
"""Name of the agent's exporter that sends here; only its counters are added up, so that nothing counts twice."""


def plugins(reader: Reader, *, app: str | None, now: float) -> Facts:
    """Return the plugins of each process: latest started process first, and plugins that need attention first."""
    return {
        "processes": [
            head | {"plugins": _plugins(facts), "is_running": is_heard_from(head["seen"], facts.get("period"), now=now)}
            for head, facts in _processes(reader, app=app, now=now)
        ]
    }


def health(store: Store, tally: Tally, *, app: str | None, now: float) -> Facts:
    """Return the counters and gauges of each process and their sums, the collector's counters and state, and the store."""
    found = _processes(store.reader, app=app, now=now)
    stored = _stored(store.reader, [head["instance"] for head, _ in found])
    arrived = arrivals(store.reader, found, now=now)
    processes = [
        head
        | {"reports": arrived[head["instance"]]}
        | {"counters": _with_left_out(_settled(facts, stored[head["instance"]]), facts.get("left_out", {}))}
        | gauges_of(facts, head["seen"])
        for head, facts in found
    ]
    return {
        "processes": processes,
        "usage": usage(processes),
        "totals": _totals([_main_counters(process["counters"]) for process in processes]),
        "collector": tally.facts() | {"store_bytes": store.size_bytes(), "oldest": oldest(store.reader)},
        "store": {
            "path": str(store.directory),
            "retention_days": store.retention_days,
            "trace_retention_days": store.trace_retention_days,
        },
    }


def apps(reader: Reader) -> list[Facts]:
    """Return each application and the time of its latest report."""
    return [{"name": app.name, "seen": app.last} for app in reader.apps()]


def oldest(reader: Reader) -> float | None:
    """Return the time of the oldest data; None for an empty store."""
    return min((app.first for app in reader.apps()), default=None)


def _processes(reader: Reader, *, app: str | None, now: float) -> list[tuple[Facts, Facts]]:
    since = now - _SHOWN_SECONDS
    sql = "SELECT instance, seen, facts FROM process WHERE seen >= ? ORDER BY seen DESC LIMIT ?"
    latest: dict[str, tuple[float, Facts]] = {}
    for instance, seen, facts in reader.rows("metrics", sql, (since, _MAX_SHOWN), start=since):
        if seen >= latest.get(instance, (0.0, {}))[0]:
            latest[instance] = (seen, json.loads(facts))
    rows = [(_head(facts["process"], seen), facts) for seen, facts in latest.values()]
    shown = [row for row in rows if (row[0]["app"] != PROBE_APP if app is None else row[0]["app"] == app)]
    return sorted(shown, key=lambda row: (-row[0]["started"], row[0]["instance"]))[:_MAX_SHOWN]


def _plugins(facts: Facts) -> list[Facts]:
    plugins = [plugin_facts(status) for status in facts["plugins"]]
    return sorted(plugins, key=lambda plugin: (*urgency(plugin), plugin["name"]))


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
    """Return the number of stored transactions of each process, without expired days."""
    sums = dict.fromkeys(instances, 0)
    sql = f"SELECT instance, stored FROM process WHERE instance IN ({', '.join('?' * len(sums))})"  # noqa: S608  # only placeholders
    for instance, stored in reader.rows("metrics", sql, tuple(sums)):
        sums[instance] += stored
    return sums


def _settled(facts: Facts, stored: int) -> dict[str, Facts]:
    """
    Return a process's counters after counting its stored transactions as exported.

    A report's counters are older than its delivery: for a finished process, its last transactions would stay queued forever.
    """
    counters: dict[str, Facts] = facts["counters"]
    own = counters.get(_OWN_EXPORTER)
    if own is None:
        return counters
    dropped = sum(own["dropped"].values())
    # Transactions counted as dropped may have arrived after all; they stay dropped, so that the sum is right.
    exported = min(max(stored, own["exported"] + facts.get("transactions", 0)), own["finished"] - dropped)
    if exported < own["exported"]:
        return counters  # the reported counters do not add up, which the page shows
    settled = {"exported": exported, "queued": own["finished"] - dropped - exported}
    return counters | {_OWN_EXPORTER: own | settled}


def _with_left_out(counters: dict[str, Facts], left_out: dict[str, int]) -> dict[str, Facts]:
    """Return the counters with those parts added that did not fit into the latest report; its counters are from before."""
    own = counters.get(_OWN_EXPORTER)
    if own is None or not left_out:
        return counters
    return counters | {_OWN_EXPORTER: own | {"left_out": Counter(own.get("left_out", {})) + Counter(left_out)}}


def _main_counters(counters: dict[str, Facts]) -> Facts | None:
    return counters.get(_OWN_EXPORTER) or next((counters[name] for name in sorted(counters)), None)


def _totals(counters: list[Facts | None]) -> Facts:
    totals: Facts = {"finished": 0, "exported": 0, "queued": 0, "dropped": {}}
    for exporter in counters:
        if exporter is None:
            continue
        for key in ("finished", "exported", "queued"):
            totals[key] += exporter[key]
        for reason, count in exporter["dropped"].items():
            totals["dropped"][reason] = totals["dropped"].get(reason, 0) + count
    return totals
