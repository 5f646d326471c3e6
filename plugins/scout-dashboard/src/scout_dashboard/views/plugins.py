"""The figures of a plugin's functions and the problems of its targets in words, as the page of plugins shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scout_core.problems import TARGET_LABELS
from scout_dashboard.formatting import cost

Facts = Mapping[str, Any]  # Any: a plugin or one of its functions in the JSON


def slowness(function: Facts) -> str:
    """Return how a function exceeds its limit; empty while it does not, and the agent's text when it sends no figures."""
    facts = function["too_slow"]
    if facts is None:
        return str(function["slow"])
    measure = "median" if facts["quantile"] == 0.5 else f"p{facts['quantile'] * 100:.0f}"
    option = facts["option"] if facts["factor"] == 1 else f"{facts['factor']} × {facts['option']}"
    taken, allowed = cost(facts["seconds"] * 1_000), cost(facts["limit"] * 1_000)
    return f"{taken} a call ({measure} of the last {facts['timed']} timed calls), above {option} = {allowed}"


def switched_off(function: Facts) -> str:
    """Return why a function is switched off; empty while it is in use."""
    if not function["off"]:
        return ""
    facts = function["too_many_errors"]
    if facts is None:
        return slowness(function) if function["too_slow"] else str(function["off"])
    errors, calls = facts["errors"], facts["calls"]
    return f"{errors} errors in a row" if errors == calls else f"{errors} errors in {calls} calls"


def slow_functions(plugin: Facts) -> list[Facts]:
    """Return the functions that exceed their limits, without those that the problems of the plugin are about."""
    named = {problem["subject"] for problem in plugin["problems"]}
    return [function for function in plugin["functions"] if function["slow"] and function["place"] not in named]


def unwrapped_targets(plugin: Facts) -> list[tuple[str, str, bool]]:
    """Return the targets that are neither wrapped nor waiting: what each is, the reason, and whether that is a fault of its own."""
    return [
        (TARGET_LABELS.get(problem["kind"], "not wrapped"), problem["detail"], problem["kind"] == "missing-target")
        for problem in plugin["target_problems"]
    ] or [("not found", text, True) for text in plugin["not_found"]]
