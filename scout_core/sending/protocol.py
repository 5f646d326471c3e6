"""The HTTP protocol between a collector with its dashboard and everyone who asks it: paths, files and shapes of answers.

The agent posts reports, for which it needs only ``intake.py``, the command line reads answers, and the dashboard serves both.
Reading an answer imports cattrs.
"""

from __future__ import annotations

import sys
from typing import Final, TypeVar

from attrs import field, frozen

from scout_core.operations import JOB
from scout_core.problems import NextStep, Problem, TooManyErrors, TooSlow
from scout_core.recording.tracer import IGNORED, SAMPLED
from scout_core.sending.intake import (
    API,
    CONTENT_TYPE,
    MAX_REPORT_BYTES,
    REPORTS,
    Accepted,
    Failure,
    error_text,
    read_accepted,
    read_limit,
)
from scout_core.states import State

__all__ = [
    "API", "CONTENT_TYPE", "DROPPED_AS_CONFIGURED", "HEALTH", "LINKS", "LOGIN", "LOGIN_FILE", "MAX_REPORT_BYTES", "PLUGINS",
    "PROBE_APP", "PROBE_NAME", "REPORTS", "TRACE", "Accepted", "Failure", "Frame", "HealthAnswer", "LinkAnswer", "PluginsAnswer",
    "ProcessFacts", "ReportFacts", "ReportingProcess", "RunningFunction", "RunningPlugin", "RunningProcess", "StoredTrace",
    "TraceAnswer", "error_text", "is_heard_from", "read_accepted", "read_answer", "read_limit",
]  # fmt: skip

HEALTH: Final = f"{API}/health"
PLUGINS: Final = f"{API}/plugins"
TRACE: Final = f"{API}/trace/"
"""Followed by the trace's id."""

LINKS: Final = f"{API}/links"
"""A POST makes a login link."""

LOGIN: Final = "/login"
"""Followed by a slash and what makes a login link work once."""
LOGIN_FILE: Final = "dashboard-login-token"
"""In the state directory: the token that lets its owner read every answer, and make login links."""

PROBE_APP: Final = "scout-core doctor"
"""Application name of the doctor's probe; pages and totals leave it out unless it is asked for by name."""
PROBE_NAME: Final = f"{JOB}/scout-core.doctor"

DROPPED_AS_CONFIGURED: Final = frozenset({IGNORED, SAMPLED})
"""The reasons in the counters that the user configured; a transaction that is dropped for any other reason is lost."""

_SILENT_PERIODS: Final = 3
_LONGEST_REQUEST: Final = 60.0
"""Seconds. A process may report less often than it planned, because nobody views the dashboard any more."""
_Shape = TypeVar("_Shape")


@frozen(kw_only=True)
class Frame:
    """One frame of a traceback."""

    file: str
    line: int
    function: str


@frozen(kw_only=True)
class RunningFunction:
    """One function of a plugin in one process."""

    place: str
    """The hook, or the target it describes."""
    calls: int
    errors: int
    p50_ms: float | None
    """Over the sampled calls, like ``p95_ms``; None before the first sample."""
    p95_ms: float | None
    slow: str
    """The option whose limit it exceeds; empty while it does not."""
    off: str
    """``too-many-errors`` or ``too-slow`` when it is switched off; empty otherwise."""
    too_slow: TooSlow | None = None
    """By how much it exceeds its limit; None while it does not."""
    too_many_errors: TooManyErrors | None = None
    """The errors for which it was switched off."""
    is_recovered: bool = False
    """The last call of an exporter succeeded, so the errors before it need no attention."""
    unfollowed: tuple[str, ...] = ()
    """Results of a target with whose call its spans end, though they may have work to do: ``a context manager (Lock)``."""


@frozen(kw_only=True)
class RunningPlugin:
    """One plugin in one process."""

    name: str
    state: State
    reason: str
    """The text of ``problems``."""
    problems: tuple[Problem, ...] = ()
    """Why it is in its state."""
    next_step: NextStep | None = None
    """The first thing that a person can do; None when there is nothing to do."""
    calls: int
    errors: int
    last_error: str | None
    traceback: tuple[Frame, ...]
    """Frames of the last error, innermost first."""
    functions: tuple[RunningFunction, ...]
    wrapped: tuple[str, ...]
    waiting: tuple[str, ...]
    not_found: tuple[str, ...]
    target_problems: tuple[Problem, ...] = ()
    """Why targets are neither wrapped nor waiting; empty from an agent that sends texts in ``not_found``."""


@frozen(kw_only=True)
class ProcessFacts:
    """A process that has reported."""

    app: str
    host: str
    pid: int
    instance: str
    agent: str
    """Version of scout-core."""
    python: str
    revision: str
    started: float
    seen: float
    """Unix time of its latest report."""


@frozen(kw_only=True)
class RunningProcess(ProcessFacts):
    """A process with its plugins."""

    plugins: tuple[RunningPlugin, ...]
    is_running: bool | None = None
    """Whether it has reported lately, see ``is_heard_from``; None from a dashboard of an earlier version."""


@frozen
class PluginsAnswer:
    """Answer to ``PLUGINS``."""

    processes: tuple[RunningProcess, ...]


@frozen(kw_only=True)
class ReportFacts:
    """The reports of a process that have arrived. The numbers count from 1 in each process."""

    received: int
    """A report that came twice counts once."""
    first: int
    """The lowest number that has arrived."""
    last: int
    """The highest number that has arrived."""
    missing: int
    """Numbers between them that have not arrived: dropped by the process, sent to another collector, or late."""
    has_ended: bool | None
    """Whether a report was marked as the last one; None from an agent that does not mark it."""
    is_silent: bool
    """It has not ended, and is not heard from any more: it was killed, hangs, or cannot reach the collector."""


@frozen(kw_only=True)
class ProcessCounters:
    """The part of the counters of a process, for one exporter, that clients read; see ``Counters`` for all."""

    logging_failures: int = 0


@frozen(kw_only=True)
class ReportingProcess(ProcessFacts):
    """A process with the state of its reports."""

    reports: ReportFacts | None = None
    """None for an agent, or from a dashboard, of an earlier version."""
    counters: dict[str, ProcessCounters] = field(factory=dict)
    """By exporter."""

    @property
    def logging_failures(self) -> int:
        """Messages that are in no log; the same for each exporter."""
        return max((counters.logging_failures for counters in self.counters.values()), default=0)


@frozen
class HealthAnswer:
    """The part of the answer to ``HEALTH`` that clients read."""

    processes: tuple[ReportingProcess, ...]


@frozen
class StoredTrace:
    """The part of a stored trace that clients check."""

    name: str


@frozen
class TraceAnswer:
    """Answer to ``TRACE``."""

    trace: StoredTrace


@frozen(kw_only=True)
class LinkAnswer:
    """Answer to ``LINKS``: a link that logs in one browser, once, at either address of the dashboard."""

    by_name: str
    """At a host name below ``localhost``."""
    by_ip: str
    """At a path on the loopback address: for browsers that do not resolve such names, like Safari."""
    valid_seconds: int

    @property
    def default(self) -> str:
        """The link that every browser of this system can open."""
        return self.by_ip if sys.platform == "darwin" else self.by_name


def is_heard_from(seen: float, period: float | None, *, now: float) -> bool:
    """
    Whether a process has reported within three of its report periods, at least within three minutes.

    Args:
        seen: Unix time of its latest report.
        period: seconds between its reports, which its latest report names; None from an agent that does not send it.
    """
    return now - seen <= _SILENT_PERIODS * max(_LONGEST_REQUEST, period or 0.0)


def read_answer(facts: object, shape: type[_Shape]) -> _Shape:
    """
    Structure an answer as one of the classes above; fields that the class lacks are ignored.

    Raises:
        ValueError: a field is missing or has the wrong type; the message names each.
    """
    from cattrs import transform_error

    from scout_core.sending.wire import CONVERTER

    try:
        return CONVERTER.structure(facts, shape)
    except Exception as error:  # cattrs groups errors of many types; each becomes one part of the message
        raise ValueError("; ".join(transform_error(error)[:10])[:2_000]) from error
