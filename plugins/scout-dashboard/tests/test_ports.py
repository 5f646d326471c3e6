"""Programs on other ports of this machine, with real Chromium: they can neither read a session, nor use it, nor end it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import known_shop
import pytest
from playwright.sync_api import Page, expect
from visitor import Clock, Visitor

from scout_dashboard.access.sessions import COOKIE
from scout_dashboard.collector import Collector

if TYPE_CHECKING:
    from browser import Opened, Window

pytest_plugins = ("browser",)  # its fixtures; not imported here, as pytest must rewrite its asserts first

REFUSED = ("status of 401", "status of 403", "status of 410")
HOSTS = ("127.0.0.1", "localhost", "app.localhost")


class Neighbour(ThreadingHTTPServer):
    """Another program: it records the cookies that it gets, and answers with those and the page that a test chose."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.received: list[str] = []
        self.cookies: list[str] = []
        self.page = "another program"

    def url(self, host: str, path: str = "/") -> str:
        """Return its address as a host that leads to this machine."""
        return f"http://{host}:{self.server_port}{path}"


class Answering(BaseHTTPRequestHandler):
    server: Neighbour

    def do_GET(self) -> None:
        self.server.received.append(self.headers.get("Cookie", ""))
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        for cookie in self.server.cookies:
            self.send_header("Set-Cookie", cookie)
        self.end_headers()
        self.wfile.write(self.server.page.encode())

    def log_message(self, *values: object) -> None:
        """Print nothing."""


@contextmanager
def running_neighbour() -> Iterator[Neighbour]:
    with Neighbour() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def neighbour() -> Iterator[Neighbour]:
    with running_neighbour() as running:
        yield running


@pytest.fixture(params=[False, True], ids=["by name", "by ip"])
def window(request: pytest.FixtureRequest, collector: Collector, opened: Opened) -> Window:
    """A window that is logged in, at either address."""
    window = opened(collector, by_ip=request.param)
    window.excused = (*REFUSED, "favicon")
    return window


def visit(window: Window, *addresses: str) -> None:
    """Open other programs in the same browser."""
    page = window.page.context.new_page()
    for address in addresses:
        page.goto(address)
    page.close()


def is_logged_in(window: Window) -> bool:
    window.page.goto(f"{window.url}/sessions")
    return window.page.locator("#logout").count() == 1


def test_no_other_port_receives_the_cookie(window: Window, neighbour: Neighbour) -> None:
    (cookie,) = window.page.context.cookies()
    assert (COOKIE, True, "Strict", False) == (cookie["name"], cookie["httpOnly"], cookie["sameSite"], cookie["secure"])

    visit(
        window,
        *(
            neighbour.url(host, path)
            for host in HOSTS
            for path in ("/", "/login", "/static/style.css", f"/{'a' * 26}/")
        ),
    )

    assert {""} == set(neighbour.received)
    assert is_logged_in(window)


def test_another_port_cannot_overwrite_the_session(window: Window, neighbour: Neighbour) -> None:
    neighbour.cookies = [
        f"{COOKIE}=theirs; Path=/",
        f"{COOKIE}=; Path=/; Max-Age=0",
        f"{COOKIE}=theirs; Path=/; Domain=localhost",
    ]
    visit(window, *map(neighbour.url, HOSTS))
    neighbour.cookies = [f"{COOKIE}=theirs; Path=/; HttpOnly; Max-Age=1000"]
    visit(window, *map(neighbour.url, HOSTS))

    assert "theirs" in {cookie["value"] for cookie in window.page.context.cookies()}
    assert is_logged_in(window)


def test_many_large_cookies_of_another_port_do_not_log_out(
    collector: Collector, opened: Opened, neighbour: Neighbour
) -> None:
    """At the name of the pages only: on the IP address, browsers send them along, and the request is too large."""
    window = opened(collector)
    large = [f"c{number}={'x' * 3_000}; Path=/; Max-Age=1000" for number in range(60)]
    for neighbour.cookies in (large, [f"{cookie}; Domain=localhost" for cookie in large]):
        visit(window, *map(neighbour.url, HOSTS))
    stored = window.page.context.cookies(neighbour.url("127.0.0.1"))

    assert 60 * 3_000 <= sum(len(cookie["value"]) for cookie in stored)
    assert is_logged_in(window)
    assert [COOKIE] == [cookie["name"] for cookie in window.page.context.cookies(window.url)]


FORMS = """<form method="post" action="{url}{path}"><button>go</button></form>"""


@pytest.mark.parametrize("path", ["/logout", "/sessions/end"])
def test_a_form_on_another_port_cannot_log_out(window: Window, neighbour: Neighbour, path: str) -> None:
    neighbour.page = FORMS.format(url=window.url, path=path)
    for host in HOSTS:
        page = window.page.context.new_page()
        page.goto(neighbour.url(host))
        page.click("button")
        expect(page.locator("h1")).to_have_text("Refused")
        page.close()

    assert is_logged_in(window)


def test_a_page_on_another_port_can_neither_read_nor_frame_a_page(window: Window, neighbour: Neighbour) -> None:
    page = window.page.context.new_page()
    page.goto(neighbour.url("127.0.0.1"))
    for address in (f"{window.url}/", f"{window.url}/json/overview", f"{window.url}/static/main.js"):
        read = page.evaluate(
            "(address) => fetch(address, { credentials: 'include' }).then((answer) => answer.text(), () => 'refused')",
            address,
        )
        assert "refused" == read
    framed = page.evaluate(
        """(address) => new Promise((done) => {
          const frame = document.createElement('iframe');
          frame.onload = () => { try { done(frame.contentDocument ? 'readable' : 'other origin'); } catch { done('other origin'); } };
          frame.src = address; document.body.append(frame); })""",
        f"{window.url}/",
    )
    page.close()

    assert "other origin" == framed


def log_in_by_hand(page: Page, link: str) -> None:
    page.goto(link)
    page.click("#message button")


def test_a_link_works_once_and_then_names_the_command(collector: Collector, opened: Opened) -> None:
    link = collector.new_links().by_name
    window, other = opened(collector, log_in=False), opened(collector, log_in=False)
    window.excused = other.excused = REFUSED
    other.page.goto(link)  # a preview: the link is not used yet
    log_in_by_hand(window.page, link)
    expect(window.page.locator("#logout")).to_have_count(1)

    other.page.click("#message button")
    for page in (window.page, other.page):
        page.goto(link)
        expect(page.locator("h1")).to_have_text("This link was already used")
        expect(page.locator("#message code")).to_have_text("scout-core open")
    assert is_logged_in(window)
    assert not is_logged_in(other)
    expect(other.page.locator("h1")).to_have_text("Please log in")
    expect(other.page.locator("#message code")).to_have_text("scout-core open")


def test_a_link_in_a_page_of_another_port_logs_in(collector: Collector, opened: Opened, neighbour: Neighbour) -> None:
    """Such as a terminal in the browser: the first request of ours has no cookies then."""
    window = opened(collector, log_in=False)
    window.excused = ("favicon",)
    neighbour.page = f'<a href="{collector.new_links().by_name}">open</a>'
    page = window.page.context.new_page()
    page.goto(neighbour.url("localhost"))
    page.click("a")
    page.click("#message button")

    expect(page.locator("#logout")).to_have_count(1)
    page.close()


def test_logging_out_here_and_elsewhere(window: Window, collector: Collector, opened: Opened) -> None:
    other = opened(collector)
    other.excused = REFUSED
    window.page.goto(f"{window.url}/sessions")
    expect(window.page.locator("#sessions tbody tr")).to_have_count(2)
    window.page.locator("#sessions tbody tr", has_not_text="this browser").locator("button").click()
    expect(window.page.locator("#sessions tbody tr")).to_have_count(1)
    assert not is_logged_in(other)

    log_in_by_hand(other.page, collector.new_links().by_name)
    expect(other.page.locator("#logout")).to_have_count(1)
    window.page.click("#logout")
    expect(window.page.locator("h1")).to_have_text("Logged out")
    assert not is_logged_in(window)
    assert is_logged_in(other)

    other.page.click("#all button")
    expect(other.page.locator("h1")).to_have_text("Logged out")
    assert not is_logged_in(other)


def test_an_open_page_shows_no_data_any_longer_when_its_browser_is_logged_out(
    collector: Collector, opened: Opened
) -> None:
    known_shop.fill(collector)
    window = opened(collector)
    window.excused = REFUSED
    page = window.open("/")
    collector.access.sessions.end_all()

    expect(page.locator("h1")).to_have_text("Please log in", timeout=20_000)
    assert "checkout" not in page.content()


def test_a_restart_keeps_the_session_until_it_has_expired(opened: Opened, tmp_path: Path) -> None:
    clock = Clock()
    with Collector.running(state_dir=tmp_path, clock=clock) as collector:
        window, port = opened(collector), collector.port
        window.excused = REFUSED
        assert is_logged_in(window)
    clock.now += 11 * 3_600
    with Collector.running(state_dir=tmp_path, port=port, clock=clock):
        assert is_logged_in(window)
    clock.now += 12 * 3_600
    with Collector.running(state_dir=tmp_path, port=port, clock=clock):
        assert not is_logged_in(window)


def test_every_page_works_at_the_ip_address(collector: Collector, opened: Opened) -> None:
    known_shop.fill(collector)
    window = opened(collector, by_ip=True)
    window.excused = REFUSED  # the browser looks for an icon of the JSON at /favicon.ico
    page = window.open("/")
    page.click(".tabs a:has-text('Endpoints')")
    window.settle()
    page.click("#list tbody a")
    page.wait_for_url(f"{window.url}/endpoint?*")
    window.settle()
    page.click("#traces tbody a")
    page.wait_for_url(f"{window.url}/trace/*")
    page.go_back()
    window.settle()
    page.click("#json")
    page.wait_for_url(f"{window.url}/json/endpoint?*")
    assert '"traces"' in page.content()
    assert {f"/{collector.access.addresses.secret}/"} == {cookie["path"] for cookie in page.context.cookies()}


def test_a_session_is_for_both_addresses_but_its_cookie_is_not(collector: Collector, opened: Opened) -> None:
    window = opened(collector, by_ip=True)
    window.excused = REFUSED
    for address in (collector.url, collector.access.addresses.by_name):
        window.page.goto(f"{address}/")
        expect(window.page.locator("h1")).to_have_text("Please log in")
    window.problems.clear()  # requests to the other addresses
    (cookie,) = window.page.context.cookies()

    assert 200 == Visitor(collector, f"{cookie['name']}={cookie['value']}").ask("/")[0]
