"""The health of the delivery: the counters of all processes and their sums, the state of the collector, and the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import asdict

from scout_dashboard.queries.arrivals import arrivals
from scout_dashboard.queries.gauges import gauges_of, usage
from scout_dashboard.queries.metrics import Facts
from scout_dashboard.queries.processes import latest_of, oldest, state_of
from scout_dashboard.store import Store
from scout_dashboard.store.files import DAY, path_of
from scout_dashboard.store.reader import Reader, as_list
from scout_dashboard.tally import Tally

_OWN_EXPORTER: Final = "collector"
"""Name of the agent's exporter that sends here; only its counters are added up, so that nothing counts twice."""
_TERMS: Final = ("finished", "exported", "queued")


def health(store: Store, tally: Tally, *, app: str | None, now: float) -> Facts:
    """Return the counters and gauges of each process and their sums, the collector's counters and state, and the store."""
    found = latest_of(store.reader, app=app, now=now, without="plugins")
    stored = _stored(store.reader, [head["instance"] for head, _ in found])
    arrived = arrivals(store.reader, found, now=now)
    processes = [
        head
        | {
            "reports": arrived[head["instance"]],
            "state": state_of(arrived[head["instance"]], head["seen"], facts.get("period"), now=now),
            "corrected": facts.get("corrected", {}),
            "counters": _with_left_out(_settled(facts, stored[head["instance"]]), facts.get("left_out", {})),
        }
        | gauges_of(facts, head["seen"])
        for head, facts in found
    ]
    return {
        "processes": processes,
        "by_app": _by_app(processes),
        "usage": usage(processes),
        "totals": _totals(processes),
        "collector": tally.facts() | {"store_bytes": store.size_bytes(), "oldest": oldest(store.reader)},
        "store": {
            "path": str(store.directory),
            "retention_days": store.retention_days,
            "trace_retention_days": store.trace_retention_days,
        },
        "damaged": damaged(store),
        "doubtful": store.doubtful,
        "ahead": [
            {"name": path_of(store.directory, kind, day).name, "kind": kind, "start": day * DAY}
            for kind, day in store.ahead(now)
        ],
    }


def damaged(store: Store) -> list[Facts]:
    """Return the files that cannot be used and were set aside, the latest day first."""
    return [asdict(file) for file in store.damage.found()]


def _by_app(processes: Sequence[Facts]) -> list[Facts]:
    """Return the number of processes by state, and their sums, of each application in order of its name."""
    apps: dict[str, list[Facts]] = {}
    for process in processes:
        apps.setdefault(process["app"], []).append(process)
    return [
        {"app": app, "states": Counter(process["state"] for process in own), "totals": _totals(own)}
        for app, own in sorted(apps.items())
    ]


def _stored(reader: Reader, instances: Sequence[str]) -> dict[str, int]:
    """Return the number of stored transactions of each process, without expired days."""
    sums = dict.fromkeys(instances, 0)
    sql = "SELECT instance, stored FROM process WHERE instance IN (SELECT value FROM json_each(?))"
    for instance, stored in reader.rows("metrics", sql, (as_list(instances),)):
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


def _totals(processes: Iterable[Facts]) -> Facts:
    """
    Return the sums of the main exporter of each process.

    ``unbalanced`` is the number of processes whose counters do not add up; their differences may cancel in the sums.
    """
    totals: Facts = {**dict.fromkeys(_TERMS, 0), "dropped": Counter(), "unbalanced": 0}
    for process in processes:
        counters = _main_counters(process["counters"])
        if counters is None:
            continue
        for term in _TERMS:
            totals[term] += counters[term]
        totals["dropped"].update(counters["dropped"])
        rest = counters["finished"] - counters["exported"] - counters["queued"]
        totals["unbalanced"] += rest != sum(counters["dropped"].values())
    return totals


def _main_counters(counters: dict[str, Facts]) -> Facts | None:
    return counters.get(_OWN_EXPORTER) or next((counters[name] for name in sorted(counters)), None)
