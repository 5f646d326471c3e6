"""A real browser: every console message, request to another host and dialog fails the test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from attrs import Factory, define
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, expect, sync_playwright

from scout_dashboard.collector import Collector

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip
DESKTOP = {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser per module: while it runs, this thread has an event loop that other tests must not see."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(QUIET))
        yield browser
        browser.close()


@define(slots=False)  # playwright sets attributes on it
class Window:
    """A browser window with a login to one collector, and a record of forbidden events."""

    page: Page
    url: str
    """The address of the pages."""
    problems: list[str] = Factory(list)
    excused: tuple[str, ...] = ()
    """Allowed console messages: a missing page is logged there too."""

    def open(self, path: str) -> Page:
        """Open a page and wait until its charts are drawn."""
        self.page.goto(self.url + path)
        self.settle()
        return self.page

    def settle(self) -> None:
        """Wait until each chart has a canvas."""
        expect(self.page.locator("[data-chart]:not(:has(canvas))")).to_have_count(0)

    def watch(self) -> None:
        """Record forbidden events from now on."""
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("dialog", self._asked)
        self.page.on("request", self._requested)
        self.page.on("popup", lambda popup: self.problems.append(f"window: {popup.url}"))
        self.page.on("download", lambda download: self.problems.append(f"download: {download.url}"))

    def assert_quiet(self) -> None:
        """Check that the page logged nothing, opened no dialog, and fetched nothing from elsewhere."""
        assert [] == self.problems

    def _on_console(self, message: ConsoleMessage) -> None:
        if not any(part in message.text for part in self.excused):
            self.problems.append(f"console {message.type}: {message.text}")

    def _asked(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _requested(self, request: Request) -> None:
        if not request.url.startswith(f"{self.url}/"):
            self.problems.append(f"request: {request.url}")


Opened = Callable[..., Window]


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Opened]:
    """Open windows with separate profiles, and check at the end that none had a forbidden event."""
    windows: list[Window] = []

    def open_window(collector: Collector, *, log_in: bool = True, by_ip: bool = False, **options: object) -> Window:
        windows.append(window_of(context_of(chromium, **options), collector, log_in=log_in, by_ip=by_ip))
        return windows[-1]

    yield open_window
    for window in windows:
        window.page.context.close()
        window.assert_quiet()


def context_of(browser: Browser, **options: object) -> BrowserContext:
    """Return a new profile without cookies in a time zone eight hours from UTC."""
    settings = {
        "viewport": DESKTOP,
        "timezone_id": "Asia/Singapore",
        "locale": "en-GB",
        "color_scheme": "light",
        **options,
    }
    return browser.new_context(**settings)  # type: ignore[arg-type]  # as the caller chose


def window_of(context: BrowserContext, collector: Collector, *, log_in: bool = True, by_ip: bool = False) -> Window:
    """Return a monitored window with this profile, at the name of the pages or at the path on the IP address."""
    addresses = collector.access.addresses
    window = Window(context.new_page(), addresses.by_ip if by_ip else addresses.by_name)
    window.watch()
    if log_in:
        links = collector.new_links()
        window.page.goto(links.by_ip if by_ip else links.by_name)
        window.page.click("#message button")
        window.page.wait_for_url(f"{window.url}/")
    return window
