"""Publishers and the jobs that they published, as far as the traces of both were kept."""

from __future__ import annotations

from typing import Final

from attrs import define

from scout_dashboard.ranges import Range
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.traces import conditions

_MOST_TRACES: Final = 1_000
"""Traces of one name that are read of each day, the newest ones."""
_MOST_PAIRS: Final = 20_000
"""Pairs of traces of a distributed trace that are compared, for each day."""


@define
class Neighbour:
    """A name of transactions that published jobs of another name, or of jobs that these published."""

    name: str
    trace: str
    """Id of the newest of its traces among them."""
    start: float
    """When that started."""
    count: int = 0
    """Pairs of stored traces."""


def publishers_of(reader: Reader, when: Range, job: str) -> list[Neighbour]:
    """Return the names that published a job in the range, the most frequent first."""
    return _neighbours(reader, when, job, own="published", other="publisher")


def jobs_published_by(reader: Reader, when: Range, name: str) -> list[Neighbour]:
    """Return the jobs that transactions of a name published in the range, the most frequent first."""
    return _neighbours(reader, when, name, own="publisher", other="published")


def _neighbours(reader: Reader, when: Range, name: str, *, own: str, other: str) -> list[Neighbour]:
    """Return the names on the other side; a job names as its parent the span that published it, or the publisher itself."""
    where, wanted = conditions(when, name=name)
    # CROSS JOIN forces this order: the traces of one name, their distributed traces, and the other parts of these.
    sql = f"""
        WITH known AS (SELECT id FROM trace WHERE {where} ORDER BY minute DESC LIMIT {_MOST_TRACES}),
        pair AS (
            SELECT publisher.id AS publisher, publisher.calls, published.id AS published, published.parent FROM known
            CROSS JOIN member {own} ON {own}.id = known.id
            CROSS JOIN member {other} ON {other}.trace_id = {own}.trace_id AND {other}.id != {own}.id LIMIT {_MOST_PAIRS}
        )
        SELECT name, trace.id, start FROM pair CROSS JOIN trace ON trace.id = pair.{other}
        WHERE parent != '' AND (parent = publisher OR instr(calls, parent)) {"AND NOT is_web" if other == "published" else ""}
        """  # noqa: S608  # only constants and placeholders
    found: dict[str, Neighbour] = {}
    for of_name, trace, start in reader.rows("traces", sql, wanted, start=when.start, end=when.end):
        neighbour = found.setdefault(of_name, Neighbour(of_name, trace, start))
        neighbour.count += 1
        if start > neighbour.start:
            neighbour.trace, neighbour.start = trace, start
    return sorted(found.values(), key=lambda neighbour: (-neighbour.count, neighbour.name))
