"""``/deploys`` and ``/deploy``: figures before and after a deploy, from the reports of a store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import known_shop
import pytest
from attrs import evolve
from deploy_shop import NAMES, menu, reports
from sample_reports import report
from visitor import Visitor, visitor_of

from scout_core.measuring.report import Report
from scout_dashboard.errors import BadQuery, NotFound
from scout_dashboard.queries import Queries
from scout_dashboard.queries.deploy_periods import Period, Periods, controls, periods_of
from scout_dashboard.ranges import read_deploy, zoomed_range
from scout_dashboard.store import Store
from scout_dashboard.store.markers import Marker
from scout_dashboard.tally import Tally

DAY, HOUR, MINUTE = 86_400, 3_600, 60
NOON = float(int(time.time()) // DAY * DAY + DAY // 2)


def deploy_of(store: Store, revision: str, at: float, *, now: float = NOON, app: str | None = "Shop") -> Any:
    when = evolve(zoomed_range(now - HOUR, now, app=app), now=now)
    return Queries(store, Tally()).deploy(when, revision, at)


def named(facts: Any) -> dict[str, tuple[str, str]]:
    """Return the states of names that have changed."""
    unchanged = {"not clear", "too few"}
    return {
        row["name"]: (row["time"], row["errors"])
        for row in facts["rows"]
        if not {row["time"], row["errors"]} <= unchanged
    }


def fill(store: Store, *made: Iterator[Report]) -> None:
    for some in made:
        for sent in some:
            store.apply(sent, now=sent.end)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with a deploy 40 minutes before noon, which changed some of 42 names."""
    opened = Store(tmp_path_factory.mktemp("changed") / "data")
    at = NOON - 2_400
    fill(
        opened,
        reports(start=at - 3_600, minutes=60, revision="one", groups={"usual": 10, "rises": 2}),
        reports(
            start=at, minutes=39, revision="two",
            of=menu({0: (2.0, 0.02), 1: (0.5, 0.02), 2: (1.0, 0.4), 3: (2.0, 0.4)}),
            groups={"usual": 10, "rises": 12, "arises": 1},
        ),
    )  # fmt: skip
    yield opened
    opened.close()


def test_names_that_changed_are_found_and_come_first(changed):
    facts = deploy_of(changed, "two", NOON - 2_400)

    assert {
        NAMES[3]: ("slower", "more"),
        NAMES[0]: ("slower", "not clear"),
        NAMES[1]: ("faster", "not clear"),
        NAMES[2]: ("not clear", "more"),
    } == named(facts)
    assert {NAMES[3], NAMES[0]} == {row["name"] for row in facts["rows"][:2]}
    assert [NAMES[2], NAMES[1]] == [row["name"] for row in facts["rows"][2:4]]
    assert (41, 0.01) == (facts["compared"], facts["expected_false_alarms"])
    assert (2, 2, 1) == tuple(facts["states"][state] for state in ("slower", "more", "faster"))


def test_rows_have_the_figures_of_both_periods(changed):
    facts = deploy_of(changed, "two", NOON - 2_400)
    row = next(row for row in facts["rows"] if row["name"] == NAMES[0])
    before = evolve(zoomed_range(facts["before"]["from"], facts["before"]["to"], app="Shop"), now=NOON)
    endpoint = Queries(changed, Tally()).endpoint(before, NAMES[0])["totals"]

    assert (NOON - 2_400 - 36 * MINUTE, NOON - 2_400) == (facts["before"]["from"], facts["before"]["to"])
    assert (NOON - 2_340, NOON - 2_340 + 36 * MINUTE) == (facts["after"]["from"], facts["after"]["to"])
    assert 36 * MINUTE == facts["seconds"]
    keys = ("count", "mean_ms", "p95_ms", "errors", "error_rate")
    assert {key: endpoint[key] for key in keys} == row["before"]
    assert row["after"]["mean_ms"] == pytest.approx(2 * row["before"]["mean_ms"], rel=0.1)
    assert row["cost_ms"] == pytest.approx(
        (row["after"]["mean_ms"] - row["before"]["mean_ms"]) * row["after"]["count"], rel=0.001
    )


def test_groups_of_errors_that_are_new_or_more_frequent_are_listed(changed):
    facts = deploy_of(changed, "two", NOON - 2_400)
    ((new,), (more,)) = facts["new_errors"], facts["more_errors"]

    assert ("arises", 0, "shop.errors.arises") == (new["group"], new["count_before"], new["exception"])
    assert 36 <= new["count"] <= 39
    assert ("rises", 2 * 36) == (more["group"], more["count_before"])
    assert [NAMES[9]] == [at["name"] for at in more["endpoints"]]


def test_with_too_few_transactions_a_name_is_not_called_unchanged(changed):
    rows = {row["name"]: row for row in deploy_of(changed, "two", NOON - 2_400)["rows"]}

    assert ("too few", "too few") == (rows["Controller/shop.rare"]["time"], rows["Controller/shop.rare"]["errors"])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_without_a_change_nothing_is_named(store, seed):
    at = NOON - 2_400
    fill(
        store,
        reports(start=at - 2_400, minutes=40, revision="one", groups={"usual": 5}, seed=seed),
        reports(start=at, minutes=39, revision="two", groups={"usual": 5}, seed=seed + 100),
    )
    facts = deploy_of(store, "two", at)

    assert ({}, [], []) == (named(facts), facts["new_errors"], facts["more_errors"])
    assert 41 == facts["compared"]


def test_what_happens_at_this_time_on_other_days_is_usual(store):
    """A backup slows the same minutes each day, and the deploy is not its cause."""
    at, slow = NOON - 2_400, menu({0: (2.0, 0.02)})
    for day in (1, 0):
        start = at - day * DAY
        fill(
            store,
            reports(start=start - 2_400, minutes=40, revision="one", of=menu()[:3]),
            reports(start=start, minutes=39, revision="one" if day else "two", of=slow[:3]),
        )
    facts = deploy_of(store, "two", at)

    assert {NAMES[0]: ("usual", "not clear")} == named(facts)
    store.mark(Marker(at - DAY, "Shop", "another"), now=NOON)
    assert {NAMES[0]: ("slower", "not clear")} == named(deploy_of(store, "two", at))


def test_the_next_deploy_and_the_one_before_bound_the_periods(store):
    start = NOON - 3 * HOUR
    fill(store, reports(start=start, minutes=175, revision="one", of=menu()[:2]))
    for minute, name in ((60, "a"), (90, "b"), (105, "c")):
        store.mark(Marker(start + minute * MINUTE, "Shop", name), now=NOON)
    found = {
        name: deploy_of(store, name, start + minute * MINUTE) for minute, name in ((60, "a"), (90, "b"), (105, "c"))
    }

    assert {"a": 24, "b": 12, "c": 12} == {name: facts["seconds"] // MINUTE for name, facts in found.items()}
    assert [None, "a", "b"] == [facts["previous"] and facts["previous"]["revision"] for facts in found.values()]
    assert ["b", "c", None] == [facts["next"] and facts["next"]["revision"] for facts in found.values()]


def test_deploys_that_follow_each_other_at_once_are_compared_together(store):
    """A script marks the name of a release, and the processes report its hash two minutes later."""
    at = NOON - 2_400
    fill(
        store,
        reports(start=at - 2_400, minutes=40, revision="one", of=menu()[:3]),
        reports(start=at + 120, minutes=37, revision="two", of=menu({0: (2.0, 0.02)})[:3]),
    )
    for marked, name in ((at, "Release 2"), (at + 700, "checked")):
        store.mark(Marker(marked, "Shop", name), now=NOON)
    found = [
        deploy_of(store, name, when) for name, when in (("Release 2", at), ("two", at + 120), ("checked", at + 700))
    ]

    assert [["two", "checked"], ["Release 2", "checked"], ["Release 2", "two"]] == [
        [other["revision"] for other in facts["together"]] for facts in found
    ]
    assert [{NAMES[0]: ("slower", "not clear")}] * 3 == [named(facts) for facts in found]
    assert {(at, at + 780)} == {(facts["before"]["to"], facts["after"]["from"]) for facts in found}


@pytest.mark.parametrize("minutes, rows, seconds", [(1, 0, 0), (2, 0, 0), (13, 2, 0), (14, 2, 720)])
def test_right_after_a_deploy_nothing_is_compared(store, minutes, rows, seconds):
    at = NOON - minutes * MINUTE
    fill(store, reports(start=at - HOUR, minutes=60, revision="one", of=menu()[:2]))
    store.mark(Marker(at, "Shop", "now"), now=NOON)
    facts = deploy_of(store, "now", at)

    assert seconds == facts["seconds"]
    assert (rows if seconds else 0) == len(facts["rows"])
    assert ({}, [], []) == (named(facts), facts["new_errors"], facts["more_errors"])


def test_errors_are_not_new_where_all_data_is(store):
    """The first reports of an application would otherwise make all of its errors new."""
    at = NOON - 2_400
    fill(store, reports(start=at, minutes=39, revision="two", of=menu()[:2], groups={"usual": 5}))
    store.mark(Marker(at, "Shop", "first"), now=NOON)

    assert [] == deploy_of(store, "first", at)["new_errors"]


@pytest.mark.parametrize(
    "length, seconds, unit",
    [(30 * MINUTE, 24 * MINUTE, 60), (2 * HOUR, HOUR, 300), (7 * HOUR, 6 * HOUR, 900), (18 * HOUR, 12 * HOUR, 3_600), (40 * HOUR, 24 * HOUR, 3_600)],
)  # fmt: skip
def test_long_periods_consist_of_slices_that_are_stored(length, seconds, unit):
    at = NOON + 1_234.5
    found = periods_of(at, at, previous=None, following=None, now=at + length)

    assert found is not None
    assert seconds == found.seconds
    for period in (found.before, found.after):
        assert {0} == {moment % unit for slice in period.slices for moment in slice}
        assert [period.start, period.end] == [period.slices[0][0], period.slices[-1][1]]
    assert found.before.end <= at < found.after.start - MINUTE + 1
    assert found.after.end <= at + length


def test_other_days_with_a_deploy_are_no_controls():
    periods = Periods(Period(int(NOON) - 600, int(NOON)), Period(int(NOON) + 60, int(NOON) + 660))

    assert [periods.earlier(1), periods.earlier(7)] == controls(periods, [NOON, NOON - DAY - 700])
    assert [periods.earlier(7)] == controls(periods, [NOON, NOON - DAY + 30])


def test_a_deploy_is_found_by_its_revision_next_to_a_time(changed):
    at = NOON - 2_400

    assert at == deploy_of(changed, "two", at + 300, app=None)["deploy"]["at"]
    for revision, time_ in (("tw", at), ("two", at + 700), ("one", at - 3_600)):
        with pytest.raises(NotFound, match=f"no deploy of '{revision}' at this time"):
            deploy_of(changed, revision, time_)


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"revision": "a"},
        {"revision": "a", "at": "x"},
        {"revision": "a", "at": "nan"},
        {"at": "1"},
        {"revision": "a", "at": "1e300"},
    ],
)
def test_an_address_without_a_deploy_names_the_parameter(query):
    with pytest.raises(BadQuery, match="missing parameter 'revision'|invalid at"):
        read_deploy(query)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """A visitor of a collector with a deploy half an hour ago, whose revision is markup."""
    from scout_dashboard.collector import Collector

    with Collector.running(state_dir=tmp_path_factory.mktemp("shop")) as collector:
        at = time.time() - 1_800
        before = reports(start=at - 1_800, minutes=30, revision="one", of=menu()[:5], groups={"usual": 3})
        after = reports(
            start=at,
            minutes=29,
            revision="<script>two",
            of=menu({0: (3.0, 0.02)})[:5],
            groups={"usual": 3, "arises": 3},
        )
        for sent in (*before, *after):
            known_shop.send(collector, sent)
        yield visitor_of(collector)


def test_the_overview_leads_to_the_deploys_and_to_each(shop):
    overview = shop.page("/")
    links = [item.attributes["href"] for item in overview.elements if item.tag == "a"]
    listed = [link for link in links if "/deploys" in link]
    (own, *_) = [link for link in links if "/deploy?" in link]
    page = shop.page(own)

    assert [] == page.problems
    assert "<script>two" in page.text
    assert "1 slower, of 5 endpoints and jobs with enough transactions" in page.text
    assert "1 new group of errors" in page.text
    assert "28 minutes each" not in page.text
    assert "24 minutes each, at most 24 hours" in page.text
    deploys = shop.page(listed[0])
    assert [] == deploys.problems
    assert "1 deploy" in deploys.text
    assert own in [item.attributes["href"] for item in deploys.elements if item.tag == "a"]


def test_the_json_has_the_same(shop):
    (deploy,) = shop.facts("/deploys")["rows"]
    query = f"revision={quote(deploy['revision'])}&at={deploy['at']}"
    facts = shop.facts(f"/deploy?{query}")

    assert deploy == facts["deploy"]
    assert {NAMES[0]: ("slower", "not clear")} == named(facts)
    assert ["arises"] == [row["group"] for row in facts["new_errors"]]
    assert 404 == shop.ask("/json/deploy?revision=x&at=1")[0]
    assert 400 == shop.ask("/json/deploy?revision=x")[0]
    assert [404, 400] == [shop.ask(path)[0] for path in ("/deploy?revision=x&at=1", "/deploy")]


def test_without_a_deploy_the_page_names_the_command(collector):
    known_shop.send(collector, report(end=time.time() - 5, traces=0))
    page = visitor_of(collector).page("/deploys")

    assert "No deploys in the last hour" in page.text
    assert 'scout-core deploy "$(git rev-parse HEAD)"' in page.text
