"""Writes the operations of reports: statements, places, and which of them have figures. Within transactions that the caller opened."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from attrs import define, field

from scout_core.measuring.histogram import Histogram
from scout_core.measuring.report import CodeLine, OperationMetrics, Report
from scout_core.operations import OTHER as OTHER_KIND
from scout_core.operations import OTHER_NAME, kind_of
from scout_dashboard.store import bulk
from scout_dashboard.store.operation_sums import OTHER, OperationSums, Shares, add_shares

MOST_OPERATIONS: Final = 2_000
"""Operations of an application in the file of a day; further ones are counted under ``Kind/other``."""
MOST_KINDS: Final = 64
"""Kinds with an ``other`` of their own; those of further kinds are counted under ``Other/other``."""
MOST_PLACES: Final = 20_000
"""Names and lines in the file of a day; further names are counted under ``other``, and further lines are left out."""
_ID_BYTES: Final = 8

Key = tuple[str, str]
"""Application and id of the operation."""


def id_of(operation: str, detail: str) -> str:
    """Return the id of an operation: 16 hexadecimal digits, the same in every file."""
    text = f"{operation}\0{detail}".encode("utf-8", "replace")
    return blake2b(text, digest_size=_ID_BYTES).hexdigest()


def text_of_line(line: CodeLine) -> str:
    """Return the text of a place that is a line; no name of a transaction is one, as it is JSON."""
    return json.dumps([line.file, line.line, line.function])


@define
class Operations:
    """The operations of a day's file while it is written."""

    _connection: sqlite3.Connection
    _texts: set[str] = field(init=False)
    """Ids of operations whose text is stored."""
    _known: dict[str, set[str]] = field(init=False, factory=dict)
    """Application to the ids of its operations, without those that are ``other``."""
    _others: dict[str, set[str]] = field(init=False, factory=dict)
    """Application to the kinds that have an ``other``."""
    _places: dict[str, int] = field(init=False)
    _numbers: set[int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        texts = bulk.read(self._connection, ("op", "operation", "detail = ''"), "FROM operation_text")
        self._texts = {op for op, _, _ in texts}
        kinds = {op: kind_of(name) for op, name, is_bare in texts if is_bare and name.endswith(f"/{OTHER_NAME}")}
        for app, op in bulk.read(self._connection, ("app", "op"), "FROM operation_series"):
            if op in kinds:
                self._others.setdefault(app, set()).add(kinds[op])
            else:
                self._known.setdefault(app, set()).add(op)
        places = bulk.read(self._connection, ("id", "text"), "FROM operation_place")
        self._places = {text: number for number, text in places}
        self._numbers = {number for number, _ in places}

    def write(self, reports: Iterable[Report]) -> list[tuple[Key, Report, OperationSums]]:
        """Write everything but the figures of the operations, and return these: the key of a series, its report, and the numbers."""
        found: list[tuple[Key, Report, OperationSums]] = []
        texts: dict[str, tuple[str, str, str]] = {}
        places: dict[str, int] = {}
        for report in reports:
            app = report.process.app
            for figures in report.operations:
                operation, detail, op = self._bounded(app, figures)
                if op not in self._texts:
                    texts[op] = op, operation, detail
                found.append(((app, op), report, self._sums(figures, places)))
        self._texts |= texts.keys()
        bulk.insert(self._connection, "INSERT INTO operation_text (op, operation, detail)", [*texts.values()])
        rows = [(number, text) for text, number in places.items()]
        bulk.insert(self._connection, "INSERT INTO operation_place (id, text)", rows)
        return found

    def _bounded(self, app: str, figures: OperationMetrics) -> tuple[str, str, str]:
        """Return operation, detail and id under which figures are counted."""
        operation, detail = figures.operation, figures.detail
        kind = kind_of(operation)
        other = f"{kind}/{OTHER_NAME}"
        if operation != other or detail:
            op = id_of(operation, detail)
            known = self._known.setdefault(app, set())
            if op in known or len(known) < MOST_OPERATIONS:
                known.add(op)
                return operation, detail, op
        others = self._others.setdefault(app, set())
        if kind not in others and len(others) >= MOST_KINDS:
            kind, other = OTHER_KIND, f"{OTHER_KIND}/{OTHER_NAME}"
        others.add(kind)
        return other, "", id_of(other, "")

    def _sums(self, figures: OperationMetrics, places: dict[str, int]) -> OperationSums:
        endpoints: Shares = {}
        for name, share in figures.endpoints.items():
            place = OTHER if name == OTHER_NAME else self._place(name, places)
            numbers = [share.count, round(share.total * 1e6), share.repeated]
            add_shares(endpoints, [(OTHER if place is None else place, numbers)])
        lines: Shares = {}
        for line in figures.lines:
            place = self._place(text_of_line(line), places)
            if place is not None:
                add_shares(lines, [(place, [line.count, round(line.total * 1e6)])])
        return OperationSums(
            count=figures.count,
            errors=figures.errors,
            total=figures.total,
            durations=Histogram(dict(figures.durations.buckets)),
            endpoints=endpoints,
            lines=lines,
        )

    def _place(self, text: str, new: dict[str, int]) -> int | None:
        known = self._places.get(text)
        if known is not None:
            return known
        if len(self._places) >= MOST_PLACES:
            return None
        number = _number_of(text)
        while number in self._numbers:
            number += 1
        self._numbers.add(number)
        new[text] = self._places[text] = number
        return number


def _number_of(text: str) -> int:
    """Return the number of a place: by its text, so that it means the same when its row was damaged, and is written again."""
    return 1 + int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=4).digest(), "big")
