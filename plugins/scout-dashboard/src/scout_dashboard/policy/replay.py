"""Let the stored traces of each period compete again, under other policies, and compare who wins.

Only kept traces are stored. So the competition is among those that had won already: with as many places as the agent had,
all would win again. Hence each period gives out fewer places, by default half as many as it has traces, once by the
points that the agent gave and once by the new ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from attrs import define, field, frozen

from scout_core.measuring.report import Trace
from scout_core.operations import is_web
from scout_dashboard.policy.evidence import Estimates
from scout_dashboard.policy.rebuilt import transaction_of
from scout_dashboard.policy.scoring import Policies
from scout_dashboard.queries.figures import Facts
from scout_dashboard.queries.names import label_of
from scout_dashboard.store.kept import TraceRow


@define
class Candidate:
    """A stored trace in one competition. Ranks count from 1."""

    row: TraceRow
    points: dict[str, float]
    """Of the new policies."""
    score: float
    rank_before: int = 0
    rank_after: int = 0
    kept_before: bool = False
    kept_after: bool = False

    def facts(self, *, before: bool) -> Facts:
        """As JSON tells it."""
        policies = self.row.policies if before else self.points
        return {
            "id": self.row.id,
            "name": self.row.name,
            "score": round(self.row.score if before else self.score, 4),
            "policies": {name: round(points, 4) for name, points in policies.items()},
        }


@frozen(kw_only=True)
class Period:
    """One competition: the web transactions, or the jobs, of one process in one report, or in one stretch of time."""

    app: str
    host: str
    instance: str
    is_web: bool
    start: float
    """When the first of its traces began."""
    end: float
    places: int
    candidates: list[Candidate] = field(repr=False)
    """Best by the new points first."""

    @property
    def is_changed(self) -> bool:
        """Whether other traces win than did."""
        return any(each.kept_before != each.kept_after for each in self.candidates)

    def facts(self) -> Facts:
        """As JSON tells it."""
        before = sorted((each for each in self.candidates if each.kept_before), key=lambda each: each.rank_before)
        after = [each for each in self.candidates if each.kept_after]
        return {
            "app": self.app,
            "host": self.host,
            "instance": self.instance,
            "of": "web" if self.is_web else "jobs",
            "start": self.start,
            "end": self.end,
            "traces": len(self.candidates),
            "places": self.places,
            "before": [each.facts(before=True) for each in before],
            "after": [each.facts(before=False) for each in after],
            "gained": [each.row.id for each in after if not each.kept_before],
            "lost": [each.row.id for each in before if not each.kept_after],
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
    Every competition, oldest first.

    Args:
        traces: in order of their end.
        per: seconds of a period; None: each report is one.
        places: traces that win in a period; None: half as many as there are names.
    """
    groups: dict[tuple[object, ...], list[tuple[TraceRow, Trace]]] = {}
    for row, trace in traces:
        end = row.start + row.duration
        when = row.report or int(end // 60) if per is None else int(end // per)
        groups.setdefault((row.app, row.host, row.instance, is_web(row.name), when), []).append((row, trace))
    return [_compete(group, policies, estimates, places) for group in groups.values()]


def changes_by_name(periods: Iterable[Period]) -> list[tuple[str, int, int]]:
    """``(name, places before, places after)``, what changes most first."""
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    for period in periods:
        for each in period.candidates:
            before[each.row.name] += each.kept_before
            after[each.row.name] += each.kept_after
    rows = [(name, before[name], after[name]) for name in before.keys() | after.keys()]
    return sorted(rows, key=lambda row: (-abs(row[2] - row[1]), -row[2], label_of(row[0])))


def _compete(
    traces: Sequence[tuple[TraceRow, Trace]], policies: Policies, estimates: Estimates, places: int | None
) -> Period:
    transactions = {row.id: transaction_of(trace) for row, trace in traces}
    candidates = []
    for row, trace in traces:
        points = policies.score(transactions[row.id], estimates.of(row, trace))
        candidates.append(Candidate(row, points, sum(points.values())))
    count = (len({row.name for row, _ in traces}) + 1) // 2 if places is None else places
    by_old = sorted(candidates, key=lambda each: -each.row.score)  # of equals the first, as in the agent
    by_new = sorted(candidates, key=lambda each: -each.score)
    for rank, each in enumerate(by_old, 1):
        each.rank_before = rank
    for rank, each in enumerate(by_new, 1):
        each.rank_after = rank
    for each in _winners(by_old, count):
        each.kept_before = True
    for each in _winners(by_new, count):
        each.kept_after = True
        policies.keep(transactions[each.row.id], each.score)
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


def _winners(ranked: Iterable[Candidate], places: int) -> list[Candidate]:
    """The best, one of each name."""
    best: dict[str, Candidate] = {}
    for each in ranked:
        best.setdefault(each.row.name, each)
    return list(best.values())[:places]
