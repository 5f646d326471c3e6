"""Leaving out by path and by name."""

from __future__ import annotations

import pytest

from scout_core import WebRequest, span, transaction


def request(path):
    return WebRequest(path, "", None, None, None, None)


def visit(operation, path=None, *, late=False):
    made = transaction(operation)
    if path is not None and not late:
        made.request = request(path)
    with made, span("SQL/Query") as query:
        if late:
            made.request = request(path)
    return query.duration > 0


@pytest.mark.scout(ignore=["/health", "static/"])
@pytest.mark.parametrize(
    ("path", "is_ignored"),
    [("/health", True), ("/health/db", True), ("/healthy", True), ("//health", True), (" /health", True), ("health", True),
     ("/static/a.css", True), ("/static", False), ("/api/health", False), ("/", False), ("", False)],
)  # fmt: skip
def test_by_path_at_once(scout, path, is_ignored):
    assert visit("Controller/shop.home", path) != is_ignored

    assert ([("Controller/shop.home", "by path")] if is_ignored else []) == scout.ignored
    assert ([] if is_ignored else ["SQL/Query", "Controller/shop.home"]) == scout.operations


@pytest.mark.scout(ignore=["/health"])
def test_by_path_at_the_end_when_it_is_told_late(scout):
    visit("Controller/shop.home", "/health", late=True)

    assert [("Controller/shop.home", "by plugin ignoring")] == scout.ignored


@pytest.mark.scout(ignore=["/health"])
def test_names_and_jobs_are_no_paths(scout):
    visit("Controller/health")
    visit("Job/health")

    assert [] == scout.ignored


@pytest.mark.scout(ignore="/")
def test_a_slash_is_every_path(scout):
    visit("Controller/shop.home", "/cart")
    visit("Controller/shop.home")
    visit("Job/mail.send")

    assert ["Controller/shop.home"] == [operation for operation, _ in scout.ignored]
    assert 2 == len(scout.transactions)


@pytest.mark.scout(ignore_endpoints="shop.health, /admin/", ignore_jobs=["mail."])
@pytest.mark.parametrize(
    ("operation", "is_ignored"),
    [
        ("Controller/shop.health", True),
        ("Controller/shop.healthy", True),
        ("Controller/admin/users", True),
        ("Controller//admin/users", True),
        ("Controller/shop.home", False),
        ("Controller/mail.send", False),
        ("Job/mail.send", True),
        ("Job/shop.health", False),
        ("Job", False),
        ("Controller/", False),
        ("Custom/mail.send", True),
    ],
)
def test_by_name(scout, operation, is_ignored):
    visit(operation)

    assert ([(operation, "by plugin ignoring")] if is_ignored else []) == scout.ignored


@pytest.mark.scout(ignore_endpoints="shop.health")
def test_by_the_name_that_it_has_at_the_end(scout):
    with transaction("Controller/unknown") as made:
        made.rename("Controller/shop.health")
    with transaction("Controller/shop.health") as made:
        made.rename("Controller/shop.home")

    assert ([("Controller/shop.health", "by plugin ignoring")], ["Controller/shop.home"]) == (
        scout.ignored,
        scout.operations,
    )


def test_without_options_nothing_is_ignored_and_nothing_is_asked(scout):
    visit("Controller/shop.home", "/health")

    assert ["SQL/Query", "Controller/shop.home"] == scout.operations
    assert ((), ()) == (scout.agent.tracer.on_request_start, scout.agent.recorder.hooks.ignore_transaction)


@pytest.mark.scout(ignore="/health", plugins_disable="ignoring,collector")
def test_it_can_be_switched_off(scout):
    visit("Controller/shop.home", "/health")

    assert [] == scout.ignored


@pytest.mark.scout(ignore="/health", sample_rate=0)
def test_what_is_ignored_by_path_is_not_counted_as_sampled(scout):
    visit("Controller/shop.home", "/health")
    visit("Controller/shop.home", "/cart")
    scout.agent.recorder.work()

    assert {"ignored": 1, "sampled": 1} == scout.agent.counters().dropped
