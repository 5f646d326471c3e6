"""A deploy is the change of an application to a revision that it had not run before; the charts mark it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import known_shop
import pytest
from attrs import evolve
from sample_reports import report
from visitor import visitor_of

from scout_core.measuring.report import Report
from scout_core.sending.protocol import PROBE_APP
from scout_dashboard.queries import Queries
from scout_dashboard.ranges import named_range, zoomed_range
from scout_dashboard.store import Store, files
from scout_dashboard.store.writing import Incoming
from scout_dashboard.tally import Tally

DAY = 86_400
NOON = float(int(time.time()) // DAY * DAY + DAY // 2)
HOUR = 3_600


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data")
    yield opened
    opened.close()


def ran(revision: str, *, started: float, end: float, app: str = "Shop", instance: str = "a" * 16) -> Report:
    """Return a report of a process."""
    made = report(end=end, instance=instance, traces=0)
    process = evolve(made.process, revision=revision, started=started, app=app)
    return evolve(made, process=process, id=f"{instance}-{int(end)}")


def found(store: Store, *reports: Report, key: str = "1h", app: str | None = "Shop", now: float = NOON) -> list:
    """Return the app, the revision and the time of each deploy that the overview has after these reports."""
    for made in reports:
        store.apply(made, now=made.end)
    facts = Queries(store, Tally()).overview(named_range(key, app=app, now=now))
    assert facts["deploy_count"] == len(facts["deploys"])
    return [(deploy["app"], deploy["revision"], deploy["at"]) for deploy in facts["deploys"]]


def test_the_first_revision_of_an_application_is_not_a_deploy(store):
    assert [] == found(store, ran("one", started=NOON - 600, end=NOON - 60))


def test_another_revision_is_one_when_its_first_process_starts(store):
    reports = [
        ran("one", started=NOON - 9_000, end=NOON - 60),
        ran("two", started=NOON - 300, end=NOON - 40, instance="b" * 16),
        ran("two", started=NOON - 500, end=NOON - 30, instance="c" * 16),  # reports later, and has started before
        ran("one", started=NOON - 200, end=NOON - 20, instance="d" * 16),  # a process of the former one
    ]

    assert [("Shop", "two", NOON - 500)] == found(store, *reports)


def test_a_process_that_starts_again_is_not_one(store):
    reports = [
        ran("one", started=NOON - 3 * DAY, end=NOON - 2 * DAY),
        ran("two", started=NOON - DAY, end=NOON - DAY + 60, instance="b" * 16),
        ran("two", started=NOON - 600, end=NOON - 60, instance="c" * 16),
    ]

    assert [] == found(store, *reports)
    assert [("Shop", "two", NOON - DAY)] == found(store, key="7d")


def test_a_revision_is_compared_with_the_last_day_before_however_long_ago(store):
    """After a weekend without a request."""
    reports = [
        ran("one", started=NOON - 9 * DAY, end=NOON - 5 * DAY),
        ran("two", started=NOON - 600, end=NOON - 60, instance="b" * 16),
    ]

    assert [("Shop", "two", NOON - 600)] == found(store, *reports)


@pytest.mark.parametrize("key", ["1h", "24h", "7d"])
def test_a_revision_that_returns_is_not_one(store, key):
    reports = [
        ran("one", started=NOON - 6 * DAY, end=NOON - 5 * DAY),
        ran("two", started=NOON - 3 * DAY, end=NOON - 2 * DAY, instance="b" * 16),
        ran("one", started=NOON - 600, end=NOON - 60, instance="c" * 16),
    ]

    assert (["two"] if key == "7d" else []) == [name for _, name, _ in found(store, *reports, key=key)]


def test_other_applications_in_between_do_not_hide_one(store):
    reports = [
        ran("one", started=NOON - 9 * DAY, end=NOON - 5 * DAY),
        *(ran("x", started=NOON - DAY, end=NOON - DAY, app=app, instance=app[0] * 16) for app in ("Other", PROBE_APP)),
        ran("two", started=NOON - 600, end=NOON - 60, instance="b" * 16),
    ]

    for app in ("Shop", None):
        assert [("Shop", "two", NOON - 600)] == found(store, *reports, app=app)


def test_one_before_midnight_whose_first_report_comes_after_it_is_in_the_range_before(store):
    midnight = NOON - DAY / 2
    reports = [
        ran("one", started=NOON - 9 * DAY, end=midnight - 60),
        ran("two", started=midnight - 10, end=midnight + 50, instance="b" * 16),
    ]
    for made in reports:
        store.apply(made, now=made.end)
    ranges = (midnight - HOUR, midnight), (midnight, midnight + HOUR), (midnight - HOUR, midnight + HOUR)
    queries = Queries(store, Tally())

    assert [1, 0, 1] == [queries.overview(zoomed_range(*times, app="Shop"))["deploy_count"] for times in ranges]


def test_each_application_has_its_own(store):
    reports = [
        *(ran("one", started=NOON - 9_000, end=NOON - 60, app=app, instance=app[0] * 16) for app in ("shop", "admin")),
        ran("two", started=NOON - 600, end=NOON - 40, app="shop", instance="1" * 16),
        ran("three", started=NOON - 500, end=NOON - 30, app="shop", instance="2" * 16),
        ran("two", started=NOON - 400, end=NOON - 20, app="admin", instance="3" * 16),
    ]

    assert [("admin", "two", NOON - 400)] == found(store, *reports, app="admin")
    assert ["shop two", "shop three", "admin two"] == [f"{app} {name}" for app, name, _ in found(store, app=None)]


def test_processes_without_a_revision_are_none(store):
    reports = [
        ran("", started=NOON - 9_000, end=NOON - 60),
        ran("one", started=NOON - 600, end=NOON - 40, instance="b" * 16),
        ran("", started=NOON - 500, end=NOON - 30, instance="c" * 16),
    ]

    assert [] == found(store, *reports)


def test_only_those_of_the_range_are_shown(store):
    reports = [
        ran(f"r{hour}", started=NOON - hour * HOUR, end=NOON - hour * HOUR + 60, instance=f"{hour:016x}")
        for hour in (11, 5, 2)
    ]
    assert ["r5", "r2"] == [name for _, name, _ in found(store, *reports, key="24h")]
    assert ["r5", "r2"] == [name for _, name, _ in found(store, key="6h")]
    zoom = zoomed_range(NOON - 6 * HOUR, NOON - 4 * HOUR)

    assert ["r5"] == [deploy["revision"] for deploy in Queries(store, Tally()).overview(zoom)["deploys"]]


def test_many_are_counted_and_the_last_hundred_shown(store):
    """A build without a revision that is passed on may make up one for each process."""
    for number in range(130):
        store.apply(ran(f"r{number}", started=NOON - 999 + number, end=NOON, instance=f"{number:016x}"), now=NOON)
    facts = Queries(store, Tally()).overview(named_range("1h", now=NOON))

    assert (129, 100) == (facts["deploy_count"], len(facts["deploys"]))
    assert ("r30", "r129") == (facts["deploys"][0]["revision"], facts["deploys"][-1]["revision"])


def test_many_of_one_application_do_not_hide_those_of_another(store):
    store.apply_all(
        [
            Incoming(
                report=ran(
                    f"r{number}", started=NOON - 5_000 + number, end=NOON - 60, app="CI", instance=f"{number:016x}"
                )
            )
            for number in range(700)
        ],
        now=NOON,
    )
    reports = [
        ran("one", started=NOON - 9 * DAY, end=NOON - 60, instance="a" * 16),
        ran("two", started=NOON - 600, end=NOON - 60, instance="b" * 16),
    ]

    assert [("Shop", "two", NOON - 600)] == found(store, *reports)
    assert 700 == Queries(store, Tally()).overview(named_range("24h", now=NOON))["deploy_count"]


@pytest.mark.parametrize(
    "revision, shown",
    [
        ("3f2a9c1d7e4b5f60718293a4b5c6d7e8f9012345", "3f2a9c1d7e4b"),
        ("3f2a9c1d7e4b5f60", "3f2a9c1d7e4b5f60"),
        ("release-2026-11-29", "release-2026-11-29"),
        ("20261130104512", "20261130104512"),
        ("x" * 100, "x" * 40 + "…"),
    ],
)
def test_what_is_shown_of_a_revision_distinguishes_it(store, revision, shown):
    for made in (
        ran("one", started=NOON - 9_000, end=NOON - 60),
        ran(revision, started=NOON - 60, end=NOON, instance="b" * 16),
    ):
        store.apply(made, now=made.end)
    (deploy,) = Queries(store, Tally()).overview(named_range("1h", now=NOON))["deploys"]

    assert (revision, shown) == (deploy["revision"], deploy["short"])


def test_a_file_of_the_version_before_gets_the_table(tmp_path):
    directory = tmp_path / "data"
    with closing(Store(directory)) as store:
        store.apply(ran("one", started=NOON - 600, end=NOON), now=NOON)
    path = files.path_of(directory, "metrics", files.day_of(NOON))
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("DROP TABLE revision; PRAGMA user_version = 10;")
    with closing(Store(directory)) as store:
        later = ran("two", started=NOON - 60, end=NOON + 60, instance="b" * 16)
        third = ran("three", started=NOON - 30, end=NOON + 60, instance="c" * 16)

        assert [("Shop", "three", NOON - 30)] == found(store, later, third, now=NOON + 60)


def test_pages_and_json_have_them(collector):
    now = time.time()
    name = "<script>alert(1)</script>"
    for number, (revision, age) in enumerate([("one", 2_000), (f"0123456789abcdef{name}", 600)], 1):
        made = report(end=now - 5, number=number, instance=f"{number:016x}")
        process = evolve(made.process, revision=revision, started=now - age)
        known_shop.send(collector, evolve(made, process=process))
    visitor = visitor_of(collector)
    endpoint = visitor.facts("/endpoints")["rows"][0]["name"]
    (group, *_) = visitor.facts("/errors")["rows"]
    (operation, *_) = visitor.facts("/operations")["rows"]
    addresses = [
        "/", "/jobs", f"/endpoint?name={quote(endpoint)}", f"/error?group={group['group']}", f"/operation?id={operation['id']}",
    ]  # fmt: skip
    pages = [visitor.page(address) for address in addresses]

    for page in pages:
        assert "1 deploy: 0123456789abcdef<script>alert(" in page.text
        titles = [item.attributes.get("title", "") for item in page.elements if item.tag == "code"]
        assert 1 == titles.count(f"0123456789abcdef{name}")
        assert [] == page.problems
    for address in ("/overview", *addresses[1:]):
        (deploy,) = visitor.facts(address)["deploys"]
        assert (f"0123456789abcdef{name}", pytest.approx(now - 600)) == (deploy["revision"], deploy["at"])
