"""
The facts of one span: its operation and tags, its place in the transaction, and its times.

Hot code: an object is made for each span. Hence a plain class with slots, no formatting, no lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scout_core.clocks import perf_counter_ns
from scout_core.operations import kind_of
from scout_core.recording.context import current, has_ended
from scout_core.recording.limits.bounds import LONGEST_TEXT
from scout_core.recording.naming import has_error_tag, name_or_refuse, plain_key, plain_name, shortened, type_name
from scout_core.recording.trace.ids import span_id_of
from scout_core.tag_values import KEY_READ

if TYPE_CHECKING:
    from scout_core.recording.safety.never_ended import KeptOpen
    from scout_core.recording.span import Span
    from scout_core.recording.transaction import Transaction

_get = current.get


class Facts:
    """The facts of one span; ``Span`` adds how it begins and ends."""

    __slots__ = (
        "own_operation",
        "own_tags",
        "transaction",
        "own_parent",
        "start_ns",
        "stop_ns",
        "error",
        "own_id",
        "own_watch",
        "__weakref__",
    )

    own_operation: str
    own_tags: dict[str, Any]  # Any: cleaned when sent
    transaction: Transaction | None
    """The transaction that it belongs to; None while not recorded."""
    own_parent: Span | None
    start_ns: int
    """Monotonic clock; 0 before the start, and of a transaction while the hooks of its start run."""
    stop_ns: int
    """0 while open; ``KEPT_OPEN`` once it is to outlive its block; see ``keep_open``."""
    error: type[BaseException] | None
    """Class of the exception that propagated out of it; None: it succeeded."""
    own_id: str  # unset until somebody reads `span_id`
    own_watch: KeptOpen | None  # unset until it is kept open; see `never_ended.py`

    def __init__(self, operation: str, /, **tags: Any) -> None:
        self.own_operation = operation if type(operation) is str else name_or_refuse(operation)
        self.own_tags = tags
        self.transaction = None
        self.own_parent = None
        self.start_ns = 0
        self.stop_ns = 0
        self.error = None

    def tag(self, key: str, value: Any) -> None:
        """Set a tag, replacing an earlier value. A value of megabytes is shortened; see ``bounds.py``."""
        if type(value) is str and len(value) > LONGEST_TEXT:
            value = shortened(self, key, value)
        self.own_tags[key if type(key) is str and len(key) < KEY_READ else plain_key(self, key)] = value

    def rename(self, operation: str) -> None:
        """Change the operation."""
        self.own_operation = operation if type(operation) is str else plain_name(operation)

    @property
    def operation(self) -> str:
        """``Kind/name``. Anything but a text is refused: a hook that sets it fails, elsewhere the operation stays."""
        return self.own_operation

    @operation.setter
    def operation(self, operation: str) -> None:
        if issubclass(type(operation), str):
            self.rename(operation)
        else:
            self._refuse("operation", "str", operation)

    @property
    def tags(self) -> dict[str, Any]:
        """Facts about it. Anything but a dict is refused: a hook that sets it fails, elsewhere the tags stay."""
        return self.own_tags

    @tags.setter
    def tags(self, tags: dict[str, Any]) -> None:
        if type(tags) is dict:
            self.own_tags = tags
        else:
            self._refuse("tags", "dict", tags)

    @property
    def parent(self) -> Span | None:
        """The innermost span that was open when this one started; None for the transaction itself. It cannot be set."""
        return self.own_parent

    @parent.setter
    def parent(self, parent: Span | None) -> None:
        if parent is not self.own_parent:  # a circle of parents would keep every walk up to the transaction from ending
            self._refuse("parent", "span that was open at the start", parent)

    def _refuse(self, name: str, expected: str, value: object) -> None:
        """Keep the old value. The application's thread is never interrupted; a hook is, so that its plugin is named."""
        transaction = self.transaction
        tracer = getattr(transaction, "tracer", None)  # one from a trace has none
        if tracer is not None:
            tracer.invalid_values += 1
        current_span = _get()
        inside = None if current_span is None else current_span.transaction
        if inside is not None and not inside.start_ns:  # a hook runs
            raise TypeError(f"{name} must be a {expected}, got {type_name(type(value))}")

    @property
    def kind(self) -> str:
        """The operation up to its first slash: ``SQL`` of ``SQL/Query``."""
        return kind_of(self.own_operation)

    @property
    def span_id(self) -> str:
        """Its id in the trace, 16 hexadecimal digits; empty while it is not recorded."""
        return span_id_of(self)

    @property
    def duration(self) -> float:
        """Seconds from start to end, or until now while it is open; 0.0 when not recorded."""
        if not self.start_ns:
            return 0.0
        return ((self.stop_ns if has_ended(self) else perf_counter_ns()) - self.start_ns) / 1e9

    @property
    def is_error(self) -> bool:
        """Whether an exception propagated out of it, or the tag ``error`` is set to true."""
        return self.error is not None or has_error_tag(self.own_tags)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.operation}>"
