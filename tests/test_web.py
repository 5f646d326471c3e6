"""Facts of a web request: copied on the application's thread, worked out as tags on the agent's thread."""

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
EMPTY = WebRequest("/", "")


def completed(request: WebRequest | None, started: float = 1_700_000_000.0, queued_at: object = None, **options):
    """Return a transaction with this request, completed as on the agent's thread."""
    ended = transaction("Controller/shop.home")
    ended.request, ended.started, ended.queued_at = request, started, queued_at
    is_refused = RequestFacts(read_config(options, environment={}), pytest.fail).complete(ended)
    assert is_refused == (queued_at is not None and ended.queue_time is None)
    return ended


def test_a_request_copies_only_texts_from_a_wsgi_environ():
    environ = {**ENVIRON, "HTTP_X_FORWARDED_FOR": "198.51.100.7", "HTTP_CLIENT_IP": "198.51.100.8"}
    environ["HTTP_X_REQUEST_START"] = "t=1700000000"

    request = WebRequest.of(environ)

    assert (
        "/shop/cart",
        "page=2&password=hunter2",
        "198.51.100.7",
        "198.51.100.8",
        "192.0.2.1",
        "",
        "t=1700000000",
        "",
        "",
    ) == tuple(request)


def test_the_state_of_a_trace_is_only_copied_beside_its_id():
    state = {"HTTP_TRACESTATE": "congo=1"}

    assert ("", "") == WebRequest.of(state)[-2:]
    assert ("00-1", "congo=1") == WebRequest.of({**state, "HTTP_TRACEPARENT": "00-1"})[-2:]


def test_an_empty_environ_gives_an_empty_request():
    assert ("", "", "", "", "", "", "", "", "") == tuple(WebRequest.of({}))


@pytest.mark.parametrize("query", [b"page=2&name=caf\xc3\xa9", "page=2&name=caf\xc3\xa9"], ids=["bytes", "text"])
def test_the_query_of_a_scope_may_be_a_text(query):
    read = WebRequest.from_scope({"path": "/shop", "query_string": query})

    assert ("/shop", "page=2&name=caf\xc3\xa9") == (read.path, read.query)


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
def test_the_queue_start_header_takes_precedence_over_the_request_start_header_if_it_is_readable(
    queue, arrival, expected
):
    environ = {"HTTP_X_QUEUE_START": queue, "HTTP_X_REQUEST_START": arrival}
    environ = {key: value for key, value in environ.items() if value is not None}

    assert expected == completed(WebRequest.of(environ)).queue_time


def test_a_query_in_another_script_is_readable():
    """A server hands out the bytes of the query as if they were latin-1, when the client has not percent-encoded them."""
    environ = {"PATH_INFO": "/find", "QUERY_STRING": "q=caf\u00c3\u00a9&r=%C3%A9&token=\u00c3\u00a9"}

    assert "/find?q=caf%C3%A9&r=%C3%A9&token=[FILTERED]" == completed(WebRequest.of(environ)).tags["path"]


def test_a_path_with_other_letters_is_decoded():
    """WSGI servers pass the bytes of the path decoded as latin-1."""
    environ = {"SCRIPT_NAME": "/caf\u00c3\u00a9", "PATH_INFO": "/\u00e2\u0082\u00ac"}

    assert "/café/€" == WebRequest.of(environ).path


@unhurried
@given(st.text(), st.text())
def test_every_path_can_be_read(script, path):
    recorded = WebRequest.of({"SCRIPT_NAME": script, "PATH_INFO": path}).path

    assert str is type(recorded)
    if (script + path).isascii():
        assert script + path == recorded


def test_a_transaction_has_the_path_of_its_request():
    recorded = transaction("Controller/shop.home")
    recorded.request = WebRequest.of(ENVIRON)

    assert "/shop/cart" == recorded.path


def test_the_path_is_tagged_with_its_query_secrets_filtered():
    assert "/shop/cart?page=2&password=[FILTERED]" == completed(WebRequest.of(ENVIRON)).tags["path"]


def test_the_path_is_tagged_without_its_query_when_the_option_is_path():
    request = WebRequest.of(ENVIRON)

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
def test_the_first_known_address_is_tagged(forwarded, client, remote, expected):
    request = WebRequest("/", "", forwarded, client, remote, None)

    assert expected == completed(request).tags["user_ip"]


def test_no_address_is_tagged_when_it_is_unknown_or_disabled():
    assert {"path": "/"} == completed(EMPTY).tags
    assert {"path": "/"} == completed(EMPTY._replace(forwarded_for="unknown", remote_address="unix:")).tags
    assert {"path": "/"} == completed(EMPTY._replace(remote_address="192.0.2.1"), collect_remote_ip=False).tags


def test_the_queue_time_of_a_request_comes_from_its_header():
    assert 1.5 == completed(EMPTY._replace(queue_start="t=1699999998.5")).queue_time
    assert completed(EMPTY._replace(queue_start="yesterday")).queue_time is None
    assert completed(EMPTY).queue_time is None


@pytest.mark.parametrize(
    ("queued_at", "expected"),
    [
        (1_699_999_990.0, 10.0),
        (1_699_999_990, 10.0),
        (1_700_000_000.0, 0.0),
        (1_700_000_060.0, None),
        (float("inf"), None),
        (0.0, None),
        (-1e300, None),
        (float("-inf"), None),
        (float("nan"), None),
        (None, None),
    ],
)
def test_the_queue_time_of_a_job_is_never_negative_and_never_decades(queued_at, expected):
    assert expected == completed(None, queued_at=queued_at).queue_time


def test_a_job_has_neither_path_nor_address():
    assert {} == completed(None).tags


def test_a_recorded_request_has_its_facts(scout):
    recorded = transaction("Controller/shop.home")
    recorded.request = WebRequest.of(ENVIRON)
    with recorded:
        assert {} == recorded.tags  # the tags are not worked out on the application's thread

    assert {"path": "/shop/cart?page=2&password=[FILTERED]", "user_ip": "192.0.2.1"} == scout.transaction.tags
    assert "hunter2" not in str(scout.traces())


def test_tags_are_worked_out_once_when_they_are_first_read(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "scout_core.sending.request_facts.filtered_path", lambda path, *rest, **options: calls.append(path) or path
    )
    recorded = completed(EMPTY)
    used_for_metrics = [recorded.is_error, recorded.duration, recorded.own_tags]

    assert [False, 0.0, {}] == used_for_metrics
    assert [] == calls
    assert ({"path": "/"}, {"path": "/"}) == (recorded.tags, recorded.tags)
    assert ["/"] == calls


@pytest.mark.parametrize(
    "read",
    [
        lambda recorded: recorded.tags["path"],
        lambda recorded: recorded.tags.get("path"),
        lambda recorded: "path" in recorded.tags and "/",
        lambda recorded: len(recorded.tags) == 2 and "/",
        lambda recorded: dict(recorded.tags)["path"],
        lambda recorded: {**recorded.tags}["path"],
        lambda recorded: recorded.tags == {"plan": "free", "path": "/"} and "/",
        lambda recorded: list(recorded.tags) == ["plan", "path"] and "/",
        lambda recorded: recorded.tags.copy().pop("path"),
        lambda recorded: copy.copy(recorded).tags["path"],
        lambda recorded: getattr(recorded, "tags").pop("path"),  # noqa: B009
    ],
)
def test_every_way_of_reading_tags_gives_all_of_them(read):
    recorded = completed(EMPTY)
    recorded.own_tags["plan"] = "free"

    assert "/" == read(recorded)


def test_a_tag_set_later_by_a_plugin_replaces_the_tag_of_the_request():
    recorded = completed(EMPTY)
    recorded.tag("path", "/elsewhere")

    assert {"path": "/elsewhere"} == recorded.tags


def test_a_tag_path_of_the_application_is_replaced():
    recorded = completed(EMPTY)
    recorded.own_tags["path"] = "set by the application"

    assert {"path": "/"} == recorded.tags


def test_tags_can_be_replaced_as_a_whole():
    recorded = transaction("Job/mail.send")
    recorded.tags = {"queue": "low"}

    assert {"queue": "low"} == recorded.tags == recorded.own_tags


def test_an_unreadable_request_is_reported_and_adds_no_tags():
    failures = []
    recorded = transaction("Controller/shop.home", plan="free")
    recorded.request = EMPTY._replace(path=None)
    RequestFacts(read_config(environment={}), lambda: failures.append(sys.exc_info()[0])).complete(recorded)

    assert ({"plan": "free"}, {"plan": "free"}) == (recorded.tags, recorded.tags)
    assert 1 == len(failures)


def test_an_invalid_queue_time_does_not_affect_the_tags(scout):
    recorded = transaction("Job/mail.send")
    recorded.request, recorded.queued_at = EMPTY, "yesterday"
    with recorded:
        pass

    assert {"path": "/"} == scout.transaction.tags
    assert scout.transaction.queue_time is None
