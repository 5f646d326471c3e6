"""Leaving out by path and by name, what becomes of transactions that are left out, and options that come and go."""

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


def asked(path):
    return WebRequest(path, "", None, None, None, None)


def visit(operation, path=None, *, late=False):
    made = transaction(operation)
    if path is not None and not late:
        made.request = asked(path)
    with made, span("SQL/Query") as query:
        if late:
            made.request = asked(path)
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


LEFT_OUT = pytest.mark.parametrize(
    "settings, counted_as, reason",
    [
        ({"ignore_jobs": "noise"}, "ignored", "by plugin ignoring"),
        ({"sample_jobs": "noise:0"}, "sampled", "sampled"),
    ],
    ids=["ignored", "sampled"],
)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """``scout_core.start`` reads it."""
    for variable in [variable for variable in os.environ if variable.startswith("SCOUT_")]:
        monkeypatch.delenv(variable)


def request(path: str, **environ: str) -> transaction:
    """A web request whose framework tells its path before it begins."""
    web = transaction("Controller/view")
    as_bytes = path.encode().decode("latin-1")  # PEP 3333
    web.request = WebRequest.from_environ({"PATH_INFO": as_bytes, **environ})
    return web


def ran(*operations: str) -> None:
    for operation in operations:
        with transaction(operation), span("SQL/Query"):
            pass


def recorded(scout) -> list[str]:
    return [one.operation for one in scout.transactions]


# what becomes of them


@LEFT_OUT
def test_they_are_counted_as_dropped_and_are_in_no_figure(settings, counted_as, reason):
    with recording(**ONLY_THESE, **settings) as scout:
        with pytest.raises(ZeroDivisionError), transaction("Job/noise"):
            _ = 1 / 0
        ran("Job/noise", "Job/mail")
        report = scout.report()
        counters = scout.agent.counters()

        assert ["Job/mail"] == [metrics.name for metrics in report.transactions]
        assert ["Job/mail"] == [trace.name for trace in report.traces]
        assert [("Job/noise", reason)] * 2 == scout.ignored
        assert (3, {counted_as: 2, "no exporter": 1}, 1) == (counters.finished, counters.dropped, counters.spans)


@LEFT_OUT
def test_no_hook_but_on_ignore_hears_of_them(settings, counted_as, reason):
    heard = []

    def note(hook):
        return lambda transaction: heard.append((hook, transaction.operation))

    names = ("on_error", "on_request_end", "score_transaction", "on_keep", "on_ignore")
    noting = plugin("noting", **{name: note(name) for name in names})
    with recording(**ONLY_THESE, plugins=[noting], **settings) as scout:
        with pytest.raises(ZeroDivisionError), transaction("Job/noise"):
            _ = 1 / 0
        scout.report()

    assert [("on_ignore", "Job/noise")] == heard


@pytest.mark.scout(ignore=["/health"])
def test_a_transaction_inside_one_that_is_ignored_goes_with_it(scout):
    with request("/health"), transaction("Job/inner"), span("SQL/Query"):
        inside = current_transaction()
    ran("Job/after")

    assert None is inside
    assert ["SQL/Query", "Job/after"] == scout.operations
    assert [("Controller/view", "by path")] == scout.ignored
    assert 1 == scout.agent.counters().dropped["ignored"]


@pytest.mark.scout(ignore=["/health"], ignore_jobs=["noise"])
def test_one_that_is_part_of_another_transaction_is_not_asked_about(scout):
    """It is a span of that one, which has a path and a name of its own."""
    with transaction("Job/mail"):
        with request("/health"):
            pass
        with transaction("Job/noise"):
            pass

    assert (["Controller/view", "Job/noise", "Job/mail"], []) == (scout.operations, scout.ignored)


@pytest.mark.scout(ignore=["/health"])
def test_the_applications_exception_passes(scout):
    with pytest.raises(KeyError, match="^'own'$"), request("/health"):
        raise KeyError("own")

    assert [("Controller/view", "by path")] == scout.ignored


# paths


@pytest.mark.scout(ignore=["/shop/health", "/é"])
def test_the_prefix_that_an_application_is_mounted_at_is_part_of_the_path(scout):
    for web in (request("/health", SCRIPT_NAME="/shop"), request("/health"), request("/é/x")):
        with web:
            pass

    assert ([("Controller/view", "by path")] * 2, ["Controller/view"]) == (scout.ignored, recorded(scout))


@pytest.mark.scout(ignore=["/search?q"])
def test_the_query_is_no_part_of_the_path(scout):
    with request("/search", QUERY_STRING="q=1"):
        pass

    assert ["Controller/view"] == recorded(scout)


@pytest.mark.parametrize("key", ["ignore", "ignore_endpoints", "ignore_jobs"])
def test_each_option_can_be_written_in_the_environment(key):
    config = read_config(environment={f"SCOUT_{key.upper()}": " /a, b,,/c/ "})

    assert (("a", "b", "c/"), []) == (config.get(key), config.problems)


# at rest


def hooks_of(agent) -> tuple[int, int]:
    return len(agent.tracer.on_request_start), len(agent.recorder.hooks.ignore_transaction)


@pytest.mark.parametrize(
    "settings, called",
    [
        ({}, (0, 0)),
        ({"ignore": [], "ignore_jobs": ""}, (0, 0)),
        ({"ignore": ["/a"]}, (1, 1)),
        ({"ignore_endpoints": "a"}, (0, 1)),
        ({"ignore_jobs": "a"}, (0, 1)),
        ({"sample_rate": 1}, (0, 0)),
        ({"sample_rate": 100, "sample_jobs": ""}, (0, 0)),
        ({"sample_rate": 0.5}, (1, 0)),
        ({"endpoint_sample_rate": 1}, (1, 0)),
        ({"job_sample_rate": 0}, (1, 0)),
        ({"sample_endpoints": "home:1"}, (1, 0)),
        ({"sample_jobs": {"mail": 0}}, (1, 0)),
        ({"sample_rate": 0.5, "ignore": "/a"}, (2, 1)),
    ],
)
def test_what_is_not_asked_for_is_not_called(settings, called):
    with recording(**ONLY_THESE, **settings) as scout:
        assert called == hooks_of(scout.agent)


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
def test_an_option_comes_alive_and_rests_again_while_the_agent_runs(scout, on, off, reason):
    before = hooks_of(scout.agent)
    ran("Job/mail.before")
    assert [] == scout.ignored  # decided now: by name it is decided with the options of that moment
    agent = scout_core.start(**on)
    amid = hooks_of(scout.agent)
    ran("Job/mail.amid")
    assert [("Job/mail.amid", reason)] == scout.ignored
    scout_core.start(**off)
    after = hooks_of(scout.agent)
    ran("Job/mail.after")

    assert agent is scout.agent
    assert ((0, 0), 1, (0, 0)) == (before, sum(amid), after)
    assert ["Job/mail.before", "Job/mail.after"] == recorded(scout)


def test_paths_come_alive_while_the_agent_runs(scout):
    scout_core.start(ignore=["/health"])
    with request("/health") as web:
        is_closed = web.is_closed

    assert (True, [("Controller/view", "by path")]) == (is_closed, scout.ignored)
