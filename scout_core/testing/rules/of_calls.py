"""The rules about a single call: what must be recorded, and what the library and its caller must not notice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import scout_core
from scout_core.recording.context import has_ended
from scout_core.recording.stepwise.stepped import original_of
from scout_core.recording.transaction import Transaction
from scout_core.testing.hostility import collecting_evaluations, in_plugin
from scout_core.testing.rules.calls import OURS, Bench, Bound, Outline, describe, outline, run_within, without_ours
from scout_core.testing.rules.effects import EffectMeter
from scout_core.testing.rules.probes import Passage, Raised, watching_spans
from scout_core.testing.rules.problems import Violation
from scout_core.testing.rules.sent_headers import other_arguments


def spans(bench: Bench, bound: Bound) -> Iterator[Violation]:
    """Check that a call is recorded, and raises nothing new."""
    with bench.recording() as scout:
        error = run_within(bound)
        recorded = outline(scout)
        invalid = scout.agent.counters().invalid_values
    if invalid:
        evidence = "it gives a value of a wrong type as an operation, as tags or to record_error"
        yield _problem("spans", bound, evidence, "give a text, a dict and an exception")
    if recorded.total() < 2:
        yield _problem(
            "spans", bound, "nothing was recorded", "return a span from the describer, or call a wrapped function"
        )
    if bound.call.raises is None and error is not None:
        yield _problem(
            "spans",
            bound,
            f"with the plugin it raises {error!r}",
            "make the describer accept these arguments; the plugin's own tests show the traceback",
        )


def exceptions(bench: Bench, bound: Bound) -> Iterator[Violation]:
    """Compare the exception that the library raises with the one that its caller gets."""
    if bound.call.raises is None:
        return
    with bench.probed() as (_, passages):
        run_within(bound)
        bound.run()
    for passage in passages:
        below = passage.below[-1].raised if passage.below else None
        above, name = passage.above.raised, passage.target.name
        if below is not None and above is None:
            yield _problem("exceptions", bound, f"{name} raised {below.error!r}, and the caller got none", _UNTOUCHED)
        elif above is not None and below is None and passage.below:
            yield _problem(
                "exceptions", bound, f"{name} raised nothing, and the caller got {above.error!r}", _UNTOUCHED
            )
        elif above is not None and below is not None:
            for difference in _differences(below, above):
                yield _problem("exceptions", bound, f"{name} raised {below.error!r}, and {difference}", _UNTOUCHED)


_UNTOUCHED = "let it pass: a describer never gets it, and a function given to wrap.around must not catch it"


def _differences(below: Raised, above: Raised) -> Iterator[str]:
    if above.error is not below.error:
        yield f"the caller got a different object, {above.error!r}"
        return
    if above.context is not below.context:
        yield f"its __context__ became {above.context!r}"
    if above.cause is not below.cause or above.suppress is not below.suppress:
        yield f"its __cause__ became {above.cause!r}"
    changed = [
        key
        for key in {*above.attributes, *below.attributes}
        if above.attributes.get(key) is not below.attributes.get(key)
    ]
    if changed or above.notes != below.notes:
        changed = sorted([*changed, *(["a note"] if above.notes != below.notes else [])])
        yield f"something was added to it: {', '.join(changed)}"
    if above.frames[-len(below.frames) :] != below.frames:
        yield "frames are missing from its traceback"


def results(bench: Bench, bound: Bound) -> Iterator[Violation]:
    """Compare arguments and results on both sides of the plugin, and look for side effects."""
    with bench.probed(meter=EffectMeter) as (_, passages):
        run_within(bound)
    for passage in passages:
        name, below = passage.target.name, passage.below
        if passage.was_in_plugin:
            advice = "describe the call from its arguments, without another call"
            yield _problem("results", bound, f"the plugin itself calls {name}", advice)
        if isinstance(passage.meter, EffectMeter) and not passage.target.is_around:  # wrap.around is for changing calls
            for effect in dict.fromkeys(passage.meter.effects):
                yield _problem("results", bound, f"its part of {name} {effect}", effect.advice)
        if len(below) != 1:
            yield _problem(
                "results",
                bound,
                f"a call of {name} reached the library {len(below)} times",
                "call wrapped exactly once",
            )
            continue
        if passage.target.is_around:
            same_arguments = True  # wrap.around is for changing them
        else:
            given, got = passage.above, below[0]
            before, after = other_arguments(passage.target, given), other_arguments(passage.target, got)
            same_arguments = before.keys() == after.keys()
            same_arguments = same_arguments and all(_is(value, after[name]) for name, value in before.items())
        if not same_arguments:
            yield _problem("results", bound, f"{name} got different arguments", "describe the call, do not change it")
        if (
            passage.above.raised is None
            and below[0].raised is None
            and original_of(passage.above.result) is not original_of(below[0].result)
        ):
            yield _problem(
                "results",
                bound,
                f"{name} returned one object, and the caller got another",
                "return what wrapped returns",
            )


def _is(first: object, second: object) -> bool:
    return first is second


def outside(bench: Bench, bound: Bound) -> Iterator[Violation]:
    """Check that no span is created outside a transaction."""
    with bench.recording(), watching_spans() as created:
        bound.run()
    idle = [span.operation for span, is_outside in created if is_outside and not isinstance(span, Transaction)]
    if idle:
        yield _problem(
            "outside",
            bound,
            f"it created {len(idle)} span{'s' * (len(idle) > 1)} outside a transaction, where nothing is recorded; the first is {idle[0]}",
            "use root=True only for describers that return a transaction, and check current_transaction() before creating a span yourself",
        )


def twice(bench: Bench, bound: Bound) -> Iterator[Violation]:
    """Check that starting, restarting and attaching give one set of spans."""

    def recorded(*, again: bool = False) -> Outline:
        with bench.recording() as scout:
            if again:
                scout_core.start(plugins=[bench.module])
                bound.attach()
            run_within(bound)
            bound.run()
            return outline(scout)

    once = recorded()
    restarted, attached = recorded(), recorded(again=True)
    advice = "undo in on_stop whatever on_start did, and do not attach twice"
    if restarted != once:
        evidence = f"after a restart of the agent it recorded {describe(restarted)} instead of {describe(once)}"
        yield _problem("twice", bound, evidence, advice)
    if attached != once:
        evidence = f"started and attached again, it recorded {describe(attached)} instead of {describe(once)}"
        yield _problem("twice", bound, evidence, advice)


def asynchronous(bench: Bench, bound: Bound) -> Iterator[Violation]:
    """Check that spans last as long as what is awaited, and that concurrent calls are kept apart."""
    with bench.probed() as (_, passages), watching_spans():
        run_within(bound)
    for passage in passages:
        if _has_ended_early(passage):
            yield _problem(
                "async",
                bound,
                f"the span of {passage.target.name} ended before the call did",
                "give wrap.around an async function, and await the result of wrapped inside the span",
            )
        if (
            passage.target.is_around
            and not passage.target.is_async
            and hasattr(type(passage.above.result), "__await__")
        ):
            yield _problem(
                "async",
                bound,
                f"{passage.target.name} returns an awaitable, so its span ended before that was awaited",
                "wrap the async function that does the work",
            )
    if not bound.call.is_async:
        return

    async def at_once() -> None:
        with Transaction(OURS):
            await asyncio.gather(bound.start(), bound.start(), return_exceptions=True)

    with bench.recording() as scout:
        run_within(bound)
        single = without_ours(outline(scout))
        scout.forget()
        asyncio.run(at_once())
        both = without_ours(outline(scout))
    if both != single + single:
        recorded = ", ".join(f"{name} in {parent}" for name, parent, _ in both.elements())
        yield _problem(
            "async",
            bound,
            f"two concurrent calls were recorded as {recorded or 'nothing'}, not as one call twice",
            "keep no state between calls outside the span, above all not in a global or a thread-local variable",
        )


def _has_ended_early(passage: Passage) -> bool:
    opened = [span for span in passage.created if span.start_ns]
    if passage.target.is_generator:  # the span begins with the first step
        return False
    return any(
        has_ended(span) and side.span is passage.above.span  # one that is ended within its call was open by then
        for span in opened
        for side in passage.below
    )


def hostile(bench: Bench, bound: Bound) -> Iterator[Violation]:
    """Check that only the library evaluates user objects."""
    with collecting_evaluations() as evaluations, bench.probed() as (scout, _):
        run_within(bound)
        bound.run()
        is_in_plugin = in_plugin.set(True)  # the core evaluating a tag counts as the plugin doing it
        try:
            scout.report()
        finally:
            in_plugin.reset(is_in_plugin)
    if evaluations.found:
        yield _problem(
            "hostile",
            bound,
            f"it evaluates {', '.join(sorted(set(evaluations.found)))}",
            "compare with `is`, check type() instead of truth, and record the name of a class instead of the text of an object",
        )


def _problem(rule: str, bound: Bound, evidence: str, advice: str) -> Violation:
    return Violation(rule, evidence, advice, bound.call.name)
