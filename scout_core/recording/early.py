"""Transactions of requests that run while the agent starts: they wait for nothing, and the agent takes them over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from scout_core.config.options import BY_KEY
from scout_core.recording import context
from scout_core.recording.safety import collecting
from scout_core.recording.safety.silence import Silence
from scout_core.recording.tracer import Tracer

if TYPE_CHECKING:
    from scout_core.config.config import Config
    from scout_core.recording.transaction import Transaction


class _Defaults:
    """The limits that hold before the configuration is read."""

    def get(self, key: str) -> Any:  # Any: as Config.get
        return BY_KEY[key].default


class Early:
    """A tracer without hooks, from ``begin`` until an agent takes it over or ``drop``."""

    def __init__(self) -> None:
        self.tracer = Tracer(cast("Config", _Defaults()), lambda: None, noted_by=self._note)
        self._is_open = True
        self._noted: list[Transaction] = []

    def begin(self) -> None:
        """Record from now on."""
        collecting.watch()
        context.tracer = self.tracer

    def hand_over(self) -> Tracer:
        """Return the tracer, which is the agent's from now on."""
        self._is_open = False
        return self.tracer

    def call_start_hooks(self) -> None:
        """Have the hooks of the agent decide on the transactions that began before, as on those that begin: ignored, sampled."""
        tracer = self.tracer
        with Silence(tracer):
            for transaction in self._noted:
                transaction.is_closed = transaction.ignored is not None  # a closed one cannot be ignored
                for hook in tracer.on_request_start:
                    hook(transaction, tracer.config)
                transaction.is_closed = transaction.is_finished or transaction.ignored is not None
        self._noted.clear()

    def drop(self) -> None:
        """Forget everything, unless it was handed over: no agent was started."""
        if self._is_open:
            self._is_open = False
            self._noted.clear()
            if context.tracer is self.tracer:
                context.tracer = None
                collecting.unwatch()
            self.tracer.retire()
            self.tracer.inbox.clear()
            self.tracer.overflow.clear()

    def _note(self, transaction: Transaction, _: object) -> None:
        if len(self._noted) < self.tracer.max_queue:
            self._noted.append(transaction)
