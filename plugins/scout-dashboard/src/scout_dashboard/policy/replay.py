"""Replays the selection of traces with other policies, and compares the results.

Only kept traces are stored, so all of them would be kept again if there were as many places as in the agent. Each period
therefore has fewer places, by default half as many as it has groups. They are assigned twice: once by the points and groups
that the agent recorded, and once by the new ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from attrs import define, field, frozen

from scout_core import Transaction
from scout_core.measuring.groups import BY_NAME, Group
from scout_core.measuring.report import Trace
from scout_core.measuring.reservoir import Kept, Reservoir
from scout_core.operations import is_web
from scout_dashboard.policy.evidence import Estimates
from scout_dashboard.policy.scoring import Policies
from scout_dashboard.queries.metrics import Facts
from scout_dashboard.queries.names import label_of
from scout_dashboard.store.traces import TraceRow


@define
class Candidate:
    """A stored trace in one period. Ranks start at 1."""

    row: TraceRow
    points: dict[str, float]
    """Points of the new policies."""
    score: float
    group_before: Group
    group_after: Group
    """The group in which it competes with the new policies."""
    rank_before: int = 0
    rank_after: int = 0
    kept_before: bool = False
    kept_after: bool = False

    def facts(self, *, before: bool) -> Facts:
        """Return it as JSON."""
        policies = self.row.policies if before else self.points
        group = self.group_before if before else self.group_after
        return {
            "id": self.row.id,
            "name": self.row.name,
            "score": round(self.row.score if before else self.score, 4),
            "policies": {name: round(points, 4) for name, points in policies.items()},
            "group": group.text,
            "grouped_by": group.plugin,
        }


@frozen(kw_only=True)
class Period:
    """The web transactions, or the jobs, of one process in one report or one time interval, which compete for places."""

    app: str
    host: str
    instance: str
    is_web: bool
    start: float
    """Start of its first trace."""
    end: float
    places: int
    candidates: list[Candidate] = field(repr=False)
    """Highest new score first."""

    @property
    def is_changed(self) -> bool:
        """Whether the new policies keep other traces."""
        return any(candidate.kept_before != candidate.kept_after for candidate in self.candidates)

    def facts(self) -> Facts:
        """Return it as JSON."""
        before = sorted(
            (candidate for candidate in self.candidates if candidate.kept_before),
            key=lambda candidate: candidate.rank_before,
        )
        after = [candidate for candidate in self.candidates if candidate.kept_after]
        return {
            "app": self.app,
            "host": self.host,
            "instance": self.instance,
            "of": "web" if self.is_web else "jobs",
            "start": self.start,
            "end": self.end,
            "traces": len(self.candidates),
            "places": self.places,
            "before": [candidate.facts(before=True) for candidate in before],
            "after": [candidate.facts(before=False) for candidate in after],
            "gained": [candidate.row.id for candidate in after if not candidate.kept_before],
            "lost": [candidate.row.id for candidate in before if not candidate.kept_after],
        }


def replay(
    traces: Sequence[tuple[TraceRow, Trace]],
    policies: Policies,
    estimates: Estimates,
    *,
    per: float | None = None,
    places: int | None = None,
) -> list[Period]:
    """
    Replay every period, oldest first.

    Args:
        traces: in order of their end.
        per: seconds of a period; None means that each report is one.
        places: number of traces to keep per period; None means half the number of groups.
    """
    groups: dict[tuple[object, ...], list[tuple[TraceRow, Trace]]] = {}
    for row, trace in traces:
        end = row.start + row.duration
        when = row.report or int(end // 60) if per is None else int(end // per)
        groups.setdefault((row.app, row.host, row.instance, is_web(row.name), when), []).append((row, trace))
    return [_compete(group, policies, estimates, places) for group in groups.values()]


def changes_by_name(periods: Iterable[Period]) -> list[tuple[str, int, int]]:
    """Return ``(name, places before, places after)``, largest change first."""
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    for period in periods:
        for candidate in period.candidates:
            before[candidate.row.name] += candidate.kept_before
            after[candidate.row.name] += candidate.kept_after
    rows = [(name, before[name], after[name]) for name in before.keys() | after.keys()]
    return sorted(rows, key=lambda row: (-abs(row[2] - row[1]), -row[2], label_of(row[0])))


def _compete(
    traces: Sequence[tuple[TraceRow, Trace]], policies: Policies, estimates: Estimates, places: int | None
) -> Period:
    transactions = {row.id: Transaction.from_trace(trace) for row, trace in traces}
    candidates = []
    for row, trace in traces:
        transaction, evidence = transactions[row.id], estimates.of(row, trace)
        points = policies.score(transaction, evidence)
        recorded = Group(trace.group or row.name, trace.grouped_by)
        chosen = policies.group(transaction, evidence) or Group(row.name)
        candidates.append(Candidate(row, points, sum(points.values()), recorded, chosen))
    count = (len({candidate.group_before for candidate in candidates}) + 1) // 2 if places is None else places
    # The first of equal scores wins, as in the agent.
    by_old = sorted(candidates, key=lambda candidate: -candidate.row.score)
    by_new = sorted(candidates, key=lambda candidate: -candidate.score)
    for rank, candidate in enumerate(by_old, 1):
        candidate.rank_before = rank
    for rank, candidate in enumerate(by_new, 1):
        candidate.rank_after = rank
    recorded_plugins = sorted({candidate.group_before.plugin for candidate in candidates} - {BY_NAME})
    groups_before = [(candidate, candidate.group_before) for candidate in by_old]
    for candidate in _winners(groups_before, count, policies.reserve(count, recorded_plugins)):
        candidate.kept_before = True
    groups_after = [(candidate, candidate.group_after) for candidate in by_new]
    for candidate in _winners(groups_after, count, policies.reserve(count)):
        candidate.kept_after = True
        policies.keep(transactions[candidate.row.id], candidate.score)
    first = traces[0][0]
    return Period(
        app=first.app,
        host=first.host,
        instance=first.instance,
        is_web=is_web(first.name),
        start=min(row.start for row, _ in traces),
        end=max(row.start + row.duration for row, _ in traces),
        places=count,
        candidates=by_new,
    )


def _winners(ranked: Iterable[tuple[Candidate, Group]], places: int, reserved: Mapping[str, int]) -> list[Candidate]:
    """Return the best candidates, one per group, as the agent chooses them."""
    reservoir: Reservoir[Candidate] = Reservoir(places, reserved)
    for rank, (candidate, group) in enumerate(ranked):
        reservoir.offer(Kept(candidate.row.name, -rank, {}, candidate, {}, group))
    return [kept.item for kept in reservoir.take()]
