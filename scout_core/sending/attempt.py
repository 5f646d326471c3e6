"""One attempt to deliver a report through an exporter, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from scout_core.errors import NoReceiver, RejectedReport, with_kind
from scout_core.recording.safety.silence import Silence
from scout_core.recording.tracer import Tracer
from scout_core.sending.export_guard import ExportGuard
from scout_core.sending.exporter import Delivery
from scout_core.sending.registration import unusable_result
from scout_core.text.plain import text_of

if TYPE_CHECKING:
    from scout_core.measuring.report import Report

LONGEST_INTERVAL: Final = 86_400.0
LONGEST_REASON: Final = 100
LONGEST_ERROR: Final = 1000
"""Characters."""


@frozen(kw_only=True)
class Outcome:
    """The result of giving a report to an exporter."""

    has_arrived: bool = False
    requested_interval: float | None = None
    """Seconds until the next report that the receiver would like; None when it does not care."""
    left_out: Mapping[str, int] = field(factory=dict)
    """As of ``Delivery``."""
    reason: str | None = None
    """The reason under which it is dropped; None when it has arrived, and when it can be sent again."""
    error: str = ""
    """The exception of the exporter, as text."""
    is_expected: bool = False
    """Nobody is there to receive it, which is not an error."""


def attempt(guard: ExportGuard, report: Report, tracer: Tracer) -> Outcome:
    """Give a report to the exporter of a guard, which notes the call. Raises nothing that the exporter raises."""
    guard.enter()
    try:
        with Silence(tracer):  # an exporter that records would have something to export forever
            result = guard.exporter.export(report)
        problem = unusable_result(result)
        if problem:
            raise RejectedReport(problem, "export did not run")
    except NoReceiver as error:
        guard.succeed()
        return _rejected(error, is_expected=True)
    except RejectedReport as error:
        guard.note(error)
        return _rejected(error)
    except BaseException as error:  # noqa: BLE001  # sys.exit() in an exporter, too, must not end our thread
        guard.note(error)
        last = guard.failures.last
        return Outcome(error="" if last is None else with_kind(last.kind, last.message))
    guard.succeed()
    interval = result.next_report if isinstance(result, Delivery) else result
    return Outcome(
        has_arrived=True,
        requested_interval=_seconds(interval),
        left_out=result.left_out if isinstance(result, Delivery) else {},
    )


def _rejected(error: RejectedReport, *, is_expected: bool = False) -> Outcome:
    reason = text_of(getattr(error, "reason", "rejected"), LONGEST_REASON)
    return Outcome(reason=reason, error=text_of(error, LONGEST_ERROR), is_expected=is_expected)


def _seconds(interval: object) -> float | None:
    if isinstance(interval, (int, float)) and 0 < interval < LONGEST_INTERVAL:
        return float(interval)
    return None
