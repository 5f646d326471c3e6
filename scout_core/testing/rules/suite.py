"""The conformance suite, as one line in a plugin's tests."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from scout_core.testing.hostility import collecting_evaluations
from scout_core.testing.rules import of_calls as rules
from scout_core.testing.rules.calls import Bench, Bound, Call, run_within
from scout_core.testing.rules.effort import STEPS
from scout_core.testing.rules.endings import ends
from scout_core.testing.rules.forking import fork
from scout_core.testing.rules.isolated import static_problems
from scout_core.testing.rules.originals import changed, originals
from scout_core.testing.rules.overhead import overhead
from scout_core.testing.rules.probes import Passage
from scout_core.testing.rules.problems import CALL_RULES, RULES, STATIC_RULES, Violation
from scout_core.testing.rules.sent_headers import headers
from scout_core.testing.rules.targets import Target

if TYPE_CHECKING:
    import pytest

Rule = Callable[[Bench, Bound], Iterator[Violation]]


def left_behind(bench: Bench, bound: Bound) -> Iterator[Violation]:
    """Check that a call with the agent leaves the library unchanged."""
    packages = {target.package for target in bench.targets}
    before = originals(packages)
    bound.run()
    after = originals(packages)
    own = {name for name, (_, _, value) in before.items() if name not in after or after[name][2] is not value}
    with bench.recording():
        run_within(bound)
        bound.run()
    before = {name: place for name, place in after.items() if name not in own}
    ours = ("scout_core", bench.module.partition(".")[0])
    for evidence in (*changed(before, originals(packages), ours), *bench.left_behind):
        yield Violation("undo", evidence, "replace only by wrap, which restores the original", bound.call.name)


_OF_CALLS: Final[dict[str, Rule]] = {
    "spans": rules.spans,
    "exceptions": rules.exceptions,
    "results": rules.results,
    "outside": rules.outside,
    "twice": rules.twice,
    "async": rules.asynchronous,
    "ends": ends,
    "fork": fork,
    "overhead": overhead,
    "headers": headers,
    "hostile": rules.hostile,
    "undo": left_behind,
}


@frozen
class _Case:
    """One test: a rule, and the calls that it is checked with."""

    rule: str
    calls: tuple[Call, ...] = ()

    @property
    def id(self) -> str:
        return self.rule if self.rule == "calls" or not self.calls else f"{self.rule}-{self.calls[0].name}"


def conformance(
    module: str,
    /,
    *calls: Call | Callable[..., object],
    steps: int = STEPS,
    packaged: bool = True,
    skip: Mapping[str, str] | None = None,
    **settings: Any,
) -> Callable[..., None]:
    """
    Return the suite of one plugin, as a test function for pytest.

    ``test_conformance = conformance("scout_jinja2", renders, Call(fails, raises=ZeroDivisionError))``. The name must start with
    ``test_``. Each rule of ``RULES`` is a separate test, most of them once for each call.

    Args:
        module: the plugin's module.
        calls: functions that call the library, or ``Call`` objects with more detail; none for a plugin that wraps nothing.
        steps: limit of executed lines of Python and called C functions in the plugin's part of a call.
        packaged: False: the module is not a distribution, so its metadata is not checked.
        skip: rule to the reason for skipping it.
        settings: options of the agent.

    Raises:
        ValueError: ``skip`` has an unknown rule.
        TypeError: a call takes the fixture ``scout``: each rule has its own agent.
    """
    import pytest

    reasons = dict(skip or {})
    given = tuple(call if isinstance(call, Call) else Call(call) for call in calls)
    if unknown := sorted(reasons.keys() - RULES.keys()):
        raise ValueError(f"unknown rule {', '.join(unknown)}; expected {', '.join(RULES)}")
    if any("scout" in call.fixtures for call in given):
        raise TypeError("a call of the conformance suite cannot take the fixture scout: each rule has its own agent")
    cases = [_Case(rule) for rule in STATIC_RULES]
    cases += [_Case("calls", given)] if given else []
    cases += [_Case(rule, (call,)) for rule in CALL_RULES for call in given if rule != "exceptions" or call.raises]

    @pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in cases])
    def test_conformance(case: _Case, request: pytest.FixtureRequest) -> None:
        if case.rule in reasons:
            pytest.skip(reasons[case.rule])
        values = {name: request.getfixturevalue(name) for call in case.calls for name in call.fixtures}
        if not case.calls:
            problems = [
                problem
                for problem in _static_problems(module, packaged)
                if problem.rule == case.rule and not problem.is_note
            ]
        else:
            if any(problem.is_fatal for problem in _static_problems(module, packaged)):
                pytest.skip(f"not before {module} works: see the tests of the rules import, hooks and targets")
            bound = [Bound(call, values) for call in case.calls]
            bench = Bench.of(module, steps, settings)
            if case.rule == "calls":
                problems = list(covered(bench, bound, reasons))
            else:
                bound[0].run()  # some libraries do more in their first call
                problems = list(_OF_CALLS[case.rule](bench, bound[0]))
        if problems:
            lines = "\n".join(f"  {problem}" for problem in dict.fromkeys(problems))
            pytest.fail(f"{module} violates the rule {case.rule} ({RULES[case.rule]}):\n{lines}", pytrace=False)

    return test_conformance


def covered(bench: Bench, calls: list[Bound], skipped: Mapping[str, str]) -> Iterator[Violation]:
    """Check that the calls cover everything that the rules need."""
    errors, passages = {}, list[Passage]()
    with collecting_evaluations() as evaluations:
        for bound in calls:
            errors[bound.call.name] = bound.run()
            with bench.probed() as (_, probed):
                bound.run()
            passages += probed
    for bound in calls:
        error, expected = errors[bound.call.name], bound.call.raises
        if expected is None and error is not None:
            raise error
        if expected is not None and not isinstance(error, expected):
            evidence = "it raised nothing" if error is None else f"it raised {error!r}"
            yield Violation("calls", evidence, f"make it raise {expected.__name__}", bound.call.name)
    reached = {_kind(passage.target) for passage in passages}
    for target in {_kind(target): target for target in reversed(bench.targets) if target.is_there}.values():
        if _kind(target) not in reached:
            form = "an async" if target.is_async else "a"
            advice = f"add {form} call that runs {target.name}"
            yield Violation("calls", f"no call reaches {target.describer} for {form} function", advice)
    raised_later = any(passage.target.is_generator for passage in passages)  # a step raises, and not the call
    if (
        "exceptions" not in skipped
        and not any(
            passage.below and passage.below[0].raised and isinstance(passage.below[0].raised.error, Exception)
            for passage in passages
        )
        and not (raised_later and any(isinstance(error, Exception) for error in errors.values()))
    ):
        yield Violation(
            "calls", "the library raises in none of the calls", "add Call(…, raises=…) with an exception of the library"
        )
    if "hostile" not in skipped and not evaluations.created:
        yield Violation(
            "calls", "no call passes a hostile() object", "pass one where the library takes a user's object"
        )


def _kind(target: Target) -> tuple[str, bool]:
    return target.describer, target.is_async


@functools.lru_cache(maxsize=16)
def _static_problems(module: str, packaged: bool) -> tuple[Violation, ...]:
    return tuple(static_problems(module, packaged=packaged))
