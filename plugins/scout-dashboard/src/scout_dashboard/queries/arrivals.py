"""The reports of each process that arrived: gaps in their numbers, and whether the process has ended with a last report."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import asdict

from scout_core.sending.protocol import ReportFacts, is_heard_from
from scout_dashboard.queries.metrics import Facts
from scout_dashboard.store.reader import Reader, as_list


def arrivals(reader: Reader, processes: Sequence[tuple[Facts, Facts]], *, now: float) -> dict[str, Facts | None]:
    """
    Return the reports of each process, by instance.

    A report that is late fills its gap, and one that came twice was stored once, so neither is ever missing.

    Args:
        processes: each with its latest report.

    Returns:
        None for a process whose agent does not number its reports.
    """
    found: dict[str, tuple[int, int, int, bool | None]] = {}
    instances = [head["instance"] for head, _ in processes]
    sql = (
        "SELECT instance, received, first_number, last_number, is_last FROM process"
        " WHERE first_number IS NOT NULL AND last_number IS NOT NULL AND instance IN (SELECT value FROM json_each(?))"
    )
    for instance, received, first, last, is_last in reader.rows("metrics", sql, (as_list(instances),)):
        known = found.get(instance)
        ended = None if is_last is None else bool(is_last)
        if known is not None:
            received, first, last = received + known[0], min(first, known[1]), max(last, known[2])
            ended = known[3] if ended is None else ended or known[3]
        found[instance] = received, first, last, ended
    return {
        head["instance"]: _facts(found[head["instance"]], head["seen"], facts, now=now)
        if head["instance"] in found
        else None
        for head, facts in processes
    }


def _facts(numbers: tuple[int, int, int, bool | None], seen: float, facts: Facts, *, now: float) -> Facts:
    received, first, last, has_ended = numbers
    return asdict(
        ReportFacts(
            received=received,
            first=first,
            last=last,
            missing=max(0, last - first + 1 - received),
            has_ended=has_ended,
            is_silent=has_ended is False and not is_heard_from(seen, facts.get("period"), now=now),
        )
    )
