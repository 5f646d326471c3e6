"""Text output of the policy commands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from scout_dashboard import formatting
from scout_dashboard.policy.replay import Candidate, Period, changes_by_name
from scout_dashboard.queries.metrics import Facts
from scout_dashboard.queries.names import label_of
from scout_dashboard.store.traces import TraceRow

REPLAY_NOTE: Final = (
    "Only kept traces are stored, so a replay cannot restore a trace that the agent discarded.",
    "Each period therefore has fewer places than traces, assigned once by the old points and once by the new ones.",
)
"""Lines."""
_VERDICTS: Final = {(True, True): "kept", (True, False): "lost", (False, True): "gained", (False, False): ""}
_MAX_NAMES: Final = 10


def traces_lines(rows: Sequence[TraceRow]) -> Iterator[str]:
    """Yield the newest traces, one per line."""
    yield from _table(
        ("TRACE", "STARTED (UTC)", "DURATION", "SCORE", "NAME"),
        [
            (
                row.id,
                formatting.moment(row.start),
                str(formatting.duration(row.duration * 1_000)),
                _points(row.score),
                label_of(row.name),
            )
            for row in rows
        ],
    )


def explanation_lines(facts: Facts) -> Iterator[str]:
    """Yield why a trace was kept."""
    transaction = facts["transaction"]
    yield f"{facts['name']}  {facts['id']}"
    what = [str(formatting.duration(transaction["duration"] * 1_000)), formatting.utc(facts["start"])]
    what += [f"on {facts['host']}", transaction["error"] or ("failed" if transaction["is_error"] else "")]
    yield ", ".join(filter(None, what))
    rivals = len(facts["rivals"])
    place = f", rank {facts['rank']} of {rivals} in its report" if rivals > 1 else ""
    yield f"kept with {_points(facts['score'])} points{place}"
    group = facts["group"]
    if group["by"] is not None:
        yield f"best of the group {group['text']}, chosen by {group['by']}"
    yield ""
    rows = [(policy["policy"], _points(policy["points"]), policy["evidence"]) for policy in facts["policies"]]
    yield from _table(("POLICY", "POINTS", "EVIDENCE"), rows)
    yield ""
    yield from _table(("STATISTIC", "VALUE", "SOURCE"), _stats_rows(facts))
    if facts["estimated"]:
        yield ""
        yield "Estimates are based on all processes of the application in the 24 hours before the trace."


def replay_lines(periods: Sequence[Period], policies: Sequence[str], *, show_all: bool) -> Iterator[str]:
    """Yield the changed periods side by side, then the changes by name."""
    changed = [period for period in periods if period.is_changed]
    traces = sum(len(period.candidates) for period in periods)
    yield f"Policies  {', '.join(policies) or 'none'}"
    yield f"Traces    {traces:,} in {formatting.plural(len(periods), 'period')}, {len(changed):,} of them changed"
    yield from REPLAY_NOTE
    for period in periods if show_all else changed:
        yield ""
        yield _title(period)
        yield from _table(("TRACE", "BEFORE", "", "AFTER", "", "", "NAME"), map(_row, period.candidates))
    yield ""
    moved = [(name, before, after) for name, before, after in changes_by_name(periods) if before != after]
    if moved:
        rows = [(label_of(name), str(before), str(after), f"{after - before:+d}") for name, before, after in moved]
        yield from _table(("NAME", "PLACES BEFORE", "AFTER", ""), rows[:_MAX_NAMES])
        if len(rows) > _MAX_NAMES:
            yield f"and {formatting.plural(len(rows) - _MAX_NAMES, 'more name')}"
    elif changed:
        yield "Each name keeps the same number of traces, but different ones."
    else:
        yield "The same traces are kept. Try --per 10m (traces of ten minutes compete) or --keep 1 (one place per period)."


def _title(period: Period) -> str:
    start, end = formatting.moment(period.start), formatting.moment(period.end, "stamp")
    of = "web" if period.is_web else "jobs"
    process = f", process {period.instance[:8]}" if period.instance else ""
    return f"{start} to {end[-8:]} UTC, {period.app} on {period.host}{process}: {of}, {formatting.plural(period.places, 'place')}"


def _row(candidate: Candidate) -> tuple[str, ...]:
    return (
        candidate.row.id,
        f"{candidate.rank_before}.",
        _points(candidate.row.score),
        f"{candidate.rank_after}.",
        _points(candidate.score),
        _VERDICTS[candidate.kept_before, candidate.kept_after],
        _label_in_group(candidate),
    )


def _label_in_group(candidate: Candidate) -> str:
    label = label_of(candidate.row.name)
    return f"{label}, group {candidate.group_after.text}" if candidate.group_after.plugin else label


def _stats_rows(facts: Facts) -> Iterator[tuple[str, str, str]]:
    formats = {
        "count": lambda value: f"{value:,.0f}",
        "mean": lambda value: str(formatting.duration(value * 1_000)),
        "share": lambda value: str(formatting.percent(value)),
        "quantile": lambda value: f"{value:.3f}",
        "seconds_since_kept": lambda value: f"{value:,.0f}",
    }
    for name, value in facts["stats"].items():
        yield name, formats[name](value), "estimated" if name in facts["estimated"] else "recorded by the agent"


def _points(points: float) -> str:
    return f"{points:.2f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    table = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    for row in table:
        yield "  ".join(_aligned(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _aligned(cell: str, width: int) -> str:
    return cell.rjust(width) if cell[:1].isdigit() and len(cell) < 12 else cell.ljust(width)
