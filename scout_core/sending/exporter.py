"""What ``register_exporters`` gives: anything with a name and an ``export``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from attrs import field, frozen

from scout_core.fork_lock import importing as importing  # a name of this module, too: exporters hold it
from scout_core.threads import breathe

if TYPE_CHECKING:
    from scout_core.measuring.report import Report


def import_in_steps(*modules: str) -> None:
    """Import modules one after another, each while holding ``importing``; between them other greenlets run."""
    for module in modules:
        if module not in sys.modules:
            with importing:
                import_module(module)
            breathe()


@frozen(kw_only=True)
class Delivery:
    """The result of a delivery, for exporters that know more than the time of the next one."""

    next_report: float | None = None
    """Seconds after which the receiver would like the next report; None when it does not care."""
    left_out: Mapping[str, int] = field(factory=dict)
    """Parts that did not fit, as ``Report.left_out``; without those that the report had left out before."""


@runtime_checkable
class Exporter(Protocol):
    """Takes reports somewhere. Called on a thread of its own, one report at a time, so it may block."""

    name: str
    """Short and unique; counters are kept under it."""

    def export(self, report: Report) -> float | Delivery | None:
        """
        Deliver one report. What it imports it imports here, at first use, while it holds ``importing``.

        Returns:
            Seconds after which the receiver would like the next report; None when it does not care; or a ``Delivery``.

        Raises:
            RejectedReport: sending it again would not help; it is dropped, and counted under the error's ``reason``.
            Exception: anything else: it is sent again, after a pause that doubles up to a minute.
        """
