"""Recording a share of all transactions: accepted rates, and transactions that are not recorded."""

from __future__ import annotations

import math

import pytest

from scout_core import span, transaction
from scout_core.builtin import sampling
from scout_core.builtin.sampling import rate_of
from scout_core.config.config import read_config
from scout_core.recording import transaction as transactions
from scout_core.recording.transaction import _ids as ids
from scout_core.recording.transaction import reseed
from scout_core.testing import recording

ONLY_THIS = {"plugins_autoload": False, "plugins_enable": ["sampling"]}
pytestmark = pytest.mark.scout(**ONLY_THIS)


OPTIONS = {
    "sample_rate": 0.5,
    "endpoint_sample_rate": 0.25,
    "job_sample_rate": 0,
    "sample_endpoints": {"shop.": 0.75, "shop.cart": 1, "admin/": 0},
    "sample_jobs": "mail.:0.125",
}


@pytest.mark.parametrize(
    ("operation", "unset", "expected"),
    [
        ("Controller/shop.home", (), 0.75),
        ("Controller/shop.cart.add", (), 1.0),
        ("Controller/admin/users", (), 0.0),
        ("Controller/blog", (), 0.25),
        ("Controller/blog", ("endpoint_sample_rate",), 0.5),
        ("Controller/blog", ("endpoint_sample_rate", "sample_rate"), 1.0),
        ("Controller/shop.home", ("sample_endpoints",), 0.25),
        ("Controller/mail.send", (), 0.25),
        ("Job/mail.send", (), 0.125),
        ("Job/other", (), 0.0),
        ("Job/other", ("job_sample_rate",), 0.5),
        ("Job/shop.home", ("job_sample_rate",), 0.5),
        ("Custom/mail.send", (), 0.125),
        ("Controller", (), 0.0),
    ],
)
def test_a_transaction_has_the_rate_of_its_name_or_kind(operation, unset, expected):
    options = {key: value for key, value in OPTIONS.items() if key not in unset}

    assert expected == rate_of(transaction(operation), read_config(options, environment={}))


def draw(monkeypatch, chance):
    """Have every transaction get an id that stands for this number."""
    monkeypatch.setattr(transactions, "_getrandbits", lambda bits: min(int(chance * 2**64), 2**64 - 1))


def count(scout, number):
    for _ in range(number):
        with transaction("Controller/home"), span("SQL/Query"):
            pass
    return len(scout.transactions)


@pytest.mark.scout(sample_rate=0)
def test_a_rate_of_zero_records_nothing(scout):
    assert 0 == count(scout, 100)
    assert {"sampled": 100} == scout.agent.counters().dropped
    assert {("Controller/home", "sampled")} == set(scout.ignored)


@pytest.mark.scout(sample_rate=1, endpoint_sample_rate=100, sample_endpoints="home:1")
def test_a_rate_of_one_records_everything(scout):
    assert 100 == count(scout, 100)


@pytest.mark.scout(sample_rate=25)
def test_a_rate_of_a_quarter_records_about_a_quarter(scout):
    ids.seed(4)
    recorded = count(scout, 2000)

    assert 430 < recorded < 570
    assert {"sampled": 2000 - recorded} == scout.agent.counters().dropped


@pytest.mark.parametrize(("chance", "is_recorded"), [(0.0, True), (0.2499, True), (0.25, False), (0.9999, False)])
@pytest.mark.scout(sample_rate=0.25)
def test_a_draw_below_the_rate_is_recorded(scout, monkeypatch, chance, is_recorded):
    draw(monkeypatch, chance)

    assert is_recorded == count(scout, 1)


@pytest.mark.scout(sample_rate=0)
def test_no_span_of_an_unsampled_transaction_is_recorded(scout):
    with transaction("Controller/home"), span("SQL/Query") as query, transaction("Job/inline") as inner:
        pass

    assert (0.0, 0.0, 0) == (query.duration, inner.duration, scout.agent.counters().late_spans)


@pytest.mark.scout(job_sample_rate=0)
def test_a_nested_transaction_is_recorded_with_the_outer_transaction(scout):
    with transaction("Controller/home"), transaction("Job/inline"):
        pass

    assert ["Job/inline", "Controller/home"] == scout.operations


def test_the_plugin_has_no_active_hook_without_options(scout):
    assert () == scout.agent.tracer.on_request_start


def test_the_plugin_can_be_disabled():
    with recording(sample_rate=0, plugins_disable="sampling,collector") as scout:
        assert 10 == count(scout, 10)


def test_settings_added_after_the_start_take_effect():
    with recording() as scout:
        assert 1 == count(scout, 1)
        scout.agent.add_settings({"sample_rate": 0})
        assert 1 == count(scout, 5)


@pytest.mark.parametrize(
    "settings, operation, rate",
    [
        ({"sample_rate": 0.1, "endpoint_sample_rate": 0}, "Controller/home", 0.0),
        ({"sample_rate": 0.1, "endpoint_sample_rate": 1}, "Controller/home", 1.0),
        ({"sample_rate": 0.1, "job_sample_rate": ""}, "Job/mail", 0.1),
        ({"endpoint_sample_rate": 1, "sample_endpoints": "home:0"}, "Controller/home", 0.0),
        ({"endpoint_sample_rate": 0, "sample_endpoints": "home:1"}, "Controller/home", 1.0),
        ({"sample_endpoints": "users:0, users.admin:1"}, "Controller/users.admin", 1.0),
        ({"sample_endpoints": "users.admin:1, users:0"}, "Controller/users.admin", 1.0),
        ({"sample_endpoints": {"/slash": 0}}, "Controller/slash", 0.0),
        ({"sample_endpoints": "users:0"}, "Controller/all.users", 1.0),
    ],
)
def test_the_first_rate_that_is_set_applies_even_when_it_is_zero(settings, operation, rate):
    config = read_config(settings, environment={})

    assert ([], rate) == (config.problems, sampling.rate_of(transaction(operation), config))


@pytest.mark.parametrize(
    "written, rate",
    [
        ("0", 0.0), ("0.25", 0.25), ("1", 1.0), ("1.0", 1.0), ("2", 0.02), ("50", 0.5), ("12.5", 0.125), ("100", 1.0),
        ("50%", 0.5), ("0.5 %", 0.005), (0, 0.0), (1, 1.0), (25, 0.25), (0.001, 0.001),
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["sample_rate", "endpoint_sample_rate", "job_sample_rate", "sample_jobs"])
def test_a_rate_above_one_is_a_percentage(key, written, rate):
    by_name = key == "sample_jobs"
    config = read_config({key: f"a:b:{written}" if by_name else written}, environment={})

    assert ({"a:b": rate} if by_name else rate, []) == (config.get(key), config.problems)


@pytest.mark.parametrize("written", ["101", "-1", "half", "nan", "50%%"])
@pytest.mark.parametrize("key", ["sample_rate", "job_sample_rate", "sample_jobs"])
def test_an_invalid_rate_is_reported_and_everything_is_recorded(key, written):
    written = f"mail:{written}" if key == "sample_jobs" else written
    config = read_config({key: written}, environment={})

    assert (1.0, 1) == (sampling.rate_of(transaction("Job/mail"), config), len(config.problems))
    assert str(config.problems[0]).startswith(f"invalid value {written!r} for {key} (code); expected ")


@pytest.mark.parametrize("share, drawn, is_recorded", [(0, 0.0, False), (1, 1.0, True), (1e-9, 0.0, True)])
def test_rates_of_zero_and_one_are_exact(monkeypatch, share, drawn, is_recorded):
    """The number that is drawn is at least 0, and below 1 even if all bits of the id are set."""
    draw(monkeypatch, drawn)
    with recording(**ONLY_THIS, job_sample_rate=share) as scout:
        with transaction("Job/mail"):
            pass

        assert is_recorded == bool(scout.transactions)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9])
def test_the_recorded_share_is_close_to_the_rate(share):
    """Within four standard deviations; the generator is seeded, so that every run is the same."""
    count = 4_000
    ids.seed(20)
    with recording(**ONLY_THIS, sample_rate=share) as scout:
        for _ in range(count):
            with transaction("Controller/home"):
                pass
        found = len(scout.transactions)
        counters = scout.agent.counters()

    assert abs(found - share * count) < 4 * math.sqrt(count * share * (1 - share))
    assert count == found + counters.dropped["sampled"]


@pytest.mark.scout(sample_rate=0, sample_endpoints="users:1", job_sample_rate=1, sample_jobs="noise:0")
def test_rates_of_names_and_kinds_apply_together(scout):
    for name in ("Controller/home", "Controller/users.list", "Job/mail", "Job/noise"):
        with transaction(name):
            pass

    assert ["Controller/users.list", "Job/mail"] == [recorded.operation for recorded in scout.transactions]
    assert [("Controller/home", "sampled"), ("Job/noise", "sampled")] == scout.ignored


def name_late(first, final, number):
    """Record transactions that get their name after they began, as where a framework routes late."""
    for _ in range(number):
        with transaction(first) as web, span("SQL/Query"):
            web.rename(final)


@pytest.mark.parametrize(
    ("options", "first", "final", "is_recorded"),
    [
        ({"sample_endpoints": "admin:0"}, "Controller/routing", "Controller/admin.users", False),
        ({"sample_rate": 0, "sample_endpoints": "admin:1"}, "Controller/routing", "Controller/admin.users", True),
        ({"sample_endpoints": "admin:0"}, "Controller/admin.users", "Controller/home", True),
        ({"sample_rate": 0, "sample_endpoints": "admin:1"}, "Controller/admin.users", "Controller/home", False),
        ({"sample_jobs": "mail:0"}, "Job/task", "Job/mail.send", False),
        ({"job_sample_rate": 0, "sample_jobs": "mail:1"}, "Job/task", "Job/mail.send", True),
        ({"endpoint_sample_rate": 0}, "Job/task", "Controller/home", False),
    ],
)
def test_the_final_name_decides(options, first, final, is_recorded):
    with recording(**ONLY_THIS, **options) as scout:
        name_late(first, final, 20)
        recorded = scout.transactions
        counters = scout.agent.counters()

    assert (20 if is_recorded else 0) == len(recorded)
    assert [(final, "sampled")] * (0 if is_recorded else 20) == scout.ignored, "each is announced once"
    assert {transaction.operation for transaction in recorded} <= {final}
    assert all(("SQL/Query",) == tuple(span.operation for span in transaction.spans) for transaction in recorded)
    assert ({} if is_recorded else {"sampled": 20}, 20) == (counters.dropped, counters.finished)


RATES = {"sample_rate": 0.25, "sample_endpoints": {"half": 0.5, "tenth": 0.1, "most": 0.9}}


@pytest.mark.parametrize(("final", "share"), [("half", 0.5), ("tenth", 0.1), ("most", 0.9), ("home", 0.25)])
@pytest.mark.parametrize("first", ["half", "tenth", "most", "home"])
@pytest.mark.parametrize("is_announced", [True, False])
def test_the_recorded_share_is_the_rate_of_the_final_name_whatever_the_name_was_before(
    first, final, share, is_announced
):
    """Within four standard deviations, also where the agent's thread never gets those that were not recorded."""
    count = 2_000
    ids.seed(f"{first} {final}")
    with recording(**ONLY_THIS, **RATES) as scout:
        scout.agent.tracer.wants_ignored = is_announced
        name_late(f"Controller/{first}", f"Controller/{final}", count)
        found = len(scout.transactions)
        counters = scout.agent.counters()

    assert abs(found - share * count) < 4 * math.sqrt(count * share * (1 - share))
    assert ({"sampled": count - found}, count) == (counters.dropped, counters.finished)


def test_the_rate_of_the_final_name_holds_where_the_inbox_has_no_room():
    ids.seed(7)
    with recording(**ONLY_THIS, max_queue=10, sample_rate=0, sample_endpoints="admin:50") as scout:
        name_late("Controller/routing", "Controller/admin", 400)
        name_late("Controller/admin", "Controller/home", 400)
        report = scout.report()
        counters = scout.agent.counters()

    (admin,) = report.transactions
    assert ("Controller/admin", True) == (admin.name, 160 < admin.count < 240)
    assert (800, {"sampled": 800 - admin.count}) == (counters.finished, dropped_of(counters))
    assert counters.figures_only > 0


def dropped_of(counters):
    return {reason: count for reason, count in counters.dropped.items() if reason != "no exporter"}


def test_new_ids_after_a_fork_leave_the_decision():
    with recording(**ONLY_THIS):
        with transaction("Controller/home") as web:
            pass
    before, chance = web.id, sampling.chance_of(web)
    reseed([web])

    assert (True, chance) == (before != web.id, pytest.approx(sampling.chance_of(web), abs=1e-9))
