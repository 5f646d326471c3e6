"""The process that a report comes from. Apart from the report, which is imported only when the first one is made."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class Process:
    """The process that reports."""

    app: str
    hostname: str
    pid: int
    instance: str
    """16 hexadecimal digits, new for each process, so that a reused pid is noticed."""
    started: float
    agent: str
    """Version of scout-core."""
    python: str
    revision: str
