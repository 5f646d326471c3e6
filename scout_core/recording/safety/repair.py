"""
Values of another type in transactions and spans: what each attribute must be, and what takes the place of anything else.

The application and hooks can set every attribute, and setting one is hot, so nothing is checked then. It is checked once something
cannot be counted or reported. Tags and the operation check themselves when they are set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Final, NamedTuple

from scout_core.clocks import time
from scout_core.measuring.numbers import real
from scout_core.recording.errors.recorded import RecordedErrors
from scout_core.recording.limits.bounds import TRANSACTION_SIZE
from scout_core.recording.naming import type_name
from scout_core.recording.span import Span
from scout_core.recording.transaction import Transaction
from scout_core.recording.web import WebRequest

_LARGEST: Final = 1e300
_NONE: Final = type(None)


class Expected(NamedTuple):
    """The rule for one attribute."""

    text: str
    is_valid: Callable[[object], bool]
    replace: Callable[[Any, Any], object]  # Any: the span or transaction, and whatever is there
    """Takes the owner and a value; returns its substitute."""


def _one_of(*types: type) -> Callable[[object], bool]:
    return lambda value: issubclass(type(value), types)


def _is_real(value: object) -> bool:
    return real(value, limit=_LARGEST) is not None


def _is_real_or_none(value: object) -> bool:
    return value is None or _is_real(value)


def is_span(value: object) -> bool:
    """Whether it is a span, or a transaction. Runs no code of the value."""
    return issubclass(type(value), Span)


def are_spans(values: Iterable[object]) -> bool:
    """Whether all are."""
    return all(issubclass(kind, Span) for kind in set(map(type, values)))


def _none(owner: object, value: object) -> None:
    return None


def _zero(owner: object, value: object) -> int:
    return 0


def _start_of(owner: Span, value: object) -> object:
    return owner.stop_ns if _is_real(owner.stop_ns) else 1


def _stop_of(owner: Span, value: object) -> object:
    return owner.start_ns


def _class_of(owner: object, value: object) -> type | None:
    return type(value) if issubclass(type(value), BaseException) else None


def _spans_among(owner: object, value: object) -> list[Span]:
    if type(value) is list or type(value) is tuple:  # anything else may be endless
        return [item for item in value if is_span(item)]
    return []


OF_SPAN: Final[dict[str, Expected]] = {
    "start_ns": Expected("a number", _is_real, _start_of),
    "stop_ns": Expected("a number", _is_real, _stop_of),
    "error": Expected("a class or None", _one_of(type, _NONE), _class_of),
    "own_parent": Expected("a span or None", _one_of(Span, _NONE), _none),
    "transaction": Expected("a transaction", _one_of(Transaction, _NONE), _none),
}
_IN_INBOX: Final[dict[str, Expected]] = {
    "spans": Expected("a list of spans", lambda value: type(value) is list and are_spans(value), _spans_among),
    "size": Expected("an int", _one_of(int), lambda owner, value: TRANSACTION_SIZE),
    "bounded": Expected("an int", _one_of(int), _zero),
    "merged": Expected("a dict or None", _one_of(dict, _NONE), _none),
    "ignored": Expected("a str or None", _one_of(str, _NONE), _none),
    "own_request": Expected("a WebRequest or None", _one_of(WebRequest, _NONE), _none),
}
"""Those that are read where a transaction is put into the inbox."""
OF_TRANSACTION: Final[dict[str, Expected]] = {
    **_IN_INBOX,
    **OF_SPAN,
    "started": Expected("a number", _is_real, lambda owner, value: time()),
    "queued_at": Expected("a number or None", _is_real_or_none, _none),
    "queue_time": Expected("a number or None", _is_real_or_none, _none),
    "id": Expected("an int", _one_of(int), lambda owner, value: Random().getrandbits(64)),  # noqa: S311  # not a secret
    "own_before": Expected("a span or None", _one_of(Span, _NONE), _none),
    "started_by": Expected("an int", _one_of(int), _zero),
    "raised": Expected("what record_error has recorded", _one_of(RecordedErrors, _NONE), _none),
    "add_request_tags": Expected("a function or None", lambda value: value is None or callable(value), _none),
}
_SHOWN: Final = {"own_request": "request", "own_parent": "parent", "own_before": "before"}


def complaint(what: str, name: str, value: object) -> str:
    """Return what is wrong with a value: ``a span whose error must be a class or None, got str``."""
    expected = (OF_SPAN if what == "span" else OF_TRANSACTION)[name]
    got = "other items" if type(value) is list else type_name(type(value))
    return f"a {what} whose {_SHOWN.get(name, name)} must be {expected.text}, got {got}"


def put_right(transaction: Transaction, *, for_inbox: bool = False) -> str:
    """
    Replace every value of another type in a transaction and its spans, and count each in ``invalid_values``.

    Args:
        for_inbox: only those that are read where it is put into the inbox: on the application's thread.

    Returns:
        A description of the first, as of ``complaint``; an empty text when all were right.
    """
    wrong = _put_right(transaction, "transaction", _IN_INBOX if for_inbox else OF_TRANSACTION)
    if not for_inbox:
        for span in transaction.spans:
            wrong += _put_right(span, "span", OF_SPAN)
            span.transaction = span.transaction or transaction
    if not wrong:
        return ""
    transaction.tracer.invalid_values += len(wrong)
    return wrong[0]


def _put_right(owner: object, what: str, table: dict[str, Expected]) -> list[str]:
    wrong = []
    for name, expected in table.items():
        value = getattr(owner, name)
        if not expected.is_valid(value):
            wrong.append(complaint(what, name, value))
            setattr(owner, name, expected.replace(owner, value))
        elif expected.is_valid in (_is_real, _is_real_or_none) and type(value) not in (int, float, _NONE):
            setattr(owner, name, real(value, limit=_LARGEST))  # a Decimal cannot be divided by a float
    return wrong
