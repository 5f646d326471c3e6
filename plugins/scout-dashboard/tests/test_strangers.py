"""Complete requests without a valid secret, as fast as they are answered, leave most of the time to readers and agents."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Event, Thread
from urllib.parse import urlsplit

import pytest
from sample_reports import report
from separate import separate, served
from visitor import Clock, visitor_of
from wire_client import exchange, head

from scout_core.sending import wire
from scout_dashboard.access import Access, read_access
from scout_dashboard.access.sessions import COOKIE
from scout_dashboard.strangers import BURST, MOST_UNREAD, RATE, Strangers
from scout_dashboard.tally import Tally

CONNECTIONS = 40
PATIENCE = 60.0
WRONG = "w" * 43
KINDS = {
    "page": "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "page-by-name": "GET /health HTTP/1.1\r\nHost: {name}\r\nCookie: scout_session=" + WRONG + "\r\n\r\n",
    "unknown-host": "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "api": "GET /api/v1/overview HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer " + WRONG + "\r\n\r\n",
    "report": "POST /api/v1/reports HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer " + WRONG + "\r\nContent-Length: 2\r\n\r\n{{}}",
    "static": "GET /static/theme.js HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "login": "GET /login/" + "a" * 26 + " HTTP/1.1\r\nHost: {name}\r\n\r\n",
    "invalid": "GET / HTTP/1.1\r\n\r\n",
}  # fmt: skip


@contextmanager
def asking(port: int, request: bytes) -> Iterator[list[bytes]]:
    """Send a request on many connections, again whenever it is answered; yield the beginnings of the answers."""
    answers: list[bytes] = []
    is_over = Event()

    def ask() -> None:
        while not is_over.is_set():
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
                try:
                    while not is_over.is_set():
                        connection.sendall(request)
                        if not (received := connection.recv(65_536)):
                            break
                        answers.extend([b"HTTP/1.1 "] * received.count(b"HTTP/1.1 "))
                except OSError:
                    continue

    threads = [Thread(target=ask, daemon=True) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        is_over.set()
        for thread in threads:
            thread.join(PATIENCE)


@pytest.mark.parametrize("kind", KINDS)
def test_strangers_get_a_limited_number_of_answers_a_second_while_readers_and_agents_are_served(tmp_path, kind):
    with separate(tmp_path) as collector:
        visitor = collector.new_visitor()
        name = urlsplit(collector.access.addresses.by_name).netloc
        request = KINDS[kind].format(host=f"127.0.0.1:{collector.port}", name=name).encode()
        began = time.monotonic()
        with asking(collector.port, request) as answers:
            while len(answers) < BURST:
                assert time.monotonic() - began < PATIENCE
                time.sleep(0.01)
            assert (8, 8) == served(collector, visitor, 8)
            number, elapsed = len(answers), time.monotonic() - began
        delayed, text = visitor.facts("/health")["collector"]["delayed_requests"], visitor.page("/health").text

    assert number <= BURST + 1 + RATE * elapsed
    assert delayed > 0
    assert "without a token, too many a second" in text
    assert "" == collector.errors.read_text()


def test_a_request_with_a_secret_does_not_wait_behind_those_of_strangers(collector):
    """All answers to strangers of the burst are used up, and each of many connections has many requests."""
    request = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{collector.port}\r\n\r\n".encode()
    visitor = visitor_of(collector)
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(socket.create_connection(("127.0.0.1", collector.port))).sendall(request * 25)
        while not collector.queries.health()["collector"]["delayed_requests"]:
            time.sleep(0.001)
        for path in ("/health", "/static/theme.js", "/"):
            assert 200 == visitor.ask(path)[0]
        other = visitor_of(collector)  # by a login link
        assert 200 == other.ask("/health")[0]
        body = wire.encode(report(end=time.time()))
        assert 202 == exchange(collector, head(collector, f"Content-Length: {len(body)}"), body).status
        still_waiting = collector.queries.health()["collector"]["delayed_requests"]

    assert still_waiting < CONNECTIONS * 25 - BURST, "strangers were answered first"


# turns


def test_turns_are_taken_at_once_up_to_the_burst_and_then_in_order():
    tally, taken = Tally(), []

    async def take() -> None:
        strangers, is_over = Strangers(tally, rate=1_000, burst=3), asyncio.Event()
        for number in range(6):
            strangers.take_turn(lambda number=number: taken.append(number))
        assert [0, 1, 2] == taken
        strangers.take_turn(is_over.set)
        await is_over.wait()

    asyncio.run(take())

    assert [0, 1, 2, 3, 4, 5] == taken
    assert 4 == tally.facts()["delayed_requests"]


def test_a_turn_that_fails_does_not_stop_the_others():
    taken, problems = [], []

    async def take() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context["exception"]))
        strangers, is_over = Strangers(Tally(), rate=1_000, burst=1), asyncio.Event()
        strangers.take_turn(lambda: taken.append("first"))
        strangers.take_turn(lambda: 1 / 0)
        strangers.take_turn(is_over.set)
        await asyncio.wait_for(is_over.wait(), PATIENCE)

    asyncio.run(take())

    assert ["first"] == taken
    assert ["ZeroDivisionError"] == [type(problem).__name__ for problem in problems]


def test_a_connection_that_ends_while_it_waits_costs_nothing(collector):
    request = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{collector.port}\r\n\r\n".encode()
    for _ in range(BURST + 30):
        with socket.create_connection(("127.0.0.1", collector.port)) as connection:
            connection.sendall(request)

    assert 200 == visitor_of(collector).ask("/health")[0]


# what shows a secret


@pytest.fixture
def access(tmp_path) -> Access:
    return read_access(tmp_path, port=7600, clock=Clock())


def first_line(path: str = "/") -> str:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.mark.parametrize("scheme", ["Authorization: Bearer ", "authorization:bearer ", "AUTHORIZATION: \tBEARER  "])
def test_both_tokens_show_a_secret(access, scheme):
    for token in access.login_token, access.ingest_token:
        assert access.shows_secret(f"{first_line()}{scheme}{token}\r\n".encode())
        assert not access.shows_secret(f"{first_line()}{scheme}{token[:-1]}\r\n".encode())


def test_a_session_shows_a_secret_until_it_ends_also_among_cookies_of_other_ports(access):
    secret = access.sessions.begin("Firefox")
    cookies = f"{first_line()}Cookie: a=b; {COOKIE}={WRONG}; {COOKIE}={secret}; c=d\r\n".encode()
    before = access.sessions.current()

    assert access.shows_secret(cookies)
    assert before == access.sessions.current(), "it is not used by that"
    access.sessions.end_all()
    assert not access.shows_secret(cookies)


def test_a_login_link_shows_a_secret_until_it_is_used(access):
    link = urlsplit(access.new_links().by_ip).path
    received = first_line(link).encode()

    assert access.shows_secret(received)
    access.tickets.redeem(link.rpartition("/")[2])
    assert not access.shows_secret(received)


@pytest.mark.parametrize(
    "received",
    [b"", b"GET", b"\xff" * 100, b"Authorization: Bearer ", b"scout_session=", b"/login/", b"scout_session=\xff;"],
)
def test_anything_else_shows_none(access, received):
    assert not access.shows_secret(received)


# bodies


@pytest.mark.parametrize("path", ["/api/v1/reports", "/api/v1/links", "/", "/nothing"])
def test_the_body_of_a_refused_request_is_answered_before_it_ends_and_not_read_in_whole(collector, path):
    with socket.create_connection(("127.0.0.1", collector.port), timeout=PATIENCE) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        connection.sendall(head(collector, "Content-Length: 1000000000", path=path, token=WRONG))
        answer = connection.recv(65_536)
        sent = 0
        with pytest.raises(OSError, match="reset|Broken pipe"):
            while sent < 1_000_000_000:
                sent += connection.send(b"x" * 65_536)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert sent < MAX_READ


MAX_READ = MOST_UNREAD + 16_000_000
"""With the buffers of the kernel."""


def test_a_client_that_sends_no_more_of_a_refused_body_is_closed(collector):
    answer = exchange(collector, head(collector, "Content-Length: 1000", token=WRONG), b"x")

    assert 401 == answer.status
