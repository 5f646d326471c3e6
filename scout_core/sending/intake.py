"""The part of the protocol that agents need: how a report is posted, and what a collector answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import frozen

API: Final = "/api/v1"
REPORTS: Final = f"{API}/reports"
"""Agents post here, with the token of ``CollectorAddress``."""

CONTENT_TYPE: Final = "application/json"
"""Type of reports and answers."""
SENT_HEADER: Final = "X-Scout-Sent"
"""Unix time in seconds, by the sender's clock, when it sends a report: the collector corrects the times of a clock that is wrong."""
MAX_REPORT_BYTES: Final = 8 * 1024 * 1024
"""The largest report that a collector accepts, unless it announces another limit."""
_LEAST_LIMIT: Final = 4_096
"""Bytes. A receiver that announces less cannot mean it."""
_MOST_ERROR_CHARACTERS: Final = 200


@frozen(kw_only=True)
class Accepted:
    """Answer to a report that was stored."""

    accepted: bool
    duplicate: bool = False
    """The report was stored before and not counted again."""
    next_report: float | None = None
    """Requested number of seconds until the next report."""
    max_report_bytes: int | None = None
    """The largest report that the collector accepts; None from one of an earlier version."""


@frozen(kw_only=True)
class Failure:
    """Answer with any status from 400."""

    error: str
    max_report_bytes: int | None = None
    """The limit that was exceeded; only with status 413."""

    def facts(self) -> dict[str, object]:
        """Return it as JSON."""
        limit = {} if self.max_report_bytes is None else {"max_report_bytes": self.max_report_bytes}
        return {"error": self.error, **limit}


def read_accepted(facts: object) -> Accepted | None:
    """Return the answer to a report, without an unusable ``next_report``; None when it is not an acceptance."""
    if not isinstance(facts, Mapping) or facts.get("accepted") is not True:
        return None
    seconds = facts.get("next_report")
    return Accepted(
        accepted=True,
        duplicate=facts.get("duplicate") is True,
        next_report=seconds if isinstance(seconds, (int, float)) else None,
        max_report_bytes=read_limit(facts),
    )


def read_limit(facts: object) -> int | None:
    """Return ``max_report_bytes`` of an answer or an announcement; None when it is missing or unusable."""
    limit = facts.get("max_report_bytes") if isinstance(facts, Mapping) else None
    return limit if isinstance(limit, int) and not isinstance(limit, bool) and limit >= _LEAST_LIMIT else None


def error_text(facts: object) -> str:
    """Return the ``error`` of a failed answer, at most 200 characters; ``no reason given`` for any other content."""
    text = facts.get("error") if isinstance(facts, Mapping) else None
    return str(text)[:_MOST_ERROR_CHARACTERS] if text else "no reason given"
