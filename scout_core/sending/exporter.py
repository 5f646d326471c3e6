"""What ``register_exporters`` gives: anything with a name and an ``export``."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from scout_core.measuring.report import Report


@runtime_checkable
class Exporter(Protocol):
    """Takes reports somewhere. Called on a thread of its own, one report at a time, so it may block."""

    name: str
    """Short and unique; counters are kept under it."""

    def export(self, report: Report) -> float | None:
        """
        Deliver one report.

        Returns:
            Seconds after which the receiver would like the next report; None when it does not care.

        Raises:
            RejectedReport: sending it again would not help; it is dropped, and counted under the error's ``reason``.
            Exception: anything else: it is sent again, after a pause that doubles up to a minute.
        """
