"""What is taken of a web request on the application's thread, and what is made of it on the agent's."""

from __future__ import annotations

import copy
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scout_core import WebRequest, transaction
from scout_core.config.config import read_config
from scout_core.sending.request_facts import RequestFacts

unhurried = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)  # the machine may be busy

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "/shop",
    "PATH_INFO": "/cart",
    "QUERY_STRING": "page=2&password=hunter2",
    "REMOTE_ADDR": "192.0.2.1",
    "wsgi.input": object(),
}
EMPTY = WebRequest("/", "", None, None, None, None)


def completed(request: WebRequest | None, started: float = 1_700_000_000.0, queued_at: object = None, **options):
    """Return a transaction with this request, completed as on the agent's thread."""
    made = transaction("Controller/shop.home")
    made.request, made.started, made.queued_at = request, started, queued_at
    RequestFacts(read_config(options, environment={}), pytest.fail).complete(made)
    return made


def test_a_wsgi_environ_gives_texts_only():
    environ = {**ENVIRON, "HTTP_X_FORWARDED_FOR": "198.51.100.7", "HTTP_CLIENT_IP": "198.51.100.8"}
    environ["HTTP_X_REQUEST_START"] = "t=1700000000"

    request = WebRequest.from_environ(environ)

    assert (
        "/shop/cart",
        "page=2&password=hunter2",
        "198.51.100.7",
        "198.51.100.8",
        "192.0.2.1",
        None,
        "t=1700000000",
    ) == tuple(request)


def test_an_empty_environ_gives_an_empty_request():
    assert ("", "", None, None, None, None, None) == tuple(WebRequest.from_environ({}))


@pytest.mark.parametrize(
    ("queue", "arrival", "expected"),
    [
        ("t=1699999999", "t=1699999998", 1.0),
        ("", "t=1699999998", 2.0),
        (None, "t=1699999998", 2.0),
        ("t=1699999999", None, 1.0),
        ("(null)", "t=1699999998", 2.0),
        ("t=", "1699999998000", 2.0),
        ("t=1700000009", "t=1699999998", 2.0),
        ("1", "t=1699999998", 2.0),
        ("t=1700000000", "t=1699999998", 0.0),
        ("-, t=1699999999, t=1699999997", "t=1699999990", 3.0),
        (None, None, None),
        ("", "", None),
        ("-", "soon", None),
    ],
)
def test_the_header_of_the_queue_counts_before_that_of_the_request_if_it_is_readable(queue, arrival, expected):
    environ = {"HTTP_X_QUEUE_START": queue, "HTTP_X_REQUEST_START": arrival}
    environ = {key: value for key, value in environ.items() if value is not None}

    assert expected == completed(WebRequest.from_environ(environ)).queue_time


def test_a_query_in_another_script_is_readable():
    """A server hands out the bytes of the query as if they were latin-1, when the client has not percent-encoded them."""
    environ = {"PATH_INFO": "/find", "QUERY_STRING": "q=caf\u00c3\u00a9&r=%C3%A9&token=\u00c3\u00a9"}

    assert "/find?q=caf%C3%A9&r=%C3%A9&token=[FILTERED]" == completed(WebRequest.from_environ(environ)).tags["path"]


def test_a_path_in_another_script_is_readable():
    """A server hands out the bytes of the path as if they were latin-1."""
    environ = {"SCRIPT_NAME": "/caf\u00c3\u00a9", "PATH_INFO": "/\u00e2\u0082\u00ac"}

    assert "/café/€" == WebRequest.from_environ(environ).path


@unhurried
@given(st.text(), st.text())
def test_no_path_is_unreadable(script, path):
    made = WebRequest.from_environ({"SCRIPT_NAME": script, "PATH_INFO": path}).path

    assert str is type(made)
    if (script + path).isascii():
        assert script + path == made


def test_its_path_is_that_of_the_transaction():
    made = transaction("Controller/shop.home")
    made.request = WebRequest.from_environ(ENVIRON)

    assert "/shop/cart" == made.path


def test_the_path_is_tagged_with_its_query_secrets_filtered():
    assert "/shop/cart?page=2&password=[FILTERED]" == completed(WebRequest.from_environ(ENVIRON)).tags["path"]


def test_the_path_is_tagged_alone_when_the_option_says_so():
    request = WebRequest.from_environ(ENVIRON)

    assert "/shop/cart" == completed(request, uri_reporting="path").tags["path"]


@pytest.mark.parametrize(
    ("forwarded", "client", "remote", "expected"),
    [
        ("198.51.100.7", "198.51.100.8", "192.0.2.1", "198.51.100.7"),
        (" 198.51.100.7 , 203.0.113.9", None, "192.0.2.1", "198.51.100.7"),
        (None, "198.51.100.8, 203.0.113.9", "192.0.2.1", "198.51.100.8"),
        ("", "", "192.0.2.1", "192.0.2.1"),
        (" , ", None, "192.0.2.1", "192.0.2.1"),
        (None, None, "::1", "::1"),
        # with ports, brackets and zones
        ("203.0.113.7:51234", None, "192.0.2.1", "203.0.113.7"),
        ("[2001:db8::1]:4711", None, "192.0.2.1", "2001:db8::1"),
        ("[2001:DB8:0::1]", None, "192.0.2.1", "2001:db8::1"),
        ('"[2001:db8::1]:4711", 203.0.113.9', None, "192.0.2.1", "2001:db8::1"),
        ("2001:db8::1", None, "192.0.2.1", "2001:db8::1"),
        ("fe80::1%eth0", None, "192.0.2.1", "fe80::1"),
        ("[fe80::1%25eth0]:80", None, "192.0.2.1", "fe80::1"),
        ("::ffff:203.0.113.7", None, "192.0.2.1", "203.0.113.7"),
        (None, None, "::ffff:192.0.2.1", "192.0.2.1"),
        (None, "203.0.113.7:80", "192.0.2.1", "203.0.113.7"),
        # what is not an address
        ("unknown, 203.0.113.7", None, "192.0.2.1", "203.0.113.7"),
        ("_hidden, 10.0.0.300, 203.0.113.7:1", None, "192.0.2.1", "203.0.113.7"),
        ("unknown", "198.51.100.8", "192.0.2.1", "198.51.100.8"),
        ("unknown", "-", "192.0.2.1", "192.0.2.1"),
        ("<script>", None, "192.0.2.1", "192.0.2.1"),
        ("203.0.113.7:port", None, "192.0.2.1", "192.0.2.1"),
        ("203.0.113.07", None, "192.0.2.1", "192.0.2.1"),
        ("٢٠٣.0.113.7", None, "192.0.2.1", "192.0.2.1"),
        ("1.2.3.4" * 5_000, None, "192.0.2.1", "192.0.2.1"),
        ("-," * 20 + "203.0.113.7", None, "192.0.2.1", "192.0.2.1"),
    ],
)
def test_the_address_is_the_first_that_is_known(forwarded, client, remote, expected):
    request = WebRequest("/", "", forwarded, client, remote, None)

    assert expected == completed(request).tags["user_ip"]


def test_no_address_is_tagged_where_none_is_known_or_none_is_wanted():
    assert {"path": "/"} == completed(EMPTY).tags
    assert {"path": "/"} == completed(EMPTY._replace(forwarded_for="unknown", remote_address="unix:")).tags
    assert {"path": "/"} == completed(EMPTY._replace(remote_address="192.0.2.1"), collect_remote_ip=False).tags


def test_the_time_in_the_queue_comes_from_the_header():
    assert 1.5 == completed(EMPTY._replace(queue_start="t=1699999998.5")).queue_time
    assert completed(EMPTY._replace(queue_start="yesterday")).queue_time is None
    assert completed(EMPTY).queue_time is None


@pytest.mark.parametrize(
    ("queued_at", "expected"),
    [
        (1_699_999_990.0, 10.0),
        (1_699_999_990, 10.0),
        (1_700_000_000.0, 0.0),
        (1_700_000_060.0, 0.0),
        (float("inf"), 0.0),
        (0.0, None),
        (-1e300, None),
        (float("-inf"), None),
        (float("nan"), None),
        (None, None),
    ],
)
def test_the_time_in_the_queue_of_a_job_is_never_negative_nor_decades(queued_at, expected):
    assert expected == completed(None, queued_at=queued_at).queue_time


def test_a_job_has_neither_path_nor_address():
    assert {} == completed(None).tags


def test_a_recorded_request_has_its_facts(scout):
    made = transaction("Controller/shop.home")
    made.request = WebRequest.from_environ(ENVIRON)
    with made:
        assert {} == made.tags  # nothing is worked out on the application's thread

    assert {"path": "/shop/cart?page=2&password=[FILTERED]", "user_ip": "192.0.2.1"} == scout.transaction.tags
    assert "hunter2" not in str(scout.traces())


def test_tags_are_worked_out_when_they_are_first_read_and_only_then(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "scout_core.sending.request_facts.filtered_path", lambda path, *rest, **options: calls.append(path) or path
    )
    made = completed(EMPTY)
    made_of_counting = [made.is_error, made.duration, made.own_tags]

    assert [False, 0.0, {}] == made_of_counting
    assert [] == calls
    assert ({"path": "/"}, {"path": "/"}) == (made.tags, made.tags)
    assert ["/"] == calls


@pytest.mark.parametrize(
    "read",
    [
        lambda made: made.tags["path"],
        lambda made: made.tags.get("path"),
        lambda made: "path" in made.tags and "/",
        lambda made: len(made.tags) == 2 and "/",
        lambda made: dict(made.tags)["path"],
        lambda made: {**made.tags}["path"],
        lambda made: made.tags == {"plan": "free", "path": "/"} and "/",
        lambda made: list(made.tags) == ["plan", "path"] and "/",
        lambda made: made.tags.copy().pop("path"),
        lambda made: copy.copy(made).tags["path"],
        lambda made: getattr(made, "tags").pop("path"),  # noqa: B009
    ],
)
def test_whoever_reads_tags_in_whatever_way_sees_all_of_them(read):
    made = completed(EMPTY)
    made.own_tags["plan"] = "free"

    assert "/" == read(made)


def test_a_tag_that_a_plugin_sets_afterwards_stays():
    made = completed(EMPTY)
    made.tag("path", "/elsewhere")

    assert {"path": "/elsewhere"} == made.tags


def test_what_the_application_called_path_is_replaced():
    made = completed(EMPTY)
    made.own_tags["path"] = "of the application"

    assert {"path": "/"} == made.tags


def test_tags_can_be_replaced_as_a_whole():
    made = transaction("Job/mail.send")
    made.tags = {"queue": "low"}

    assert {"queue": "low"} == made.tags == made.own_tags


def test_a_request_that_cannot_be_read_is_reported_and_leaves_the_tags_as_they_are():
    failures = []
    made = transaction("Controller/shop.home", plan="free")
    made.request = EMPTY._replace(path=None)
    RequestFacts(read_config(environment={}), lambda: failures.append(sys.exc_info()[0])).complete(made)

    assert ({"plan": "free"}, {"plan": "free"}) == (made.tags, made.tags)
    assert 1 == len(failures)


def test_what_cannot_be_worked_out_costs_only_itself(scout):
    made = transaction("Job/mail.send")
    made.request, made.queued_at = EMPTY, "yesterday"
    with made:
        pass

    assert {"path": "/"} == scout.transaction.tags
    assert scout.transaction.queue_time is None
