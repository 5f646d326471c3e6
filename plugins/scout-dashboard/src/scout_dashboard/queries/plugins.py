"""One plugin in one process as JSON: its state, the times of its functions, and the next step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import asdict

from scout_core.sending.protocol import Frame, RunningFunction
from scout_core.states import State
from scout_dashboard.queries.metrics import Facts

Status = Mapping[str, Any]  # Any: a plugin's status as a report brought it


def plugin_facts(status: Status) -> Facts:
    """
    Return the status of a plugin with the times of its functions in milliseconds.

    Args:
        status: as stored, from an agent of any version; fields that an older one does not send are empty.
    """
    functions = [_function(function) for function in status.get("functions") or ()]
    facts = {
        **status,
        "problems": list(status.get("problems") or ()),
        "next_step": status.get("next_step"),
        "target_problems": list(status.get("target_problems") or ()),
        "functions": functions,
        "slowest": max((function for function in functions if function["p95_ms"] is not None), key=_p95, default=None),
        "traceback": [
            asdict(Frame(file=file, line=line, function=function))
            for file, line, function in status.get("traceback") or ()
        ],
    }
    return facts | {"needs_attention": needs_attention(facts)}


def needs_attention(facts: Status) -> bool:
    """Whether it is in a bad state, an exception was raised, a target is missing, or a function is too slow."""
    slow = any(function["slow"] or function["off"] for function in facts["functions"])
    over = sum(function["errors"] for function in facts["functions"] if function["is_recovered"])
    return bool(not is_fine(facts["state"]) or facts["errors"] > over or facts["not_found"] or slow)


def urgency(facts: Status) -> tuple[bool, int]:
    """Sort key: the worst state of those that need attention first, then the best state of the others."""
    try:
        severity = State(facts["state"]).severity
    except ValueError:  # a word that only another version knows
        severity = len(State)
    return (False, -severity) if facts["needs_attention"] else (True, severity)


def is_fine(state: str) -> bool:
    """Whether nothing needs to be done in a state; False for a word that only another version knows."""
    try:
        return State(state).is_fine
    except ValueError:
        return False


def _function(status: Status) -> Facts:
    function = RunningFunction(
        place=status["place"],
        calls=status["calls"],
        errors=status["errors"],
        p50_ms=_exact_ms(status.get("p50")),
        p95_ms=_exact_ms(status.get("p95")),
        slow=status.get("slow", ""),
        off=status.get("off", ""),
        is_recovered=status.get("is_recovered", False),
        unfollowed=tuple(status.get("unfollowed") or ()),
    )
    return asdict(function) | {key: status.get(key) for key in ("too_slow", "too_many_errors")}


def _exact_ms(seconds: float | None) -> float | None:
    """Round to a nanosecond: a hook takes less than a microsecond, to which other latencies are rounded."""
    return None if seconds is None else round(seconds * 1_000, 6)


def _p95(function: Facts) -> float:
    return float(function["p95_ms"])
