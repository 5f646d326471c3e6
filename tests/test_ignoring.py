"""Ignoring by path and by name, what happens to ignored transactions, and options that change at run time."""

from __future__ import annotations

import os

import pytest

import scout_core
from scout_core import WebRequest, current_transaction, span, transaction
from scout_core.config.config import read_config
from scout_core.testing import recording
from tests.workbench import plugin

ONLY_THESE = {"plugins_autoload": False, "plugins_enable": ["ignoring", "sampling"]}
pytestmark = pytest.mark.scout(**ONLY_THESE)


def request_for(path):
    return WebRequest(path, "")


def visit(operation, path=None, *, late=False):
    web = transaction(operation)
    if path is not None and not late:
        web.request = request_for(path)
    with web, span("SQL/Query") as query:
        if late:
            web.request = request_for(path)
    return query.duration > 0


@pytest.mark.scout(ignore=["/health", "static/"])
@pytest.mark.parametrize(
    ("path", "is_ignored"),
    [("/health", True), ("/health/db", True), ("/healthy", True), ("//health", True), (" /health", True), ("health", True),
     ("/static/a.css", True), ("/static", False), ("/api/health", False), ("/", False), ("", False)],
)  # fmt: skip
def test_a_request_is_ignored_by_its_path_at_its_start(scout, path, is_ignored):
    assert visit("Controller/shop.home", path) != is_ignored

    assert ([("Controller/shop.home", "by path")] if is_ignored else []) == scout.ignored
    assert ([] if is_ignored else ["SQL/Query", "Controller/shop.home"]) == scout.operations


@pytest.mark.scout(ignore=["/health"])
def test_a_request_whose_path_is_set_late_is_ignored_at_its_end(scout):
    visit("Controller/shop.home", "/health", late=True)

    assert [("Controller/shop.home", "by plugin ignoring")] == scout.ignored


@pytest.mark.scout(ignore=["/health"])
def test_names_and_jobs_are_not_paths(scout):
    visit("Controller/health")
    visit("Job/health")

    assert [] == scout.ignored


@pytest.mark.scout(ignore="/")
def test_a_slash_matches_every_path(scout):
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
def test_a_transaction_is_ignored_by_its_name(scout, operation, is_ignored):
    visit(operation)

    assert ([(operation, "by plugin ignoring")] if is_ignored else []) == scout.ignored


@pytest.mark.scout(ignore_endpoints="shop.health")
def test_a_transaction_is_ignored_by_the_name_that_it_has_at_its_end(scout):
    with transaction("Controller/unknown") as web:
        web.rename("Controller/shop.health")
    with transaction("Controller/shop.health") as web:
        web.rename("Controller/shop.home")

    assert ([("Controller/shop.health", "by plugin ignoring")], ["Controller/shop.home"]) == (
        scout.ignored,
        scout.operations,
    )


def test_nothing_is_ignored_and_no_hook_is_active_without_options(scout):
    visit("Controller/shop.home", "/health")

    assert ["SQL/Query", "Controller/shop.home"] == scout.operations
    assert ((), ()) == (scout.agent.tracer.on_request_start, scout.agent.recorder.evaluation.hooks.ignore_transaction)


@pytest.mark.scout(ignore="/health", plugins_disable="ignoring,collector")
def test_the_plugin_can_be_disabled(scout):
    visit("Controller/shop.home", "/health")

    assert [] == scout.ignored


@pytest.mark.scout(ignore="/health", sample_rate=0)
def test_a_request_ignored_by_path_is_not_counted_as_sampled(scout):
    visit("Controller/shop.home", "/health")
    visit("Controller/shop.home", "/cart")
    scout.agent.recorder.work()

    assert {"ignored": 1, "sampled": 1} == scout.agent.counters().dropped


NOT_RECORDED = pytest.mark.parametrize(
    "settings, counted_as, reason",
    [
        ({"ignore_jobs": "noise"}, "ignored", "by plugin ignoring"),
        ({"sample_jobs": "noise:0"}, "sampled", "sampled"),
    ],
    ids=["ignored", "sampled"],
)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """Remove variables that ``scout_core.start`` reads."""
    for variable in [variable for variable in os.environ if variable.startswith("SCOUT_")]:
        monkeypatch.delenv(variable)


def request(path: str, **environ: str) -> transaction:
    """Return a web request whose framework sets its path before its start."""
    web = transaction("Controller/view")
    as_bytes = path.encode().decode("latin-1")  # PEP 3333
    web.request = WebRequest.of({"PATH_INFO": as_bytes, **environ})
    return web


def run(*operations: str) -> None:
    for operation in operations:
        with transaction(operation), span("SQL/Query"):
            pass


def recorded(scout) -> list[str]:
    return [recorded.operation for recorded in scout.transactions]


@NOT_RECORDED
def test_unrecorded_transactions_are_counted_as_dropped_and_are_in_no_report(settings, counted_as, reason):
    with recording(**ONLY_THESE, **settings) as scout:
        with pytest.raises(ZeroDivisionError), transaction("Job/noise"):
            _ = 1 / 0
        run("Job/noise", "Job/mail")
        report = scout.report()
        counters = scout.agent.counters()

        assert ["Job/mail"] == [metrics.name for metrics in report.transactions]
        assert ["Job/mail"] == [trace.name for trace in report.traces]
        assert [("Job/noise", reason)] * 2 == scout.ignored
        assert (3, {counted_as: 2, "no exporter": 1}, 1) == (counters.finished, counters.dropped, counters.spans)


@NOT_RECORDED
def test_only_the_hook_on_ignore_is_called_for_unrecorded_transactions(settings, counted_as, reason):
    calls = []

    def record_calls(hook):
        return lambda transaction: calls.append((hook, transaction.operation))

    names = ("on_error", "on_request_end", "score_transaction", "on_keep", "on_ignore")
    recording_calls = plugin("recording_calls", **{name: record_calls(name) for name in names})
    with recording(**ONLY_THESE, plugins=[recording_calls], **settings) as scout:
        with pytest.raises(ZeroDivisionError), transaction("Job/noise"):
            _ = 1 / 0
        scout.report()

    assert [("on_ignore", "Job/noise")] == calls


@pytest.mark.scout(ignore=["/health"])
def test_a_transaction_in_an_ignored_transaction_is_not_recorded(scout):
    with request("/health"), transaction("Job/inner"), span("SQL/Query"):
        inside = current_transaction()
    run("Job/after")

    assert None is inside
    assert ["SQL/Query", "Job/after"] == scout.operations
    assert [("Controller/view", "by path")] == scout.ignored
    assert 1 == scout.agent.counters().dropped["ignored"]


@pytest.mark.scout(ignore=["/health"], ignore_jobs=["noise"])
def test_a_nested_transaction_is_not_ignored_by_its_own_path_or_name(scout):
    """It is a span of the outer transaction, whose path and name decide."""
    with transaction("Job/mail"):
        with request("/health"):
            pass
        with transaction("Job/noise"):
            pass

    assert (["Controller/view", "Job/noise", "Job/mail"], []) == (scout.operations, scout.ignored)


@pytest.mark.scout(ignore=["/health"])
def test_an_exception_of_the_application_passes(scout):
    with pytest.raises(KeyError, match="^'own'$"), request("/health"):
        raise KeyError("own")

    assert [("Controller/view", "by path")] == scout.ignored


@pytest.mark.scout(ignore=["/shop/health", "/é"])
def test_the_mount_point_of_an_application_is_part_of_the_path(scout):
    for web in (request("/health", SCRIPT_NAME="/shop"), request("/health"), request("/é/x")):
        with web:
            pass

    assert ([("Controller/view", "by path")] * 2, ["Controller/view"]) == (scout.ignored, recorded(scout))


@pytest.mark.scout(ignore=["/search?q"])
def test_the_query_is_not_part_of_the_path(scout):
    with request("/search", QUERY_STRING="q=1"):
        pass

    assert ["Controller/view"] == recorded(scout)


@pytest.mark.parametrize("key", ["ignore", "ignore_endpoints", "ignore_jobs"])
def test_every_option_can_be_set_in_the_environment(key):
    config = read_config(environment={f"SCOUT_{key.upper()}": " /a, b,,/c/ "})

    assert (("a", "b", "c/"), []) == (config.get(key), config.problems)


def hooks_of(agent) -> tuple[int, int]:
    """Return the number of active functions of ``on_request_start`` and ``ignore_transaction``."""
    return len(agent.tracer.on_request_start), len(agent.recorder.evaluation.hooks.ignore_transaction)


@pytest.mark.parametrize(
    "settings, active",
    [
        ({}, (0, 0)),
        ({"ignore": [], "ignore_jobs": ""}, (0, 0)),
        ({"ignore": ["/a"]}, (1, 1)),
        ({"ignore_endpoints": "a"}, (0, 1)),
        ({"ignore_jobs": "a"}, (0, 1)),
        ({"sample_rate": 1}, (0, 0)),
        ({"sample_rate": 100, "sample_jobs": ""}, (0, 0)),
        ({"sample_rate": 0.5}, (1, 0)),
        ({"endpoint_sample_rate": 1}, (1, 1)),
        ({"job_sample_rate": 0}, (1, 1)),
        ({"sample_endpoints": "home:1"}, (1, 1)),
        ({"sample_jobs": {"mail": 0}}, (1, 1)),
        ({"sample_rate": 0.5, "ignore": "/a"}, (2, 1)),
    ],
)
def test_only_the_hooks_that_the_options_need_are_active(settings, active):
    with recording(**ONLY_THESE, **settings) as scout:
        assert active == hooks_of(scout.agent)


@pytest.mark.parametrize(
    "on, off, reason",
    [
        ({"ignore_jobs": "mail"}, {"ignore_jobs": []}, "by plugin ignoring"),
        ({"sample_rate": 0}, {"sample_rate": 1}, "sampled"),
        ({"job_sample_rate": 0}, {"job_sample_rate": ""}, "sampled"),
        ({"sample_jobs": "mail:0"}, {"sample_jobs": ""}, "sampled"),
    ],
    ids=str,
)
def test_an_option_can_be_set_and_unset_while_the_agent_runs(scout, on, off, reason):
    before = hooks_of(scout.agent)
    run("Job/mail.before")
    assert [] == scout.ignored  # processes the transaction, whose name is compared with the current options
    agent = scout_core.start(**on)
    during = hooks_of(scout.agent)
    run("Job/mail.during")
    assert [("Job/mail.during", reason)] == scout.ignored
    scout_core.start(**off)
    after = hooks_of(scout.agent)
    run("Job/mail.after")

    assert agent is scout.agent
    assert ((0, 0), True, (0, 0)) == (before, sum(during) > 0, after)
    assert ["Job/mail.before", "Job/mail.after"] == recorded(scout)


def test_paths_can_be_set_while_the_agent_runs(scout):
    scout_core.start(ignore=["/health"])
    with request("/health") as web:
        is_closed = web.is_closed

    assert (True, [("Controller/view", "by path")]) == (is_closed, scout.ignored)
