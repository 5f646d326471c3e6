"""One plugin in one process, as JSON tells it: how it is, how long its functions take, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import asdict

from scout_core.sending.protocol import Frame, RunningFunction
from scout_dashboard.queries.metrics import Facts

FINE: Final = frozenset({"active", "waiting", "disabled"})

Status = Mapping[str, Any]  # Any: a plugin's status as a report brought it


def plugin_facts(status: Status) -> Facts:
    """
    A plugin's status with the times of its functions in milliseconds, and what to do.

    Args:
        status: of an agent of any version: what an older one does not tell is empty.
    """
    functions = [_function(each) for each in status.get("functions") or ()]
    facts = {
        **status,
        "functions": functions,
        "slowest": max((each for each in functions if each["p95_ms"] is not None), key=_p95, default=None),
        "traceback": [
            asdict(Frame(file=file, line=line, function=function))
            for file, line, function in status.get("traceback") or ()
        ],
    }
    return facts | {"needs_look": needs_look(facts), "to_do": to_do(facts)}


def needs_look(facts: Status) -> bool:
    """Whether it is not in order, failed in a call, missed a target, or takes longer than it may."""
    slow = any(each["slow"] or each["off"] for each in facts["functions"])
    return bool(facts["state"] not in FINE or facts["errors"] or facts["not_found"] or slow)


def to_do(facts: Status) -> str:
    """The next step, one sentence; empty when there is none, or when the reason names it already."""
    name, state = facts["name"], facts["state"]
    if _names_next_step(facts["reason"]):
        return ""
    if state == "failed":
        return f"'scout-core plugins {name}' shows the line that failed, 'scout-core plugins disable {name}' leaves it out."
    if state == "quarantined":
        return (
            "Mend what its last error tells, or what is slow, and restart this process: it is not called again before."
        )
    if state == "skipped":
        return "Install a version in its range, and restart this process."
    if state == "disabled":
        return "Change the setting that its reason names, and restart this process."
    if state == "waiting":
        return "Nothing: it begins when the application imports its library."
    if facts["not_found"]:
        return _missed(facts)
    if facts["errors"]:
        return "The application was not affected; mend what the last error tells."
    slow = [each["place"] for each in facts["functions"] if each["slow"]]
    return f"Make {' and '.join(slow)} faster, or allow more with hook_budget_seconds." if slow else ""


def _names_next_step(reason: str) -> bool:
    """Whether an agent of this version has said it; those before said only why."""
    return any(step in reason for step in ("; try: ", "' shows where", "; take that out", "; add it there"))


def _missed(facts: Status) -> str:
    if facts["distribution"]:
        return f"Its library no longer has every target; try: pip install -U {facts['distribution']}"
    return "Correct the targets that are not found: 'module:Class.method' as the library has them."


def _function(status: Status) -> Facts:
    return asdict(
        RunningFunction(
            place=status["place"],
            calls=status["calls"],
            errors=status["errors"],
            p50_ms=_exact_ms(status.get("p50")),
            p95_ms=_exact_ms(status.get("p95")),
            slow=status.get("slow", ""),
            off=status.get("off", ""),
        )
    )


def _exact_ms(seconds: float | None) -> float | None:
    """To a nanosecond: a hook takes less than the microsecond that other latencies are rounded to."""
    return None if seconds is None else round(seconds * 1_000, 6)


def _p95(function: Facts) -> float:
    return float(function["p95_ms"])
