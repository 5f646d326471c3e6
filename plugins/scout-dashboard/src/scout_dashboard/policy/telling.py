"""How the policy commands print what they found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from scout_dashboard import formatting
from scout_dashboard.policy.replay import Candidate, Period, changes_by_name
from scout_dashboard.queries.figures import Facts
from scout_dashboard.queries.names import label_of
from scout_dashboard.store.kept import TraceRow

HONEST: Final = (
    "Only kept traces are stored, so this chooses among them: what the agent let go cannot come back.\n"
    "Each period therefore gives out fewer places than it has traces, once by the old points and once by the new."
)
_VERDICTS: Final = {(True, True): "stays", (True, False): "out", (False, True): "in", (False, False): ""}
_MOST_NAMES: Final = 10


def traces_lines(rows: Sequence[TraceRow]) -> Iterator[str]:
    """The newest traces, one a line."""
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
    """Why one trace was kept."""
    transaction = facts["transaction"]
    yield f"{facts['name']}  {facts['id']}"
    what = [str(formatting.duration(transaction["duration"] * 1_000)), formatting.utc(facts["start"])]
    what += [f"on {facts['host']}", transaction["error"] or ("failed" if transaction["is_error"] else "")]
    yield ", ".join(filter(None, what))
    rivals = len(facts["rivals"])
    place = f", place {facts['rank']} of {rivals} in its report" if rivals > 1 else ""
    yield f"kept with {_points(facts['score'])} points{place}"
    yield ""
    rows = [(each["policy"], _points(each["points"]), each["saw"]) for each in facts["policies"]]
    yield from _table(("POLICY", "POINTS", "SAW"), rows)
    yield ""
    yield from _table(("STATS", "VALUE", "FROM"), _stats_rows(facts))
    if facts["estimated"]:
        yield ""
        yield "An estimate is made from the store: all processes of the application, in the 24 hours before."


def replay_lines(periods: Sequence[Period], policies: Sequence[str], *, show_all: bool) -> Iterator[str]:
    """The changed periods side by side, then what changes for each name."""
    changed = [period for period in periods if period.is_changed]
    traces = sum(len(period.candidates) for period in periods)
    yield f"Policies  {', '.join(policies) or 'none'}"
    yield f"Traces    {traces:,} in {formatting.plural(len(periods), 'period')}, {len(changed):,} of them with another choice"
    yield HONEST
    for period in periods if show_all else changed:
        yield ""
        yield _title(period)
        yield from _table(("TRACE", "BEFORE", "", "AFTER", "", "", "NAME"), map(_row, period.candidates))
    yield ""
    moved = [(name, before, after) for name, before, after in changes_by_name(periods) if before != after]
    if moved:
        rows = [(label_of(name), str(before), str(after), f"{after - before:+d}") for name, before, after in moved]
        yield from _table(("NAME", "PLACES BEFORE", "AFTER", ""), rows[:_MOST_NAMES])
        if len(rows) > _MOST_NAMES:
            yield f"and {formatting.plural(len(rows) - _MOST_NAMES, 'name')} more"
    elif changed:
        yield "Each name has as many places as before; which of its traces are kept differs."
    else:
        yield "The same traces win. --per 10m lets the traces of ten minutes compete, --keep 1 gives out one place."


def _title(period: Period) -> str:
    start, end = formatting.moment(period.start), formatting.moment(period.end, "stamp")
    of = "web" if period.is_web else "jobs"
    process = f", process {period.instance[:8]}" if period.instance else ""
    return f"{start} to {end[-8:]} UTC, {period.app} on {period.host}{process}: {of}, {formatting.plural(period.places, 'place')}"


def _row(each: Candidate) -> tuple[str, ...]:
    return (
        each.row.id,
        f"{each.rank_before}.",
        _points(each.row.score),
        f"{each.rank_after}.",
        _points(each.score),
        _VERDICTS[each.kept_before, each.kept_after],
        label_of(each.row.name),
    )


def _stats_rows(facts: Facts) -> Iterator[tuple[str, str, str]]:
    told = {
        "count": lambda value: f"{value:,.0f}",
        "mean": lambda value: str(formatting.duration(value * 1_000)),
        "share": lambda value: str(formatting.percent(value)),
        "quantile": lambda value: f"{value:.3f}",
        "seconds_since_kept": lambda value: f"{value:,.0f}",
    }
    for name, value in facts["stats"].items():
        yield name, told[name](value), "an estimate" if name in facts["estimated"] else "recorded by the agent"


def _points(points: float) -> str:
    return f"{points:.2f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    table = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    for row in table:
        yield "  ".join(_aligned(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _aligned(cell: str, width: int) -> str:
    return cell.rjust(width) if cell[:1].isdigit() and len(cell) < 12 else cell.ljust(width)
