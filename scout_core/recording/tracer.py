"""What the recording side shares in one process: limits, frozen hooks, and the inbox of the agent's thread.

Hot code. The inbox is a deque: appending takes no lock and wakes nobody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from scout_core.recording.transaction import ended, release

if TYPE_CHECKING:
    from scout_core.config.config import Config
    from scout_core.recording.span import Span
    from scout_core.recording.transaction import Transaction

SAMPLED: Final = "sampled"
"""The reason of a transaction that is left out by chance."""
IGNORED: Final = "ignored"
"""What all others are counted as."""


class Tracer:
    """One for each process; a forked child gets its own."""

    __slots__ = (
        "config",
        "max_spans",
        "max_queue",
        "inbox",
        "refused",
        "ignored",
        "sampled",
        "late_spans",
        "in_collection",
        "on_request_start",
        "on_span",
        "tells_ignored",
        "ended",
        "left_out",
        "on_first",
        "has_begun",
    )

    config: Config
    max_spans: int
    max_queue: int
    inbox: deque[Transaction]
    """Finished ones that the agent's thread has not taken yet."""
    refused: int
    """Finished ones that the inbox had no room for."""
    ignored: int
    """Finished ones that were ignored on the application's thread and that nobody wants to hear of."""
    sampled: int
    """The same, by chance."""
    late_spans: int
    """Spans that ended, or began, after their transaction."""
    in_collection: int
    """Spans and transactions that were not recorded because the garbage collector was running; see ``collecting.py``."""
    on_request_start: tuple[Callable[[Transaction, Config], object], ...]
    on_span: tuple[Callable[[Span], object], ...]
    tells_ignored: bool
    """Whether a plugin wants to hear of ignored ones, so that they go into the inbox too."""
    ended: Transaction
    """What stands in for every transaction that is done with; see ``transaction.ended``."""
    left_out: Transaction
    """The same for ignored ones."""
    on_first: Callable[[], object]
    """Called once, when the first transaction ends: it starts the agent's thread."""
    has_begun: bool

    def __init__(self, config: Config, on_first: Callable[[], object]) -> None:
        self.config = config
        self.read_limits()
        self.inbox = deque()
        self.refused = 0
        self.ignored = 0
        self.sampled = 0
        self.late_spans = 0
        self.in_collection = 0
        self.on_request_start = ()
        self.on_span = ()
        self.tells_ignored = False
        self.ended = ended(self)
        self.left_out = ended(self, IGNORED)
        self.on_first = on_first
        self.has_begun = False

    def read_limits(self) -> None:
        """Take what the configuration says now."""
        self.max_spans = self.config.get("max_spans")
        self.max_queue = self.config.get("max_queue")

    def finish(self, transaction: Transaction) -> None:
        """Hand over a transaction that has ended."""
        # ``+=`` on an int attribute makes no call, so CPython does not switch threads within it.
        if transaction.ignored is not None and not self.tells_ignored:
            if transaction.ignored == SAMPLED:
                self.sampled += 1
            else:
                self.ignored += 1
            if transaction.spans:
                release(transaction)
            else:
                transaction.transaction = self.left_out
        elif len(self.inbox) < self.max_queue:
            self.inbox.append(transaction)
        else:
            self.refused += 1
        if not self.has_begun:
            self.has_begun = True
            self.on_first()

    def late(self, transaction: Transaction) -> None:
        """Count a span that came when its transaction had ended; those of ignored transactions are not wanted."""
        if transaction.ignored is None:
            self.late_spans += 1

    def retire(self) -> None:
        """Take nothing more: the process was forked, or the agent stopped."""
        self.max_queue = 0
        self.max_spans = 0
        self.on_span = ()
        self.on_request_start = ()
        self.has_begun = True
