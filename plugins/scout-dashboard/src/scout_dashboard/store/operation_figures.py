"""Reads operations: their figures in a range, by step, and by the name of their transactions, with their texts."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from functools import partial
from typing import Final, TypeVar

from attrs import Factory, define, field, frozen

from scout_core.measuring.histogram import Histogram
from scout_core.operations import OTHER_NAME
from scout_dashboard.ranges import Range
from scout_dashboard.store.applications import of_app
from scout_dashboard.store.bulk import unquoted
from scout_dashboard.store.files import DAY
from scout_dashboard.store.levels import level_for
from scout_dashboard.store.operation_sums import OTHER, OperationSums, operation_sums_of_row
from scout_dashboard.store.packing import merged_histogram, pack_histogram
from scout_dashboard.store.reader import Reader, as_list
from scout_dashboard.store.rollup_tables import BY_NAME, BY_OPERATION
from scout_dashboard.store.slices import figures, joined, read_parts, read_slices, real_sum, split, whole_sum

Line = tuple[str, int, str]
"""File, line and function."""
_Named = dict[str, list[int]]
_RANKED: Final = (
    "s.op", "sum(r.count)", "sum(r.errors)", real_sum("r.total"), joined("r.durations"),
)  # fmt: skip


@define
class RankedOperation:
    """Figures of calls; histograms stay packed until they are needed. Times in seconds."""

    count: int = 0
    errors: int = 0
    total: float = 0.0
    _packed: list[bytes] = Factory(list)
    _merged: Histogram | None = field(init=False, default=None)

    def add(self, count: int, errors: int, total: float, packed: list[bytes]) -> None:
        """Add other figures."""
        self.count += count
        self.errors += errors
        self.total += total
        self._packed += packed
        self._merged = None

    def add_other(self, other: RankedOperation) -> None:
        """Add those of another one, which remain unchanged."""
        self.add(other.count, other.errors, other.total, other._packed)

    def pack(self) -> None:
        """Make one packed histogram, which takes less time to add to others than many."""
        self._packed = [pack_histogram(self.durations)]
        self._merged = None

    @property
    def durations(self) -> Histogram:
        """How long the calls took; callers must not modify it."""
        if self._merged is None:
            self._merged = merged_histogram(self._packed)
        return self._merged


@define
class Whole:
    """Everything of one operation in a range. Times in seconds, those of shares in microseconds."""

    count: int = 0
    errors: int = 0
    total: float = 0.0
    durations: Histogram = Factory(Histogram)
    endpoints: _Named = Factory(dict)
    """Name of transactions, or ``other``, to calls, microseconds, and transactions in which one line repeats it."""
    lines: dict[Line, list[int]] = Factory(dict)
    """To calls and microseconds, as far as they are known."""
    steps: dict[int, OperationSums] = Factory(dict)
    """Start of a step to its figures."""


@frozen
class DescribedOperation:
    """The name and the detail of an operation."""

    operation: str
    detail: str


@frozen
class Share:
    """The calls of an operation in transactions of one name. Seconds."""

    count: int
    total: float
    repeated: int


def by_operation(reader: Reader, when: Range) -> dict[str, RankedOperation]:
    """Return the figures of each operation in the range, by its id; those of several applications are merged."""
    found: dict[str, RankedOperation] = {}
    for part in read_parts(
        reader, ("operations",), when, partial(_ranked, reader, when.app), pack=RankedOperation.pack
    ):
        for op, ranked in part.items():
            found.setdefault(op, RankedOperation()).add_other(ranked)
    return found


def figures_of(reader: Reader, when: Range, op: str) -> Whole:
    """Return everything of one operation; without calls in the range, empty figures."""
    where, values = of_app(when.app, table="s.")
    columns, whole = ("r.start", *figures(BY_OPERATION)), Whole()
    for start, end in _days(when.start, when.end):
        sums = OperationSums()
        for at, *row in read_slices(
            reader, BY_OPERATION, columns, where=f"{where} AND s.op = ?", values=(*values, op), start=start, end=end,
            coarsest=level_for(when.step),
        ):  # fmt: skip
            of_row = operation_sums_of_row(unquoted(row, BY_OPERATION.kinds))
            whole.steps.setdefault(at // when.step * when.step, OperationSums()).add(of_row)
            sums.add(of_row)
        _add_to(whole, sums, _places(reader, start, end, {*sums.endpoints, *sums.lines}))
    return whole


def find_operation(reader: Reader, op: str, *, app: str | None) -> DescribedOperation | None:
    """Return an operation that the store has of any time; None if it was never reported, or its data has expired."""
    where, values = of_app(app, table="s.")
    sql = (
        "SELECT t.operation, t.detail FROM operation_text t JOIN operation_series s ON s.op = t.op"  # noqa: S608  # only constants
        f" WHERE t.op = ? AND {where} LIMIT 1"
    )
    return next((DescribedOperation(*row) for row in reader.rows("metrics", sql, (op, *values))), None)


def of_name(reader: Reader, when: Range, name: str) -> dict[str, Share]:
    """Return what transactions of one name have of each operation, by its id, as far as it is stored."""
    # A literal, because the columns come before the values; each file has its own numbers.
    text = f"CAST(x'{name.encode('utf-8', 'replace').hex()}' AS TEXT)"
    place = f"(SELECT id FROM operation_place WHERE text = {text})"  # noqa: S608  # only constants and a literal
    where, values = of_app(when.app, table="s.")
    sums: dict[str, list[int]] = {}
    for op, share in read_slices(
        reader, BY_OPERATION, ("s.op", f"""json_extract(r.endpoints, '$."' || {place} || '"')"""),
        where=f"""{where} AND instr(r.endpoints, '"' || {place} || '":')""", values=values, start=when.start, end=when.end,
    ):  # fmt: skip
        _add(sums, op, json.loads(share))
    return {op: Share(count, microseconds / 1e6, repeated) for op, (count, microseconds, repeated) in sums.items()}


def described(reader: Reader, when: Range, ops: Collection[str]) -> dict[str, DescribedOperation]:
    """Return what these operations are, as far as the days of the range have them."""
    sql = "SELECT op, operation, detail FROM operation_text WHERE op IN (SELECT value FROM json_each(?))"
    found: dict[str, DescribedOperation] = {}
    missing = {*ops}
    for day in reversed(reader.days("metrics", start=when.start, end=when.end)):  # most are in the last one
        if not missing:
            break
        for op, operation, detail in reader.rows(
            "metrics", sql, (as_list([*missing]),), start=day * DAY, end=(day + 1) * DAY
        ):
            found[op] = DescribedOperation(operation, detail)
            missing.discard(op)
    return found


def transactions_of(reader: Reader, when: Range, names: Collection[str]) -> dict[str, int]:
    """Return the number of transactions of these names in the range."""
    where, values = of_app(when.app, table="s.")
    found = dict.fromkeys(names, 0)
    for name, count in read_slices(
        reader, BY_NAME, ("s.name", "sum(r.count)"),
        where=f"{where} AND s.is_total = 0 AND s.name IN (SELECT value FROM json_each(?))",  # noqa: S608  # only constants
        values=(*values, as_list([*names])), start=when.start, end=when.end, grouped="s.id",
    ):  # fmt: skip
        found[name] += whole_sum(count)
    return found


def _ranked(reader: Reader, app: str | None, start: int, end: int) -> dict[str, RankedOperation]:
    where, values = of_app(app, table="s.")
    found: dict[str, RankedOperation] = {}
    for op, count, errors, total, packed in read_slices(
        reader, BY_OPERATION, _RANKED, where=where, values=values, start=start, end=end, grouped="s.id"
    ):
        found.setdefault(op, RankedOperation()).add(whole_sum(count), whole_sum(errors), float(total), [*split(packed)])
    return found


def _days(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the part of each day: places have other numbers in each file."""
    for day in range(start // DAY, -(-end // DAY)):
        yield max(start, day * DAY), min(end, (day + 1) * DAY)


def _places(reader: Reader, start: int, end: int, numbers: Collection[int]) -> dict[int, str]:
    if not numbers:
        return {}
    sql = "SELECT id, text FROM operation_place WHERE id IN (SELECT value FROM json_each(?))"
    return dict(reader.rows("metrics", sql, (json.dumps([*numbers]),), start=start, end=end))


def _add_to(whole: Whole, sums: OperationSums, places: dict[int, str]) -> None:
    whole.count += sums.count
    whole.errors += sums.errors
    whole.total += sums.total
    whole.durations.merge(sums.durations)
    for place, share in sums.endpoints.items():
        name = OTHER_NAME if place == OTHER else places.get(place, OTHER_NAME)
        _add(whole.endpoints, name, share)
    for place, share in sums.lines.items():
        if place in places:
            file, line, function = json.loads(places[place])
            _add(whole.lines, (file, line, function), share)


_Key = TypeVar("_Key")


def _add(shares: dict[_Key, list[int]], key: _Key, more: list[int]) -> None:
    known = shares.get(key)
    shares[key] = list(more) if known is None else [a + b for a, b in zip(known, more, strict=True)]
