"""Exceptions that an option lists as no errors, by class or name, and errors that are not recorded at all."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from types import ModuleType

import pytest

from scout_core import Transaction, hookimpl, record_error, span, transaction
from scout_core.config.config import read_config
from scout_core.config.files import Settings
from scout_core.config.values import as_written
from scout_core.instruments.jobs import FAILURE, job
from scout_core.testing import recording
from tests.workbench import plugin, run_app

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


class Refused(Exception):
    """An exception of the application."""


class TooLate(Refused):
    """One that inherits from it."""


HERE = f"{__name__}.Refused"


def leaving(error: BaseException, name: str = "Controller/home") -> Transaction:
    """Return a transaction that an exception has left."""
    home = transaction(name)
    with suppress(Exception), home:
        raise error
    return home


def outcome(home: Transaction, scout) -> tuple[bool, int, int]:
    """Whether it failed, how many errors it has, and how many exceptions were ignored."""
    return home.is_error, len(home.errors), scout.agent.counters().errors_ignored


@pytest.mark.parametrize(
    "listed",
    [
        [Refused], [HERE], HERE, f"{__name__}:Refused", f"KeyError, {HERE}", (OSError, HERE), f"{__name__}.TooLate",
    ],
    ids=["class", "name", "text", "with a colon", "several", "both", "its own name"],
)  # fmt: skip
def test_an_exception_is_ignored_by_class_or_name_of_any_base(listed):
    with recording(errors_ignored_exceptions=listed) as scout:
        assert (False, 0, 1) == outcome(leaving(TooLate()), scout)


@pytest.mark.parametrize("name", ["KeyError", "builtins.KeyError", "LookupError", "Exception"])
def test_a_built_in_exception_is_named_with_or_without_its_module(name):
    with recording(errors_ignored_exceptions=[name]) as scout:
        assert (False, 0, 1) == outcome(leaving(KeyError("plan")), scout)


@pytest.mark.parametrize("listed", [["Refused"], ["shop.Refused"], ["KeyError"], [TooLate], [f"{__name__}.refused"]])
def test_an_exception_that_is_not_listed_is_an_error(listed):
    with recording(errors_ignored_exceptions=listed) as scout:
        assert (True, 1, 0) == outcome(leaving(Refused()), scout)


def test_a_name_under_which_a_library_shows_the_class_is_enough(monkeypatch):
    shop = ModuleType("shop_library")
    shop.Refused = Refused
    shop.views = type("views", (), {"Refused": Refused})
    monkeypatch.setitem(sys.modules, "shop_library", shop)

    for name in ("shop_library.Refused", "shop_library.views.Refused"):
        with recording(errors_ignored_exceptions=[name]) as scout:
            assert (False, 0, 1) == outcome(leaving(TooLate()), scout)


def test_nothing_is_imported_and_no_code_of_a_module_runs(monkeypatch):
    ran = []
    lazy = ModuleType("lazy_library")
    lazy.__getattr__ = ran.append
    monkeypatch.setitem(sys.modules, "lazy_library", lazy)
    names = ["lazy_library.Refused", "wave.Error", "shop_not_installed.Refused"]
    monkeypatch.delitem(sys.modules, "wave", raising=False)

    with recording(errors_ignored_exceptions=names) as scout:
        assert (True, 1, 0) == outcome(leaving(Refused()), scout)

    assert ([], False) == (ran, "wave" in sys.modules)


def test_no_code_of_an_exception_or_its_class_runs():
    class Hostile(type):
        def __eq__(cls, other):
            raise SystemExit

        def __hash__(cls):
            raise SystemExit

        def __instancecheck__(cls, instance):
            raise SystemExit

    class Bad(Exception, metaclass=Hostile):
        pass

    with recording(errors_ignored_exceptions=[Refused, HERE, "json.JSONDecodeError"]) as scout:
        assert (True, 1, 0) == outcome(leaving(Bad()), scout)


def test_a_recorded_exception_is_ignored_and_counted_once():
    with recording(errors_ignored_exceptions=[Refused]) as scout:
        home = transaction("Controller/home")
        with suppress(Refused), home:
            try:
                raise Refused
            except Refused as error:
                record_error(error)
                home.record_error(error, handled=False)
                raise

        assert (False, 0, 1) == outcome(home, scout)


def test_each_ignored_exception_is_counted():
    with recording(errors_ignored_exceptions=[Refused]) as scout:
        with transaction("Controller/home"):
            for _ in range(3):
                record_error(Refused())
        leaving(Refused())

        assert 4 == scout.agent.counters().errors_ignored


def test_other_errors_of_the_same_transaction_are_recorded():
    with recording(errors_ignored_exceptions=[Refused]) as scout:
        home = transaction("Controller/home")
        with suppress(ValueError), home:
            record_error(Refused())
            raise ValueError

        assert (True, 1, 1) == outcome(home, scout)


def test_a_span_that_an_ignored_exception_leaves_has_failed():
    # The call did fail; only the transaction did not.
    with recording(errors_ignored_exceptions=[Refused]):
        home = transaction("Controller/home")
        with suppress(Refused), home, span("SQL/Query") as query:
            raise Refused

    assert (Refused, False) == (query.error, home.is_error)


@pytest.mark.parametrize(
    ("members", "is_error"),
    [
        ([Refused(), TooLate()], False),
        ([Refused(), ValueError()], True),
        ([Refused(), ExceptionGroup("more", [TooLate()])], False),
        ([ExceptionGroup("more", [TooLate(), KeyError()])], True),
    ],
)
def test_a_group_of_exceptions_is_ignored_when_all_of_its_members_are(members, is_error):
    with recording(errors_ignored_exceptions=[Refused]):
        assert is_error is leaving(ExceptionGroup("tasks", members)).is_error


def test_the_figures_count_no_failure():
    with recording(errors_ignored_exceptions=[Refused]) as scout:
        leaving(Refused())
        leaving(ValueError())
        (home,) = scout.report().transactions

    assert (2, 1) == (home.count, home.errors)


def test_a_job_that_ended_with_an_ignored_exception_has_its_outcome_and_no_error():
    with recording(errors_ignored_exceptions=[Refused]):
        mail = job("Job/mail")
        with suppress(Refused), mail:
            raise Refused
        caught = job("Job/caught")
        with caught:
            caught.settle(FAILURE, Refused())

    assert [("failure", False), ("failure", False)] == [(it.tags["outcome"], it.is_error) for it in (mail, caught)]


def test_classes_made_at_run_time_are_not_kept_without_limit():
    with recording(errors_ignored_exceptions=[Refused]) as scout:
        for number in range(2_500):
            leaving(type(f"Made{number}", (Refused,), {})())

        assert 2_500 == scout.agent.counters().errors_ignored
        assert 1_000 >= len(scout.agent.tracer.ignored_errors._known)


@pytest.mark.parametrize(
    "value", [[17], [object], ["not a name"], "KeyError, 17", [int], {"a": 1}, KeyError, 5, ["shop..Refused"]]
)
def test_a_bad_value_is_one_warning_and_nothing_is_ignored(value):
    found = read_config({"errors_ignored_exceptions": value}, environment={})

    (problem,) = found.problems
    assert "errors_ignored_exceptions" in str(problem)
    assert "classes of exceptions or their dotted names" in str(problem)
    assert () == found.get("errors_ignored_exceptions")


def test_every_layer_can_list_exceptions(tmp_path):
    given = {"errors_ignored_exceptions": ["KeyError", HERE]}
    layers = [
        read_config(given, environment={}),
        read_config({}, environment={"SCOUT_ERRORS_IGNORED_EXCEPTIONS": f"KeyError, {HERE}"}),
        read_config({}, environment={}, settings=Settings(tmp_path / "pyproject.toml", values=given)),
        read_config({}, environment={}, framework=("Django", {"SCOUT_ERRORS_IGNORED_EXCEPTIONS": ["KeyError", HERE]})),
    ]

    assert [("KeyError", HERE)] * 4 == [layer.get("errors_ignored_exceptions") for layer in layers]


def test_a_class_is_shown_by_its_name():
    found = read_config({"errors_ignored_exceptions": [Refused, KeyError]}, environment={})

    assert [HERE, "KeyError"] == json.loads(json.dumps(as_written(found.get("errors_ignored_exceptions"))))


def test_without_errors_failures_are_counted_and_no_exception_is_recorded():
    seen = []

    @hookimpl
    def on_error(transaction, error):
        seen.append(error)

    with recording(errors_enabled=False, plugins=[plugin("test_errors", on_error=on_error)]) as scout:
        failed = leaving(ValueError())
        with transaction("Controller/home") as handled:
            record_error(ValueError())
        with transaction("Controller/home") as given_up:
            record_error(ValueError(), handled=False)
        report = scout.report()

    assert [(True, 0), (False, 0), (True, 0)] == [(it.is_error, it.error_count) for it in (failed, handled, given_up)]
    assert ([], 2, {()}) == (seen, report.transactions[0].errors, {trace.errors for trace in report.traces})


@pytest.mark.parametrize(("text", "expected"), [("false", False), ("no", False), ("1", True), ("", True)])
def test_errors_are_switched_off_in_the_environment(text, expected):
    assert expected is read_config({}, environment={"SCOUT_ERRORS_ENABLED": text}).get("errors_enabled")


FAILING = """
import scout_core

scout_core.start()
caught = []
for error in (KeyError("plan"), OSError("disk")):
    try:
        with scout_core.transaction("Job/mail"):
            try:
                raise error
            except Exception as handled:
                scout_core.record_error(handled)
                raise
    except Exception as found:
        caught.append(found is error)
print(caught)
"""


@pytest.mark.parametrize(
    ("variables", "recorded", "failed"),
    [
        ({}, {"KeyError", "OSError"}, 2),
        ({"SCOUT_ERRORS_ENABLED": "false"}, set(), 2),
        ({"SCOUT_ERRORS_IGNORED_EXCEPTIONS": "shop.Refused, KeyError"}, {"OSError"}, 1),
        ({"SCOUT_ERRORS_BATCH_SIZE": "5", "SCOUT_LOG_PAYLOAD_CONTENT": "false"}, {"KeyError", "OSError"}, 2),
    ],
    ids=["none", "switched off", "ignored", "without effect"],
)
def test_texts_of_the_environment_take_effect_where_an_application_fails(sink, tmp_path, variables, recorded, failed):
    done = run_app(FAILING, tmp_path / "state", SCOUT_SHUTDOWN_TIMEOUT_SECONDS="20", **variables)

    assert (0, "[True, True]\n") == (done.code, done.out)
    assert [] == [line for line in done.err.splitlines() if "has no effect" not in line]
    assert recorded == {group.exception for report in sink.reports for group in report.error_groups}
    assert (2, failed) == (
        sink.counted, sum(metrics.errors for report in sink.reports for metrics in report.transactions),
    )  # fmt: skip


def test_options_that_change_at_run_time_count_from_then_on():
    with recording() as scout:
        scout.agent.add_settings({"errors_ignored_exceptions": [Refused]})

        assert (False, 0, 1) == outcome(leaving(Refused()), scout)
