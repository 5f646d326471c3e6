"""Functions that get a finished transaction: the values that one leaves in it must be of the right type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter, is_
from typing import Any, Final

from scout_core.boundary.guard import Guard
from scout_core.measuring.numbers import real
from scout_core.recording.naming import type_name
from scout_core.recording.recorded_errors import RecordedErrors
from scout_core.recording.span import Span
from scout_core.recording.transaction import Transaction
from scout_core.recording.web import WebRequest

_Check = Callable[[object], bool]


def _is_real(value: object) -> bool:
    return real(value, limit=1e300) is not None


def _one_of(*types: type) -> _Check:
    return lambda value: issubclass(type(value), types)


_NONE: Final = type(None)
_EXPECTED: Final[dict[str, tuple[str, _Check]]] = {
    "spans": ("a list of spans", lambda value: type(value) is list and _are_spans(value)),
    "start_ns": ("a number", _is_real),
    "stop_ns": ("a number", _is_real),
    "started": ("a number", _is_real),
    "queued_at": ("a number or None", lambda value: value is None or _is_real(value)),
    "queue_time": ("a number or None", lambda value: value is None or _is_real(value)),
    "id": ("an int", _one_of(int)),
    "size": ("an int", _one_of(int)),
    "error": ("a class or None", _one_of(type, _NONE)),
    "raised": ("what record_error has recorded", _one_of(RecordedErrors, _NONE)),
    "merged": ("a dict or None", _one_of(dict, _NONE)),
    "ignored": ("a str or None", _one_of(str, _NONE)),
    "own_request": ("a WebRequest or None", _one_of(WebRequest, _NONE)),
}
"""Attribute to what it must be; tags and the operation check themselves when they are set."""
_SHOWN: Final = {"own_request": "request"}
_EXPECTED_OF_SPAN: Final[dict[str, tuple[str, _Check]]] = {
    "start_ns": ("a number", _is_real),
    "stop_ns": ("a number", _is_real),
    "error": ("a class or None", _one_of(type, _NONE)),
    "parent": ("a span or None", _one_of(Span, _NONE)),
}
_values_of: Final[Callable[[object], tuple[Any, ...]]] = attrgetter(*_EXPECTED)  # Any: anything can be in them
_values_of_span: Final[Callable[[object], tuple[Any, ...]]] = attrgetter(*_EXPECTED_OF_SPAN)


class TransactionGuard(Guard):
    """
    The guard of a function on the agent's thread that gets a finished transaction first.

    A value of another type makes the call one that failed, and the one before is put back, so that the transaction counts.
    A value that the application has put there before is not the plugin's fault, and stays.
    """

    __slots__ = ("examines_spans",)

    examines_spans: bool
    """Whether the values in spans are examined, too, which takes longer: since a transaction could not be counted or reported."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: those of Guard
        super().__init__(*args, **kwargs)
        self.examines_spans = False

    def run(self, /, *args: Any, **kwargs: Any) -> Any:  # Any: as of Guard
        """Call the function, and examine what it has changed."""
        transaction = args[0] if args else None
        if self.off is not None or not issubclass(type(transaction), Transaction):
            return super().run(*args, **kwargs)
        before = _values_of(transaction)
        spans = before[0]
        listed = list(spans) if type(spans) is list else None
        in_spans = [(span, _values_of_span(span)) for span in listed or () if self.examines_spans and _is_span(span)]
        failures = self.failures.count
        result = super().run(*args, **kwargs)
        after = _values_of(transaction)
        if all(map(is_, before, after)) and (listed is None or _is_same(spans, listed)) and not in_spans:
            return result
        problem = _restore(transaction, before, after, listed) or _restore_spans(in_spans)
        if problem and self.failures.count == failures:
            self.refuse(problem)
        return result


def _is_span(value: object) -> bool:
    return issubclass(type(value), Span)


def _restore_spans(in_spans: list[tuple[object, tuple[object, ...]]]) -> str:
    """The same for the values in spans."""
    problem = ""
    for span, before in in_spans:
        wrong = _put_back(span, "span", _EXPECTED_OF_SPAN, before, _values_of_span(span))
        problem = problem or wrong
    return problem


def _put_back(
    owner: object,
    what: str,
    table: Mapping[str, tuple[str, _Check]],
    before: tuple[object, ...],
    after: tuple[object, ...],
) -> str:
    """Put back each value that was replaced by one of another type; return what is wrong with the first, or an empty text."""
    problem = ""
    for (name, (expected, is_valid)), old, new in zip(table.items(), before, after, strict=True):
        if new is not old and not is_valid(new):
            setattr(owner, name, old)
            got = "other items" if type(new) is list else type_name(type(new))
            problem = problem or f"it left a {what} whose {_SHOWN.get(name, name)} must be {expected}, got {got}"
    return problem


def _is_same(spans: list[object], listed: list[object]) -> bool:
    return len(spans) == len(listed) and all(map(is_, spans, listed))


def _are_spans(values: list[object]) -> bool:
    return all(issubclass(kind, Span) for kind in set(map(type, values)))


def _restore(
    transaction: object, before: tuple[object, ...], after: tuple[object, ...], listed: list[object] | None
) -> str:
    """Put back the values of a transaction; return what is wrong, or an empty text."""
    problem = _put_back(transaction, "transaction", _EXPECTED, before, after)
    spans = before[0]
    if listed is not None and type(spans) is list and not _is_same(spans, listed) and not _are_spans(spans):
        known = set(map(id, listed))  # the application may have left items of another type
        foreign = [item for item in spans if not _is_span(item) and id(item) not in known]
        if foreign:
            spans[:] = listed
            got = f"{type_name(type(foreign[0]))} among them"
            problem = problem or f"it left a transaction whose spans must be {_EXPECTED['spans'][0]}, got {got}"
    return problem
