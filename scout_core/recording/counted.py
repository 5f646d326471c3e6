"""The counters of the recording side of a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scout_core.recording.transaction import Transaction


class Counted:
    """Counters of one tracer, each 0 at first. Any thread adds to them without a lock: ``+=`` on an int makes no call."""

    __slots__ = (
        "begun",
        "refused",
        "entered",
        "left",
        "values_cut",
        "tags_dropped",
        "after_stop",
        "ignored",
        "sampled",
        "never_ended",
        "spans_never_ended",
        "spans_open_at_stop",
        "late_spans",
        "in_collection",
        "interrupted",
        "failed",
        "in_hooks",
        "invalid_values",
        "headers_unsent",
        "errors_ignored",
    )

    begun: int
    """Transactions that have begun; see ``open_transactions``."""
    refused: int
    """Finished transactions for which neither the inbox nor ``overflow`` had room."""
    entered: int
    """Bytes that finished transactions held, about, when they came into the inbox."""
    left: int
    """The same of those that the agent's thread has taken."""
    values_cut: int
    """Texts that were shortened, and tags that were replaced by their type, so that the inbox is bounded; see ``bounds.py``."""
    tags_dropped: int
    """Tags beyond the limit of one span or transaction, and those of spans beyond the limit of text of one transaction."""
    after_stop: int
    """Transactions that ended after the agent had stopped, or were kept open then."""
    ignored: int
    """Transactions ignored on the application's thread while no plugin implements ``on_ignore``."""
    sampled: int
    """The same for transactions that were not sampled."""
    never_ended: int
    """Transactions that were kept open, and that nothing can end any more: they were freed."""
    spans_never_ended: int
    """The same for spans; see ``never_ended.py``."""
    spans_open_at_stop: int
    """Spans that were kept open when the agent stopped."""
    late_spans: int
    """Spans that started after the end of their transaction or had not ended by then, and errors recorded after it."""
    in_collection: int
    """Spans and transactions that were not recorded because the garbage collector was running; see ``collecting.py``."""
    interrupted: int
    """Transactions that an exception of a signal handler left without an end; see ``abandoned.py``."""
    failed: int
    """Transactions that could not be handed over because of a fault of our own; see ``contain.py``."""
    in_hooks: int
    """Spans and transactions that were not recorded because a hook began them."""
    invalid_values: int
    """Values of another type that were set as an operation or tags, and are not used."""
    headers_unsent: int
    """Calls whose trace headers could not be added to those that the caller gave."""

    errors_ignored: int
    """Exceptions that an option lists as no errors."""

    def __init__(self) -> None:
        self.begun = 0
        self.refused = 0
        self.entered = 0
        self.left = 0
        self.values_cut = 0
        self.tags_dropped = 0
        self.after_stop = 0
        self.ignored = 0
        self.sampled = 0
        self.never_ended = 0
        self.spans_never_ended = 0
        self.spans_open_at_stop = 0
        self.late_spans = 0
        self.in_collection = 0
        self.interrupted = 0
        self.failed = 0
        self.in_hooks = 0
        self.invalid_values = 0
        self.headers_unsent = 0
        self.errors_ignored = 0

    def count_late(self, transaction: Transaction) -> None:
        """Count a span that came after the end of its transaction, unless that was ignored, or from a hook."""
        if not transaction.start_ns:
            self.in_hooks += 1
        elif transaction.ignored is None:
            self.late_spans += 1
