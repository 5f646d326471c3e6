"""Recorded errors as they leave the process. On the agent's thread: texts are built here, and code of the application runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from scout_core.application_code import AGENT, application_code
from scout_core.measuring.error_report import ErrorReport, RelatedException
from scout_core.text.message import masked_note
from scout_core.text.plain import exact

if TYPE_CHECKING:
    from scout_core.application_code import ApplicationCode
    from scout_core.config.config import Config
    from scout_core.recording.errors.raised import Raised
    from scout_core.recording.errors.recorded import RecordedError, RecordedErrors
    from scout_core.recording.record import Record

_OURS: Final = tuple(os.path.join(AGENT, group, "") for group in ("boundary", "instruments", "recording"))
"""Directories of our frames around the application's calls, which do not explain its error."""
_module: Final[Callable[[type], str]] = type.__dict__["__module__"].__get__
_qualified_name: Final[Callable[[type], str]] = type.__dict__["__qualname__"].__get__


def reports_of(errors: RecordedErrors, transaction: Record) -> tuple[ErrorReport, ...]:
    """Return the errors of a transaction that has ended: those that made it fail first, each in the order of recording."""
    reports = [error.report or _report(error, transaction.tracer.config) for error in list(errors.listed)]
    return tuple(sorted(reports, key=lambda report: report.handled))


def class_path(kind: type) -> str:
    """``sqlalchemy.exc.IntegrityError``; built-in ones without their module."""
    module, name = _module(kind), exact(_qualified_name(kind))  # not `kind.__module__`: a metaclass may raise for it
    if not issubclass(type(module), str):
        return name
    module = exact(module)
    return name if module == "builtins" else f"{module}.{name}"


def _report(error: RecordedError, config: Config) -> ErrorReport:
    code = application_code(config.get("in_app_include"), config.get("in_app_exclude"))
    top, *others = error.exceptions
    error.report = ErrorReport(
        **_facts(top, code),
        handled=error.handled,
        related=tuple(
            RelatedException(**_facts(raised, code), parent=raised.parent, relation=raised.relation)
            for raised in others
        ),
        left_out=error.left_out,
    )
    return error.report


def _facts(raised: Raised, code: ApplicationCode) -> dict[str, Any]:  # Any: the fields have several types
    frames = tuple(
        (frame.co_filename, line or 0, frame.co_name)  # a line may be unknown
        for frame, line in raised.frames
        if not frame.co_filename.startswith(_OURS)
    )
    return {
        "exception": class_path(raised.kind),
        "message": raised.message,
        "frames": frames,
        "in_app": tuple([code.has(file) for file, _, _ in frames]),
        "notes": tuple(map(masked_note, raised.notes)),
    }
