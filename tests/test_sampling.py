"""Recording a share of all transactions."""

from __future__ import annotations

import random

import pytest

from scout_core import span, transaction
from scout_core.builtin import sampling
from scout_core.builtin.sampling import rate_of
from scout_core.config.config import read_config
from scout_core.testing import recording

OPTIONS = {
    "sample_rate": 0.5,
    "endpoint_sample_rate": 0.25,
    "job_sample_rate": 0,
    "sample_endpoints": {"shop.": 0.75, "shop.cart": 1, "admin/": 0},
    "sample_jobs": "mail.:0.125",
}


@pytest.mark.parametrize(
    ("operation", "left_out", "expected"),
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
def test_the_rate_of_a_name(operation, left_out, expected):
    options = {key: value for key, value in OPTIONS.items() if key not in left_out}

    assert expected == rate_of(transaction(operation), read_config(options, environment={}))


def count(scout, number):
    for _ in range(number):
        with transaction("Controller/home"), span("SQL/Query"):
            pass
    return len(scout.transactions)


@pytest.mark.scout(sample_rate=0)
def test_a_rate_of_nothing_records_nothing(scout):
    assert 0 == count(scout, 100)
    assert {"sampled": 100} == scout.agent.counters().dropped
    assert {("Controller/home", "sampled")} == set(scout.ignored)


@pytest.mark.scout(sample_rate=1, endpoint_sample_rate=100, sample_endpoints="home:1")
def test_a_rate_of_one_records_all(scout):
    assert 100 == count(scout, 100)


@pytest.mark.scout(sample_rate=25)
def test_a_rate_between_records_about_so_many(scout):
    random.seed(4)
    recorded = count(scout, 2000)

    assert 430 < recorded < 570
    assert {"sampled": 2000 - recorded} == scout.agent.counters().dropped


@pytest.mark.parametrize(("chance", "is_recorded"), [(0.0, True), (0.2499, True), (0.25, False), (0.9999, False)])
@pytest.mark.scout(sample_rate=0.25)
def test_the_border(scout, monkeypatch, chance, is_recorded):
    monkeypatch.setattr(sampling, "random", lambda: chance)

    assert is_recorded == count(scout, 1)


@pytest.mark.scout(sample_rate=0)
def test_of_one_that_is_left_out_no_span_is_recorded(scout):
    with transaction("Controller/home"), span("SQL/Query") as query, transaction("Job/inline") as inner:
        pass

    assert (0.0, 0.0, 0) == (query.duration, inner.duration, scout.agent.counters().late_spans)


@pytest.mark.scout(job_sample_rate=0)
def test_one_inside_another_is_recorded_with_it(scout):
    with transaction("Controller/home"), transaction("Job/inline"):
        pass

    assert ["Job/inline", "Controller/home"] == scout.operations


def test_without_options_nothing_is_asked(scout):
    assert () == scout.agent.tracer.on_request_start


def test_it_can_be_switched_off():
    with recording(sample_rate=0, plugins_disable="sampling,collector") as scout:
        assert 10 == count(scout, 10)


def test_settings_that_come_after_the_start_count():
    with recording() as scout:
        assert 1 == count(scout, 1)
        scout.agent.add_settings({"sample_rate": 0})
        assert 1 == count(scout, 5)
