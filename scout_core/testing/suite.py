"""The conformance suite as one line of a plugin's tests."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from scout_core.testing import rules
from scout_core.testing.calls import Bench, Bound, Call, run_within
from scout_core.testing.effort import STEPS
from scout_core.testing.forking import fork
from scout_core.testing.hostility import noting
from scout_core.testing.isolated import static_problems
from scout_core.testing.originals import changed, originals
from scout_core.testing.overhead import overhead
from scout_core.testing.probes import Passage
from scout_core.testing.problems import CALL_RULES, RULES, STATIC_RULES, Problem
from scout_core.testing.targets import Target

if TYPE_CHECKING:
    import pytest

Rule = Callable[[Bench, Bound], Iterator[Problem]]


def left_behind(bench: Bench, bound: Bound) -> Iterator[Problem]:
    """What a call with the agent has changed in the library for good."""
    packages = {target.package for target in bench.targets}
    before = originals(packages)
    bound.run()
    usual = originals(packages)
    own = {name for name, (_, _, value) in before.items() if name not in usual or usual[name][2] is not value}
    with bench.recording():
        run_within(bound)
        bound.run()
    before = {name: place for name, place in usual.items() if name not in own}
    ours = ("scout_core", bench.module.partition(".")[0])
    for sentence in (*changed(before, originals(packages), ours), *bench.left_behind):
        yield Problem("undo", sentence, "leave replacing to wrap, which puts the original back", bound.call.name)


_OF_CALLS: Final[dict[str, Rule]] = {
    "spans": rules.spans,
    "exceptions": rules.exceptions,
    "results": rules.results,
    "outside": rules.outside,
    "twice": rules.twice,
    "async": rules.asynchronous,
    "fork": fork,
    "overhead": overhead,
    "hostile": rules.hostile,
    "undo": left_behind,
}


@frozen
class _Case:
    """One test."""

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
    The suite of one plugin, as a test function of pytest.

    ``test_conformance = conformance("scout_jinja2", renders, Call(fails, raises=ZeroDivisionError))``. The name must begin with
    ``test_``. Each rule of ``RULES`` is a test of its own, most of them once for each call.

    Args:
        module: the plugin's module.
        calls: functions that call the library, or a ``Call`` to say more. None for a plugin that wraps nothing.
        steps: lines of Python and functions written in C that the plugin's part of one call may take.
        packaged: False: it is a module that is no distribution, so its metadata is not asked for.
        skip: rule to the reason why it is not asked.
        settings: options of the agent.

    Raises:
        ValueError: ``skip`` names no rule.
        TypeError: a call asks for the fixture ``scout``: each rule has an agent of its own.
    """
    import pytest

    reasons = dict(skip or {})
    given = tuple(call if isinstance(call, Call) else Call(call) for call in calls)
    if unknown := sorted(reasons.keys() - RULES.keys()):
        raise ValueError(f"there is no rule {', '.join(unknown)}; there are {', '.join(RULES)}")
    if any("scout" in call.fixtures for call in given):
        raise TypeError("a call of the conformance suite cannot have the fixture scout: each rule has its own agent")
    cases = [_Case(rule) for rule in STATIC_RULES]
    cases += [_Case("calls", given)] if given else []
    cases += [_Case(rule, (call,)) for rule in CALL_RULES for call in given if rule != "exceptions" or call.raises]

    @pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in cases])
    def test_conformance(case: _Case, request: pytest.FixtureRequest) -> None:
        if case.rule in reasons:
            pytest.skip(reasons[case.rule])
        values = {name: request.getfixturevalue(name) for call in case.calls for name in call.fixtures}
        if not case.calls:
            problems = [one for one in _static_problems(module, packaged) if one.rule == case.rule]
        else:
            if any(one.is_fatal for one in _static_problems(module, packaged)):
                pytest.skip(f"not before {module} works: the tests of the rules import, hooks and targets say why")
            bound = [Bound(call, values) for call in case.calls]
            bench = Bench.of(module, steps, settings)
            if case.rule == "calls":
                problems = list(covered(bench, bound, reasons))
            else:
                bound[0].run()  # what the library does the first time only is not the plugin's
                problems = list(_OF_CALLS[case.rule](bench, bound[0]))
        if problems:
            told = "\n".join(f"  {problem}" for problem in dict.fromkeys(problems))
            pytest.fail(f"{module} breaks the rule that {RULES[case.rule]}:\n{told}", pytrace=False)

    return test_conformance


def covered(bench: Bench, calls: list[Bound], skipped: Mapping[str, str]) -> Iterator[Problem]:
    """Whether the calls would show what the rules ask for."""
    errors, passages = {}, list[Passage]()
    with noting() as notes:
        for bound in calls:
            errors[bound.call.name] = bound.run()
            with bench.probed() as (_, seen):
                bound.run()
            passages += seen
    for bound in calls:
        error, expected = errors[bound.call.name], bound.call.raises
        if expected is None and error is not None:
            raise error
        if expected is not None and not isinstance(error, expected):
            seen_instead = "it raised nothing" if error is None else f"it raised {error!r}"
            yield Problem("calls", seen_instead, f"make it raise {expected.__name__}", bound.call.name)
    reached = {_kind(passage.target) for passage in passages}
    for target in {_kind(one): one for one in reversed(bench.targets) if one.is_there}.values():
        if _kind(target) not in reached:
            form = "an async" if target.is_async else "a"
            advice = f"add {form} call that runs {target.name}"
            yield Problem("calls", f"no call reaches {target.describer} for {form} function", advice)
    if "exceptions" not in skipped and not any(
        passage.below and passage.below[0].raised and isinstance(passage.below[0].raised.error, Exception)
        for passage in passages
    ):
        yield Problem("calls", "in no call the library raises", "add Call(…, raises=…) with an exception of its own")
    if "hostile" not in skipped and not notes.made:
        yield Problem("calls", "no call passes a hostile() object", "pass one where the library takes a user's object")


def _kind(target: Target) -> tuple[str, bool]:
    return target.describer, target.is_async


@functools.lru_cache(maxsize=16)
def _static_problems(module: str, packaged: bool) -> tuple[Problem, ...]:
    return tuple(static_problems(module, packaged=packaged))
