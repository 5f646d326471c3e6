"""The rules about one call: what the library and its caller must not notice, and what must be recorded."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import scout_core
from scout_core.recording.transaction import Transaction
from scout_core.testing import asking
from scout_core.testing.asking import Asking
from scout_core.testing.calls import Bench, Bound, Outline, outline, run_within, told
from scout_core.testing.hostility import in_plugin, noting
from scout_core.testing.probes import Passage, Raised, building
from scout_core.testing.problems import Problem


def spans(bench: Bench, bound: Bound) -> Iterator[Problem]:
    """What a call records."""
    with bench.recording() as scout:
        error = run_within(bound)
        recorded = outline(scout)
    if len(recorded) < 2:
        yield _problem(
            "spans", bound, "nothing was recorded", "return a span from the describer, or call what is wrapped"
        )
    if bound.call.raises is None and error is not None:
        yield _problem(
            "spans",
            bound,
            f"with the plugin it raises {error!r}",
            "let the describer work for these arguments; the traceback is in the plugin's own tests",
        )


def exceptions(bench: Bench, bound: Bound) -> Iterator[Problem]:
    """What leaves the library and what arrives at the caller."""
    if bound.call.raises is None:
        return
    with bench.probed() as (_, passages):
        run_within(bound)
        bound.run()
    for passage in passages:
        below = passage.below[-1].raised if passage.below else None
        above, name = passage.above.raised, passage.target.name
        if below is not None and above is None:
            yield _problem("exceptions", bound, f"{name} raised {below.error!r}, and the caller saw none", _UNTOUCHED)
        elif above is not None and below is None and passage.below:
            yield _problem(
                "exceptions", bound, f"{name} raised nothing, and the caller saw {above.error!r}", _UNTOUCHED
            )
        elif above is not None and below is not None:
            for difference in _differences(below, above):
                yield _problem("exceptions", bound, f"{name} raised {below.error!r}, and {difference}", _UNTOUCHED)


_UNTOUCHED = "let it pass: a describer never sees it, and a function of wrap.around must not catch it"


def _differences(below: Raised, above: Raised) -> Iterator[str]:
    if above.error is not below.error:
        yield f"the caller saw another object, {above.error!r}"
        return
    if above.context is not below.context:
        yield f"its __context__ became {above.context!r}"
    if above.cause is not below.cause or above.suppress is not below.suppress:
        yield f"its __cause__ became {above.cause!r}"
    changed = [key for key in {*above.facts, *below.facts} if above.facts.get(key) is not below.facts.get(key)]
    if changed or above.notes != below.notes:
        changed = sorted([*changed, *(["a note"] if above.notes != below.notes else [])])
        yield f"something was added to it: {', '.join(changed)}"
    if above.frames[-len(below.frames) :] != below.frames:
        yield "frames are missing from its traceback"


def results(bench: Bench, bound: Bound) -> Iterator[Problem]:
    """What the library is given, and what its caller gets."""
    with bench.probed(meter=Asking) as (_, passages):
        run_within(bound)
    for passage in passages:
        name, below = passage.target.name, passage.below
        if passage.was_in_plugin:
            advice = "describe the call from its arguments, without another call"
            yield _problem("results", bound, f"the plugin itself calls {name}", advice)
        if isinstance(passage.meter, Asking) and not passage.target.is_around:  # to change a call is what that is for
            for done, advice in asking.with_advice(passage.meter.done):
                yield _problem("results", bound, f"its part of {name} {done}", advice)
        if len(below) != 1:
            yield _problem(
                "results",
                bound,
                f"a call of {name} reached the library {len(below)} times",
                "call wrapped exactly once",
            )
            continue
        if passage.target.is_around:
            same_arguments = True  # to change them is what it is for
        else:
            given, got = passage.above, below[0]
            same_arguments = len(given.args) == len(got.args) and given.kwargs.keys() == got.kwargs.keys()
            same_arguments = same_arguments and all(map(_is, given.args, got.args))
            same_arguments = same_arguments and all(_is(value, got.kwargs[key]) for key, value in given.kwargs.items())
        if not same_arguments:
            yield _problem("results", bound, f"{name} was given other arguments", "describe the call, do not change it")
        if passage.above.raised is None and below[0].raised is None and passage.above.result is not below[0].result:
            yield _problem(
                "results", bound, f"{name} returned another object than the caller got", "return what wrapped returns"
            )


def _is(one: object, other: object) -> bool:
    return one is other


def outside(bench: Bench, bound: Bound) -> Iterator[Problem]:
    """What is built where no transaction is open."""
    with bench.recording(), building() as built:
        bound.run()
    idle = [span.operation for span, is_outside in built if is_outside and not isinstance(span, Transaction)]
    if idle:
        yield _problem(
            "outside",
            bound,
            f"outside a transaction it built {len(idle)} spans that nobody records, the first is {idle[0]}",
            "say root=True only for a describer that returns a transaction, and ask current_transaction() before a span by hand",
        )


def twice(bench: Bench, bound: Bound) -> Iterator[Problem]:
    """One set of spans, however often the plugin is asked to work."""

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
    advice = "take back in on_stop whatever on_start did, and attach nothing that is attached already"
    if restarted != once:
        seen = f"after the agent had stopped and started, it recorded {told(restarted)} in place of {told(once)}"
        yield _problem("twice", bound, seen, advice)
    if attached != once:
        seen = f"started and attached once more, it recorded {told(attached)} in place of {told(once)}"
        yield _problem("twice", bound, seen, advice)


def asynchronous(bench: Bench, bound: Bound) -> Iterator[Problem]:
    """Spans around what is awaited."""
    with bench.probed() as (_, passages), building():
        run_within(bound)
    for passage in passages:
        if _has_ended_early(passage):
            yield _problem(
                "async",
                bound,
                f"the span of {passage.target.name} ended before the call did",
                "in wrap.around write an async function, and await what wrapped returns within the span",
            )
        if not passage.target.is_async and hasattr(type(passage.above.result), "__await__"):
            yield _problem(
                "async",
                bound,
                f"{passage.target.name} returns something to be awaited, so its span ended when that was made",
                "wrap what does the work, an async function",
            )
    if not bound.call.is_async:
        return

    async def at_once() -> None:
        with Transaction("Job/conformance"):
            await asyncio.gather(bound.start(), bound.start(), return_exceptions=True)

    with bench.recording() as scout:
        run_within(bound)
        single = Counter(outline(scout))
        scout.forget()
        asyncio.run(at_once())
        both = Counter(outline(scout))
    for counted in (single, both):
        counted.pop(("Job/conformance", None, None), None)
    if both != single + single:
        seen = ", ".join(f"{name} in {parent}" for name, parent, _ in both.elements())
        yield _problem(
            "async",
            bound,
            f"two calls at once were recorded as {seen or 'nothing'}, and not as one call twice",
            "keep no state between calls outside of the span, above all not in a global or a thread-local",
        )


def _has_ended_early(passage: Passage) -> bool:
    opened = [span for span in passage.built if span.start_ns]
    return any(
        span.stop_ns and (side.span is passage.above.span or side.span_at_end is passage.above.span)
        for span in opened
        for side in passage.below
    )


def hostile(bench: Bench, bound: Bound) -> Iterator[Problem]:
    """What is asked of user objects by anybody but the library."""
    with noting() as notes, bench.probed() as (scout, _):
        run_within(bound)
        bound.run()
        is_in_plugin = in_plugin.set(True)  # what the core does with the tags is the plugin's doing as well
        try:
            scout.report()
        finally:
            in_plugin.reset(is_in_plugin)
    if notes.evaluated:
        yield _problem(
            "hostile",
            bound,
            f"it evaluates {', '.join(sorted(set(notes.evaluated)))}",
            "compare with `is`, ask type() rather than truth, and record the name of a class rather than an object's text",
        )


def _problem(rule: str, bound: Bound, seen: str, advice: str) -> Problem:
    return Problem(rule, seen, advice, bound.call.name)
