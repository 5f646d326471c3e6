"""Recorded errors as they leave the process. On the agent's thread: texts are built here, and code of the application runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from scout_core.application_code import AGENT, code_of
from scout_core.classes import class_path
from scout_core.measuring.error_groups import identify, place_of
from scout_core.measuring.error_report import ErrorReport, RelatedException
from scout_core.text.message import masked_note
from scout_core.tracebacks import as_frames

if TYPE_CHECKING:
    from scout_core.application_code import ApplicationCode
    from scout_core.config.config import Config
    from scout_core.recording.errors.raised import Raised
    from scout_core.recording.errors.recorded import RecordedError, RecordedErrors
    from scout_core.recording.record import Record

_OURS: Final = tuple(os.path.join(AGENT, group, "") for group in ("boundary", "instruments", "recording"))
"""Directories of our frames around the application's calls, which do not explain its error."""


def reports_of(errors: RecordedErrors, transaction: Record) -> tuple[ErrorReport, ...]:
    """Return the errors of a transaction that has ended: those that made it fail first, each in the order of recording."""
    reports = [error.report or _report(error, transaction.tracer.config) for error in list(errors.listed)]
    return tuple(sorted(reports, key=lambda report: report.handled))


def _report(error: RecordedError, config: Config) -> ErrorReport:
    code = code_of(config)
    top, *others = error.exceptions
    report = ErrorReport(
        **_facts(top, code),
        handled=error.handled,
        related=tuple(
            RelatedException(**_facts(raised, code), parent=raised.parent, relation=raised.relation)
            for raised in others
        ),
        left_out=error.left_out,
    )
    placed = evolve(report, where=_where(top, place_of(report), code))
    error.report = evolve(placed, group=identify(placed).key)
    return error.report


def _where(raised: Raised, number: int | None, code: ApplicationCode) -> str:
    """Return module and qualified name of the function in a frame of a report."""
    if number is None:
        return ""
    calls = [call for call, _ in raised.frames if not call.co_filename.startswith(_OURS)]
    call = calls[number]
    return f"{code.module_of(call.co_filename)}:{getattr(call, 'co_qualname', call.co_name)}"  # Python >= 3.11


def _facts(raised: Raised, code: ApplicationCode) -> dict[str, Any]:  # Any: the fields have several types
    frames = as_frames(raised.frames, without=_OURS)
    return {
        "exception": class_path(raised.kind),
        "message": raised.message,
        "frames": frames,
        "in_app": tuple([code.has(file) for file, _, _ in frames]),
        "notes": tuple(map(masked_note, raised.notes)),
    }
