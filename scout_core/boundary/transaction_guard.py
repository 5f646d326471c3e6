"""Hooks that get a transaction or a span: the values that one leaves in it must be of the right type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter, is_
from typing import Any, Final

from scout_core.boundary.guard import Guard
from scout_core.recording import context
from scout_core.recording.naming import type_name
from scout_core.recording.safety.repair import (
    OF_SPAN,
    OF_TRANSACTION,
    Expected,
    are_spans,
    complaint,
    is_span,
    put_right,
)
from scout_core.recording.transaction import Transaction

_values_of: Final[Callable[[object], tuple[Any, ...]]] = attrgetter(*OF_TRANSACTION)  # Any: anything can be in them
_values_of_span: Final[Callable[[object], tuple[Any, ...]]] = attrgetter(*OF_SPAN)


class TransactionGuard(Guard):
    """
    The guard of a hook that gets a transaction or a span first.

    A value of another type makes the call one that failed, and the one before is put back, so that the transaction counts.
    A value that was there before is not the plugin's fault. If it makes the plugin fail, it is replaced, and the failure does
    not count.
    """

    __slots__ = ("examination",)

    examination: Examination | None
    """Compares what was there before with what a call leaves; None on the application's thread, until a wrong value was found."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: those of Guard
        super().__init__(*args, **kwargs)
        self.examination = None

    def use(self, function: Callable[..., Any], *, is_examined: bool) -> None:
        """Call this function from now on."""
        self.examination = Examination(function) if is_examined else None
        self.function = self.examination or function

    def examine(self) -> None:
        """Examine the values in spans, too, which takes longer; on the application's thread, examine at all."""
        if self.examination is None:
            self.use(self.function, is_examined=True)
        self.examination.of_spans = True  # type: ignore[union-attr]  # it has been made

    def fail(self, error: BaseException) -> None:
        """Count a call that failed, unless a value that was wrong before can be the reason."""
        if not _was_misled(error):
            super().fail(error)


class Examination:
    """A hook's function that puts back the values of another type that it leaves."""

    __slots__ = ("function", "of_spans")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.of_spans = False

    def __call__(self, given: Any, *args: Any) -> Any:  # Any: as of the hook
        """
        Call the function.

        Raises:
            ValueError: it has left a value of another type.
        """
        if _is_transaction(given):
            restore = self._after_transaction(given)
        elif is_span(given):
            restore = _after_span(given)
        else:
            return self.function(given, *args)
        try:
            result = self.function(given, *args)
        except BaseException:
            restore()
            raise
        problem = restore()
        if problem:
            raise ValueError(f"it left {problem}")
        return result

    def _after_transaction(self, transaction: Transaction) -> Callable[[], str]:
        before = _values_of(transaction)
        spans = before[0]
        listed = list(spans) if type(spans) is list else None
        in_spans = [(span, _values_of_span(span)) for span in listed or () if self.of_spans and is_span(span)]

        def restore() -> str:
            after = _values_of(transaction)
            if all(map(is_, before, after)) and (listed is None or _is_same(spans, listed)) and not in_spans:
                return ""
            return _restore(transaction, before, after, listed) or _restore_spans(in_spans)

        return restore


def _is_transaction(value: object) -> bool:
    return issubclass(type(value), Transaction)


def _after_span(span: Any) -> Callable[[], str]:  # Any: a span, or one with anything in it
    """Return a function that puts back the values of a span that has just ended, and those of its transaction."""
    before, transaction = _values_of_span(span), span.transaction
    around = _values_of(transaction) if _is_transaction(transaction) else None

    def restore() -> str:
        wrong = _put_back(span, "span", OF_SPAN, before, _values_of_span(span))
        if around is None:
            return wrong
        return wrong or _put_back(transaction, "transaction", OF_TRANSACTION, around, _values_of(transaction))

    return restore


def _was_misled(error: BaseException) -> bool:
    """Whether a function has failed that was given a transaction with a value of another type; it is replaced."""
    trace = error.__traceback__
    if trace is None or trace.tb_frame.f_code is not _RUN:
        return False
    try:
        given = trace.tb_frame.f_locals["args"][0]
        if not is_span(given):
            return False
        transaction = given.transaction
        if _is_transaction(transaction):
            wrong, tracer = put_right(transaction), transaction.tracer
        else:
            wrong, tracer = complaint("span", "transaction", transaction), context.tracer
        if wrong:
            tracer.found_wrong = tracer.found_wrong or wrong
    except Exception:  # noqa: BLE001  # without a hook, or with anything in it: the failure counts
        return False
    return bool(wrong)


_RUN: Final = Guard.run.__code__


def _restore_spans(in_spans: list[tuple[object, tuple[object, ...]]]) -> str:
    """Put back the values of spans; return what is wrong, or an empty text."""
    problem = ""
    for span, before in in_spans:
        wrong = _put_back(span, "span", OF_SPAN, before, _values_of_span(span))
        problem = problem or wrong
    return problem


def _put_back(
    owner: object,
    what: str,
    table: Mapping[str, Expected],
    before: tuple[object, ...],
    after: tuple[object, ...],
) -> str:
    """Put back each value that was replaced by one of another type; return what is wrong with the first, or an empty text."""
    problem = ""
    for (name, expected), old, new in zip(table.items(), before, after, strict=True):
        if new is not old and not expected.is_valid(new):
            setattr(owner, name, old)
            problem = problem or complaint(what, name, new)
    return problem


def _is_same(spans: list[object], listed: list[object]) -> bool:
    return len(spans) == len(listed) and all(map(is_, spans, listed))


def _restore(
    transaction: object, before: tuple[object, ...], after: tuple[object, ...], listed: list[object] | None
) -> str:
    """Put back the values of a transaction; return what is wrong, or an empty text."""
    problem = _put_back(transaction, "transaction", OF_TRANSACTION, before, after)
    spans = before[0]
    if listed is not None and type(spans) is list and not _is_same(spans, listed) and not are_spans(spans):
        known = set(map(id, listed))  # the application may have left items of another type
        foreign = [item for item in spans if not is_span(item) and id(item) not in known]
        if foreign:
            spans[:] = listed
            got = f"{type_name(type(foreign[0]))} among them"
            problem = problem or f"a transaction whose spans must be {OF_TRANSACTION['spans'].text}, got {got}"
    return problem
