"""Processes whose instructions are counted, as data."""

from __future__ import annotations

import json
from typing import Any, Final

from attrs import evolve, field, frozen

from bench.counted_worker import WARM_UP
from bench.plan import PYTHON, WORKLOADS, Workload


@frozen(kw_only=True)
class Case:
    """One process: a workload with scout-core or without an agent."""

    name: str
    """Also the name of its folder."""
    workload: Workload
    few: int
    """Units of the smaller chunk."""
    many: int
    """Units of the larger chunk."""
    agent: str = "scout_core_by_hand"
    """Module in ``bench.agents``."""
    settings: dict[str, str] = field(factory=dict)
    """Options of scout-core."""

    def command(self, few: int, many: int) -> list[str]:
        """Return the command that runs both chunks."""
        arguments = [self.workload.key, self.agent, json.dumps(self.settings), str(few), str(many)]
        return [str(PYTHON), "-m", "bench.counted_worker", *arguments]

    def expected(self, few: int, many: int) -> dict[str, Any]:  # Any: JSON
        """Return what the agent must have recorded, as the worker prints it."""
        if self.agent == "bare":
            return {}
        units = WARM_UP * min(few, many) + few + many
        if self.settings.get("sample_rate") == "0":
            return {"transactions": units, "spans": 0, "dropped": {"sampled": units}}
        return {"transactions": units, "spans": units * (self.workload.spans - 1), "dropped": {}}


@frozen(kw_only=True)
class Comparison:
    """A case with scout-core and the cases that it is compared with."""

    key: str
    title: str
    ours: Case
    bare: Case
    """The same work without an agent: the difference is what scout-core adds."""
    request: Case
    """The request without an agent that the difference is divided by."""

    @property
    def cases(self) -> tuple[Case, ...]:
        """The processes that it needs."""
        return (self.ours, self.bare, self.request)


WORKLOAD: Final = {workload.key: workload for workload in WORKLOADS}
CHUNKS: Final = {
    "request": (5, 25), "hello": (50, 250), "wsgi": (20, 100), "asgi": (20, 100), "statement": (1, 4), "http-call": (1, 4),
    "job": (20, 100), "flat": (1, 4), "call": (1, 4),
}  # fmt: skip
"""Workload to the units of both chunks: at most some seconds under valgrind."""


def comparisons(plugins: tuple[str, ...] = ()) -> list[Comparison]:
    """
    Return everything that can be counted.

    Args:
        plugins: modules that scout-core loads as plugins as well.
    """
    found = [
        _comparison("request", request="request"),
        _comparison("hello"),
        _comparison("hello", "unsampled", settings={"sample_rate": "0"}),
        _comparison("wsgi"),
        _comparison("asgi"),
        _comparison("statement"),
        _comparison("http-call"),
        _comparison("job"),
        _comparison("flat"),
        _comparison("call"),
    ]
    return [evolve(comparison, ours=_with_plugins(comparison.ours, plugins)) for comparison in found]


def _comparison(
    key: str, variant: str = "", *, request: str = "hello", settings: dict[str, str] | None = None
) -> Comparison:
    ours = _case(key, variant or "ours", settings=settings or {})
    title = f"{WORKLOAD[key].title}, {variant}" if variant else WORKLOAD[key].title
    return Comparison(key=variant or key, title=title, ours=ours, bare=_bare(key), request=_bare(request))


def _bare(key: str) -> Case:
    return evolve(_case(key, "bare"), agent="bare", settings={})


def _case(key: str, variant: str, *, settings: dict[str, str] | None = None) -> Case:
    few, many = CHUNKS[key]
    workload = WORKLOAD[key]
    return Case(
        name=f"{key}-{variant}",
        workload=workload,
        few=few,
        many=many,
        settings={**workload.settings, **(settings or {})},
    )


def _with_plugins(case: Case, plugins: tuple[str, ...]) -> Case:
    named = [*filter(None, [case.settings.get("plugins")]), *plugins]
    return evolve(case, settings={**case.settings, "plugins": ",".join(named)}) if named else case
