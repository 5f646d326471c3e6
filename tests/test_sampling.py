"""Recording a share of all transactions: accepted rates, and transactions that are not recorded."""

from __future__ import annotations

import math
import random

import pytest

from scout_core import span, transaction
from scout_core.builtin import sampling
from scout_core.builtin.sampling import rate_of
from scout_core.config.config import read_config
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
    random.seed(4)
    recorded = count(scout, 2000)

    assert 430 < recorded < 570
    assert {"sampled": 2000 - recorded} == scout.agent.counters().dropped


@pytest.mark.parametrize(("chance", "is_recorded"), [(0.0, True), (0.2499, True), (0.25, False), (0.9999, False)])
@pytest.mark.scout(sample_rate=0.25)
def test_a_draw_below_the_rate_is_recorded(scout, monkeypatch, chance, is_recorded):
    monkeypatch.setattr(sampling, "random", lambda: chance)

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


@pytest.mark.parametrize("share, drawn, is_recorded", [(0, 0.0, False), (1, 1 - 2**-53, True), (1e-9, 0.0, True)])
def test_rates_of_zero_and_one_are_exact(monkeypatch, share, drawn, is_recorded):
    """``random()`` returns values from 0 to just below 1."""
    monkeypatch.setattr(sampling, "random", lambda: drawn)
    with recording(**ONLY_THIS, job_sample_rate=share) as scout:
        with transaction("Job/mail"):
            pass

        assert is_recorded == bool(scout.transactions)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9])
def test_the_recorded_share_is_close_to_the_rate(share):
    """Within four standard deviations; the generator is seeded, so that every run is the same."""
    count = 4_000
    random.seed(20)
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
