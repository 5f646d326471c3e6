"""The pages of deploys: all of a range, and one with the figures before and after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import evolve

from scout_dashboard.errors import NotFound
from scout_dashboard.queries.deploy import comparison
from scout_dashboard.queries.deploy_periods import controls, periods_of
from scout_dashboard.queries.deploys import Deploy, list_deploys
from scout_dashboard.queries.metrics import Facts
from scout_dashboard.ranges import Range
from scout_dashboard.store.markers import NEAR
from scout_dashboard.store.reader import Reader

_DAY: Final = 86_400
_LOOK_BACK: Final = 9 * _DAY
"""The periods of a week earlier, and those of the deploy itself."""


def listing(reader: Reader, when: Range) -> Facts:
    """Return all deploys of the range as ``rows``, the newest first."""
    return {"rows": [deploy.facts() for deploy in reversed(list_deploys(reader, when))]}


def detail(reader: Reader, when: Range, *, revision: str, at: float) -> Facts:
    """
    Return one deploy with the figures before and after it.

    Args:
        revision: whole, as the listing has it.
        at: Unix time; the deploy is the one next to it, as its time may become earlier when further processes report.

    Raises:
        NotFound: there is no such deploy, or its data has expired.
    """
    deploy = _found(reader, when, revision, at)
    around = evolve(
        when, app=deploy.app, start=max(0, int(deploy.at) - _LOOK_BACK), end=int(max(when.now, deploy.at)) + 60
    )
    others = list_deploys(reader, around)
    first, last = _burst(others, deploy)
    previous = others[first - 1] if first else None
    following = others[last + 1] if last + 1 < len(others) else None
    before, after = (other.at if other else None for other in (previous, following))
    periods = periods_of(others[first].at, others[last].at, previous=before, following=after, now=when.now)
    facts: Facts = {
        "deploy": deploy.facts(),
        "previous": previous and previous.facts(),
        "next": following and following.facts(),
        "together": [other.facts() for other in others[first : last + 1] if other != deploy],
        "before": None,
        "after": None,
        "seconds": 0,
    }
    if periods is None:
        return facts | {
            "rows": [],
            "states": {},
            "compared": 0,
            "comparisons": 0,
            "expected_false_alarms": 0.0,
            "new_errors": [],
            "more_errors": [],
        }
    earlier = controls(periods, [other.at for other in others])

    def compare() -> Facts:
        return comparison(reader, app=deploy.app, at=others[first].at, periods=periods, controls=earlier)

    compared = reader.cached(
        ("deploy", deploy.app, others[first].at, periods, *earlier),
        compare,
        start=min(period.before.start for period in (periods, *earlier)),
        end=periods.after.end,
    )
    return facts | compared | {
        "before": periods.before.facts(),
        "after": periods.after.facts(),
        "seconds": periods.seconds,
    }  # fmt: skip


def _found(reader: Reader, when: Range, revision: str, at: float) -> Deploy:
    near = evolve(when, start=max(0, int(at - NEAR)), end=int(at + NEAR) + 1)
    same = [deploy for deploy in list_deploys(reader, near) if deploy.revision == revision]
    if not same:
        raise NotFound(f"no deploy of {revision[:100]!r} at this time: it did not happen, or its data has expired")
    return min(same, key=lambda deploy: abs(deploy.at - at))


def _burst(deploys: Sequence[Deploy], deploy: Deploy) -> tuple[int, int]:
    """Return the places of the first and the last of those that follow each other within ``NEAR``: nothing can be compared between them."""
    first = last = deploys.index(deploy)
    while first and deploys[first].at - deploys[first - 1].at <= NEAR:
        first -= 1
    while last + 1 < len(deploys) and deploys[last + 1].at - deploys[last].at <= NEAR:
        last += 1
    return first, last
