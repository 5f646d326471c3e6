"""Every recipe of ``docs/cookbook.md`` runs as the page shows it, and keeps the expected traces or logs the expected lines."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path

import pytest

from scout_core import current_transaction, transaction
from scout_core.testing import Scout, recording
from tests.workbench import record_lasting

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cookbook.md"
RECIPES = dict(re.findall(r"^```python\n# (\w+)\.py\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL))
HOUR = 1_800_000_000.0 // 3_600 * 3_600


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """Make the recipes importable during a test, and return a function from a recipe's name to settings that load it."""
    for name, text in RECIPES.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))

    def settings(module: str, **more):
        return {"plugins": [module], "plugins_autoload": False, "traces_per_period": 1, **more}

    yield settings
    for name in RECIPES:
        sys.modules.pop(name, None)


def winner(scout: Scout) -> str:
    """Return the name of the only trace that was kept."""
    (trace,) = scout.traces()
    return trace.name


def test_the_trace_of_the_endpoint_with_the_highest_score_is_kept(recipe):
    with recording(**recipe("by_endpoint")) as scout:
        for name in ("Controller/users.show", "Controller/users.index", "Controller/Users.index"):
            record_lasting(name)
        assert "Controller/users.index" == winner(scout)

        record_lasting("Job/mailers.welcome")
        record_lasting("Job/mailers.digest")
        record_lasting("Job/users.index")

        assert "Job/mailers.digest" == winner(scout)


def test_customers_are_preferred_by_plan_and_by_name(recipe):
    with recording(**recipe("by_customer")) as scout:
        record_lasting("Controller/a")
        record_lasting("Controller/b", plan="team")
        record_lasting("Controller/c", plan="enterprise")
        record_lasting("Controller/d", plan="free")
        assert "Controller/c" == winner(scout)

        record_lasting("Controller/c", plan="enterprise")
        record_lasting("Controller/d", plan="free", customer="acme")

        assert "Controller/d" == winner(scout)


def test_the_application_in_the_recipe_tags_the_customer(recipe):
    with recording(**recipe("by_customer")) as scout:
        import views

        (trace,) = scout.traces()

    assert ({"customer": "acme", "plan": "free"}, 5.0) == (trace.tags, trace.policies["by_customer"])
    assert current_transaction() is None
    views.show_cart("acme", "free")  # without an agent it does nothing


class PermissionDenied(Exception):
    """An error that the recipe expects."""


def test_unexpected_errors_are_preferred(recipe):
    with recording(**recipe("by_error")) as scout:
        record_lasting("Controller/fine")
        record_lasting("Controller/denied", failing=PermissionDenied)
        assert "Controller/denied" == winner(scout)

        record_lasting("Controller/denied", failing=PermissionDenied)
        record_lasting("Controller/broken", failing=KeyError)
        assert "Controller/broken" == winner(scout)

        record_lasting("Controller/denied", failing=PermissionDenied)
        record_lasting("Controller/status", error=True)  # as for a response with status 500 and no exception

        assert "Controller/status" == winner(scout)


def test_the_first_traces_of_a_name_after_a_deploy_are_preferred(recipe):
    with recording(**recipe("after_deploy")) as scout:
        for _ in range(21):
            record_lasting("Controller/old")
        scout.report()

        record_lasting("Controller/old")
        record_lasting("Controller/new")
        assert "Controller/new" == winner(scout)

    with recording(**recipe("after_deploy")) as scout:  # another process: the next deploy
        record_lasting("Controller/old")
        (trace,) = scout.traces()

    assert ("Controller/old", {"after_deploy": 3.0}) == (trace.name, trace.policies)


def test_each_name_has_a_trace_every_hour(recipe, monkeypatch):
    """``never`` has no place in the first period, so its hour counts from its first transaction."""
    clock = [1_000.0]
    monkeypatch.setattr("scout_core.sending.choice.monotonic", lambda: clock[0])
    with recording(**recipe("every_hour")) as scout:
        record_lasting("Controller/kept")
        record_lasting("Controller/never")
        assert "Controller/kept" == winner(scout)

        clock[0] += 3_599
        record_lasting("Controller/kept")
        record_lasting("Controller/never")
        assert "Controller/kept" == winner(scout), "both give nothing, so the first is kept"

        clock[0] += 1
        record_lasting("Controller/kept")
        record_lasting("Controller/never")
        assert "Controller/never" == winner(scout)


def test_a_transaction_in_the_random_sample_is_preferred(recipe):
    with recording(**recipe("random_sample")) as scout:
        for name, number in (("a", 1_101), ("b", 7_300), ("c", 99)):
            record_lasting(f"Controller/{name}").id = number

        assert "Controller/b" == winner(scout)


def test_the_random_sample_is_about_a_hundredth_of_all_transactions(recipe):
    with recording(**recipe("random_sample", plugins_autoload=True)) as scout:
        import random_sample

        scores = [random_sample.score_transaction(record_lasting("Controller/home")) for _ in range(20_000)]
        scout.report()

    assert {0.0, 5.0} == set(scores)
    assert 100 < scores.count(5.0) < 320  # 200 expected; 1 run in 10 thousand million is outside


def test_the_slowest_trace_of_an_hour_is_kept(recipe):
    """``usual`` is recorded first, so it wins every tie."""

    def period(scout: Scout, seconds: float, at: float) -> str:
        record_lasting("Controller/usual", 0.1).started = HOUR + at
        record_lasting("Controller/report", seconds).started = HOUR + at
        return winner(scout)

    with recording(**recipe("slowest_of_hour")) as scout:
        kept = [
            period(scout, 2.0, at=0),  # slower than usual
            period(scout, 1.0, at=60),  # not the slowest of the hour; usual has not been kept in this hour
            period(scout, 1.9, at=120),  # neither is slower than a kept trace: the first wins
            period(scout, 2.1, at=180),
            period(scout, 0.5, at=3_600),  # another hour
        ]

    report, usual = "Controller/report", "Controller/usual"
    assert [report, usual, usual, report, report] == kept


def test_the_slowest_of_several_slower_traces_is_kept(recipe):
    with recording(**recipe("slowest_of_hour")) as scout:
        for seconds in (1.0, 3.0, 2.0):
            record_lasting("Controller/report", seconds).started = HOUR
        (trace,) = scout.traces()

    assert 3.0 == pytest.approx(trace.duration)


def test_the_slowest_request_of_each_customer_is_kept(recipe):
    with recording(**recipe("of_each_customer", plugins_enable=["error_traces"], traces_per_period=10)) as scout:
        for name, seconds, customer in (("a", 1, "acme"), ("b", 3, "acme"), ("c", 2, "acme"), ("d", 1, "mega")):
            record_lasting(f"Controller/{name}", seconds, customer=customer)
        record_lasting("Controller/e", 5, customer="acme", failing=KeyError)
        record_lasting("Controller/f")
        kept = {trace.group: trace.name for trace in scout.traces()}

    assert {
        "customer acme": "Controller/b",
        "customer mega": "Controller/d",
        "errors of Controller/e": "Controller/e",
        "Controller/f": "Controller/f",
    } == kept


def test_a_trace_of_each_exception_of_an_endpoint_is_kept(recipe):
    with recording(**recipe("of_each_exception", plugins_enable=["error_traces"], traces_per_period=10)) as scout:
        for kind in (KeyError, KeyError, ValueError, None):
            for name in ("cart", "home"):
                record_lasting(f"Controller/{name}", failing=kind)
        record_lasting("Controller/cart", error=True)
        kept = {trace.group for trace in scout.traces()}

    assert {
        "Controller/cart", "Controller/cart: KeyError", "Controller/cart: ValueError", "Controller/cart: no exception",
        "Controller/home", "Controller/home: KeyError", "Controller/home: ValueError",
    } == kept  # fmt: skip


def test_a_trace_of_the_first_requests_after_a_deploy_is_kept_beside_the_others(recipe):
    with recording(**recipe("first_of_revision", revision_sha="4f2a", traces_per_period=10)) as scout:
        for _ in range(25):
            record_lasting("Controller/home")
        first = sorted(trace.group for trace in scout.traces())
        record_lasting("Controller/home")
        later = [trace.group for trace in scout.traces()]

    assert ["Controller/home", "Controller/home: first requests of 4f2a"] == first
    assert ["Controller/home"] == later


def test_a_policy_learns_which_traces_were_stored(recipe):
    with recording(**recipe("stored")) as scout:
        kept = []
        for _ in range(3):
            record_lasting("Controller/home")
            record_lasting("Controller/cart")
            kept.append(winner(scout))

    assert ["Controller/home", "Controller/cart", "Controller/home"] == kept


def test_the_queue_time_of_web_requests_is_logged(recipe, caplog):
    caplog.set_level(logging.INFO, "shop.transactions")

    with recording(**recipe("log_queue_time")) as scout:
        with transaction("Controller/home") as home:
            home.queued_at = home.started - 0.25
        home.stop_ns = home.start_ns + 80_000_000
        record_lasting("Controller/cart")  # has no queue time
        with transaction("Job/mail.send") as job:
            job.queued_at = job.started - 1.0
        scout.report()

    assert ["Controller/home waited 250.0 ms and took 80.0 ms"] == caplog.messages


def test_every_period_is_logged(recipe, caplog):
    caplog.set_level(logging.INFO, "shop.periods")

    with recording(**recipe("log_periods", name="Shop", traces_per_period=10)) as scout:
        for failing in (None, None, KeyError):
            record_lasting("Controller/home", 0.5, failing=failing)
        record_lasting("Job/mail.send", 2.0)
        scout.report()
        scout.report()

    home, mail, first, second, *_ = (re.sub(r"\d\.\d{3} s", "# s", message) for message in caplog.messages)
    assert ["Controller/home: 3, 1 failed, p95 # s", "Job/mail.send: 1, 0 failed, p95 # s"] == [home, mail]
    assert ["Shop on test kept 2 traces", "Shop on test kept 0 traces"] == [first, second]


@pytest.mark.parametrize("name", sorted(set(RECIPES) - {"views", "test_by_endpoint"}))
def test_every_recipe_has_a_docstring_and_is_on_the_page_once(name):
    assert RECIPES[name].startswith('"""')
    assert 1 == PAGE.read_text("utf-8").count(f"# {name}.py\n")
