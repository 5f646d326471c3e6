"""
A span that covers those of its kind: where an ORM and the driver below it are both timed, one statement is one span.

Hot code: it walks from the innermost open span up to the transaction, which is two or three steps. Other spans do nothing for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scout_core.recording.context import current, has_ended
from scout_core.recording.safety.contain import lose
from scout_core.recording.safety.never_ended import follow
from scout_core.recording.span import Span
from scout_core.recording.transaction import Transaction
from scout_core.signals import is_from_signal_handler

if TYPE_CHECKING:
    from typing_extensions import Self

_get = current.get
_enter = Span.__enter__


def records(kind: str) -> bool:
    """
    Whether an ``OutermostSpan`` of a kind would be recorded if it began here: a transaction is open that is not ignored, and nothing
    covers the span. Who asks first spares itself the object. It never raises.
    """
    span = _get()
    if span is None:
        return False
    try:
        transaction = span.transaction
        if transaction is not None and transaction.ignored is not None and not transaction.is_finished:
            return False
        return isinstance(span, Transaction) or _covering(span, kind) is None
    except AttributeError as error:  # the application has set one of them to something else
        if is_from_signal_handler(error):
            raise
    return True


def _covering(span: Span, kind: str) -> OutermostSpan | None:
    """Return the open span that covers one of a kind which begins inside a span that is not a transaction; None: nothing does."""
    while True:
        if isinstance(span, OutermostSpan) and span.kind == kind and not has_ended(span):
            return span
        around = span.own_parent
        if around is None or isinstance(around, Transaction):
            return None
        span = around


class OutermostSpan(Span):
    """
    A span that is recorded only if no other ``OutermostSpan`` of its kind is open around it; otherwise it does nothing.

    ``outermost_span("SQL/Query", statement=statement)`` is for plugins of libraries that use one another, as an ORM uses a driver
    or an HTTP client another one. All of them return it: the outer one is recorded, and where only the inner plugin is
    in use, its span is. A plain ``span`` neither covers others nor is it covered, nor is a detached transaction.
    """

    __slots__ = ()

    def begin(self) -> Self:
        """Start it, if nothing covers it; see ``Span.begin``. The parent of one that is covered is the span that covers it."""
        if not self.start_ns:
            OutermostSpan.__enter__(self)
            follow(self)
        return self

    def __enter__(self) -> Self:
        try:
            around = None if self.start_ns else _get()
            if around is not None and not isinstance(around, Transaction):
                covering = _covering(around, self.kind)
                if covering is not None:
                    self.own_parent = covering
                    return self
        except Exception as error:  # noqa: BLE001  # see `contain.py`
            lose(self, error)
            return self
        return _enter(self)

    @property
    def is_covered(self) -> bool:
        """Whether it was not recorded because of the span around it."""
        return self.transaction is None and self.own_parent is not None
