"""The rules about hooks that are called while an agent records: what they return, change and keep, and how long they take."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from time import perf_counter_ns
from types import ModuleType
from typing import Any, Final
from weakref import ref

from scout_core.boundary.guard import Guard
from scout_core.operations import CONTROLLER
from scout_core.recording.span import Span
from scout_core.recording.transaction import Transaction
from scout_core.testing.leaks import LeftBehind
from scout_core.testing.rules.grouping import KINDS, request
from scout_core.testing.rules.problems import Violation
from scout_core.testing.rules.targets import with_hooks
from scout_core.testing.scout import Scout, recording

ALIKE: Final = 300
"""Requests by which what is kept, and the shortest call, are found."""
MOST_KEPT: Final = 200
"""Transactions among these that may still be referenced by then."""
PERIODS: Final = 3
_UNLIMITED: Final = 60.0
_GAUGES: Final = "measure_process"
_MAY_CHANGE: Final = {
    "on_request_start": {"tags", "operation", "ignored"},
    "on_span": {"tags", "tags of the transaction"},
    "on_request_end": {"tags"},
}
"""Hooks that may change something, each with the facts that they may; any other hook changes nothing."""
_LONGEST_MS: Final = {
    "on_request_start": 0.2, "on_span": 0.2, "ignore_transaction": 5.0, "trace_group": 5.0, "score_transaction": 5.0,
    "on_error": 5.0, "on_request_end": 5.0, "on_ignore": 5.0, "on_keep": 5.0, "on_report": 500.0, _GAUGES: 500.0,
}  # fmt: skip
"""The hooks that are checked, each with the longest time that its shortest call may take: the limits of an application."""
_RIGHT: Final = {
    "score_transaction": "return a finite number, or None for a transaction that it does not judge",
    "trace_group": "return a text of 1 to 500 characters, or None where there is nothing to choose",
    "ignore_transaction": "return True or a reason to ignore the transaction, otherwise False or None",
    _GAUGES: "return a dict of at most 50 names to finite numbers, or None",
}


class _Watched:
    """The function of one hook, and everything that is wrong with its calls."""

    def __init__(self, hook: str, function: Callable[..., Any]) -> None:
        self.hook = hook
        self._function = function
        self.changes: dict[str, None] = {}
        self.answers: dict[str, None] = {}
        """Types of results that decide nothing."""
        self.calls = 0
        self.shortest_ms = float("inf")

    def __call__(self, *args: Any) -> Any:
        before = _state(args)
        start = perf_counter_ns()
        result = self._function(*args)
        self.shortest_ms = min(self.shortest_ms, (perf_counter_ns() - start) / 1e6)
        self.calls += 1
        after = _state(args)
        changed = [name for name, value in before.items() if after[name] != value]
        self.changes.update(dict.fromkeys(name for name in changed if name not in _MAY_CHANGE.get(self.hook, ())))
        if self.hook == "ignore_transaction" and not (result is None or isinstance(result, (bool, str))):
            self.answers[type(result).__name__] = None
        return result

    def problems(self) -> Iterator[Violation]:
        """Report what was found in all calls."""
        rule, limit = _rule(self.hook), _LONGEST_MS[self.hook]
        for answer in self.answers:
            yield Violation(
                rule, f"{self.hook} returns an object of type {answer}, which decides nothing", _RIGHT[self.hook]
            )
        for change in self.changes:
            yield Violation(
                rule,
                f"{self.hook} changes the {change} of what it is given",
                "only read it; on_request_start can set tags",
            )
        if self.calls and self.shortest_ms > limit:
            evidence = f"{self.hook} takes {self.shortest_ms:.2f} ms in the shortest of {self.calls} calls, more than {limit:g} ms"
            yield Violation(
                rule, evidence, "do no slow work in it, and wait for nothing: an exporter has a thread of its own"
            )


def check_answers(plugin: ModuleType) -> Iterator[Violation]:
    """Have an agent call every hook of the plugin for transactions of every kind, and for many that are alike."""
    part = with_hooks(plugin, without=("instrument", "register_exporters"))  # whose targets may be missing
    if part is None:
        return
    settings = {"slow_hook_seconds": _UNLIMITED, "hook_budget_seconds": _UNLIMITED}
    failures: dict[tuple[str, str], str] = {}
    watched: list[_Watched] = []
    try:
        with recording(plugins_autoload=False, plugins=[part], plugins_reraise=False, **settings) as scout:
            guards = {hook: _guards(scout, hook, plugin.__name__) for hook in _LONGEST_MS}
            for hook, found in guards.items():
                for guard in found:
                    watched.append(_Watched(hook, guard.function))
                    guard.function = watched[-1]
            if not watched:
                return
            for about, run in (*KINDS, ("an ignored request", _ignored)):
                run()
                _note(guards, about, failures, scout.report)
            kept = [_request(number) for number in range(ALIKE)]
            _note(guards, "requests of one endpoint", failures, scout.report)
            for _ in range(PERIODS):
                _note(guards, "a period in which nothing was recorded", failures, scout.report)
            scout.forget()
            gc.collect()
            alive = sum(any(reference() is not None for reference in request) for request in kept)
    except LeftBehind:  # the rule `undo` reports it
        return
    for (hook, about), error in failures.items():
        advice = _RIGHT.get(hook, "accept every transaction: tags, errors and a request may be missing")
        yield Violation(_rule(hook), f"{hook} fails for {about}: {error}", advice)
    for hooked in watched:
        yield from hooked.problems()
    if alive > MOST_KEPT:
        hooks = ", ".join(hooked.hook for hooked in watched if hooked.hook != _GAUGES)
        what = f"of {ALIKE} transactions {alive}, or their spans, are still referenced after their period"
        yield Violation(
            "answers",
            f"{what}; one of these keeps them: {hooks}",
            "keep the names and numbers that are needed, and not the transaction or its spans",
        )


def _rule(hook: str) -> str:
    return "gauges" if hook == _GAUGES else "answers"


def _guards(scout: Scout, hook: str, module: str) -> list[Guard]:
    return [guard for guard in scout.agent.implementations(hook) if guard.module == module]


def _note(
    guards: dict[str, list[Guard]], about: str, failures: dict[tuple[str, str], str], report: Callable[[], object]
) -> None:
    """End the period, and note which hooks have failed since the last time, once each."""
    report()
    for hook, found in guards.items():
        known = any(name == hook for name, _ in failures)
        for guard in found:
            if guard.failures.count and not known and hook != "trace_group":  # the rule `groups` reports that
                failures[hook, about] = str(guard.failures.last)


def _state(args: tuple[Any, ...]) -> dict[str, Any]:
    """Everything about a transaction or a span that a hook could change."""
    given = args[0] if args else None
    if isinstance(given, Transaction):
        return {
            "tags": dict(given.tags), "operation": given.operation, "ignored": given.ignored, "error": given.error,
            "spans": [(id(span), span.operation, dict(span.tags), span.stop_ns) for span in given.spans],
            "times": (given.start_ns, given.stop_ns),
        }  # fmt: skip
    if isinstance(given, Span):
        around = _state((given.transaction,))
        return {
            "tags": dict(given.tags), "operation": given.operation, "error": given.error, "times": (given.start_ns, given.stop_ns),
            **{f"{name} of the transaction": value for name, value in around.items() if name != "spans"},
        }  # fmt: skip
    return {}


def _request(number: int) -> tuple[ref[Span], ref[Span]]:
    """Record a request, and return references to it and to its span."""
    web = request(number)
    with web, Span("SQL/Query", statement=f"SELECT {number}") as query:
        pass
    return ref(web), ref(query)


def _ignored() -> None:
    with Transaction(f"{CONTROLLER}/shop.health") as web:
        web.ignore("conformance")
