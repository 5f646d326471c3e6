"""Defects of scout_apm 3.5 that do not exist here, as far as no other test shows it; see ``scout_promises.toml``."""

from __future__ import annotations

import pytest

from scout_core import current_transaction, span, transaction
from scout_core.config.config import read_config
from scout_core.instruments.wsgi import UNNAMED, WsgiMiddleware
from scout_core.testing import recording

ALL = {"ignore": ["/health"], "ignore_endpoints": ["admin"], "sample_rate": 1, "sample_endpoints": {"shop": 1}}


def answer(environ, start_response):
    start_response("404 Not Found", [])
    return [b"unknown"]


@pytest.mark.scout(**ALL)
def test_a_request_that_nothing_names_passes_with_sampling_and_ignoring(scout):
    # Scout: AttributeError from finish(), which the client gets as a 500.
    statuses = []
    body = WsgiMiddleware(answer)(
        {"REQUEST_METHOD": "GET", "PATH_INFO": "/unknown"}, lambda status, headers, *_: statuses.append(status)
    )
    content = b"".join(body)

    assert (["404 Not Found"], b"unknown") == (statuses, content)
    assert [UNNAMED] == [it.operation for it in scout.transactions]


@pytest.mark.parametrize(
    "rates", [{}, {"sample_endpoints": {"shop": 1}}, {"endpoint_sample_rate": 1, "sample_rate": 1}]
)
def test_an_ignored_transaction_is_not_sent_whatever_the_rates_are(rates):
    # Scout: sent without a list of ignored names, and sent where a specific rate is set.
    with recording(**rates) as scout:
        with transaction("Controller/shop.health"):
            current_transaction().ignore("health check")
        with transaction("Controller/shop.home"):
            pass

    assert ["Controller/shop.home"] == [it.operation for it in scout.transactions]


def test_a_tag_outside_a_transaction_is_not_on_the_next_transaction(scout):
    # Scout: Context.add creates a request, whose tags the next transaction of the thread has.
    assert current_transaction() is None
    with span("Custom/outside") as outside:
        outside.tag("customer", 7)
    with transaction("Controller/shop.home", page=1):
        pass

    assert [{"page": 1}] == [it.tags for it in scout.transactions]


def test_the_block_of_a_transaction_gives_the_transaction_and_notices_its_exception(scout):
    # Scout: the block gives None, and the exception is not an error.
    with pytest.raises(KeyError), transaction("Job/mail.send") as job:
        job.tag("plan", "free")
        raise KeyError("plan")

    (recorded,) = scout.transactions
    assert ({"plan": "free"}, True) == (recorded.tags, recorded.is_error)


def test_a_rate_of_none_is_harmless_and_monitor_may_be_a_number():
    # Scout: None raises TypeError in the request, and monitor=1 is false.
    with (
        recording(sample_rate=None, endpoint_sample_rate=None, monitor=1) as scout,
        transaction("Controller/shop.home"),
    ):
        pass

    assert ["Controller/shop.home"] == [it.operation for it in scout.transactions]
    assert read_config({"monitor": 1}, environment={}).get("monitor") is True
