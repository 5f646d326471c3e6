"""A report full of payloads in a real browser: none runs or becomes an element, and all are shown as text."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import hostile_shop
import known_shop
from payloads import PAYLOADS
from playwright.sync_api import Page, expect
from visitor import visitor_of

from scout_dashboard.collector import Collector

if TYPE_CHECKING:
    from browser import Opened

pytest_plugins = ("browser",)  # its fixtures; not imported here, as pytest must rewrite its asserts first

TRAPS = "window.hits = []; window.hit = window.alert = (which) => window.hits.push(String(which));"
FOREIGN = "img, iframe, object, embed, base, style, audio, video, form:not([method=dialog], [action='/logout']), meta[http-equiv], [onclick], [onerror], [onload]"


def assert_harmless(page: Page) -> None:
    """Check that no payload ran or became an element."""
    assert [] == page.evaluate("window.hits")
    assert 0 == page.locator(FOREIGN).count()
    assert page.locator("script").count() in (3, 4)


def test_no_payload_runs_anywhere(collector: Collector, opened: Opened) -> None:
    known_shop.send(collector, hostile_shop.report())
    window = opened(collector)
    window.page.add_init_script(TRAPS)
    lists = ["/", f"/?app={quote(hostile_shop.APP)}", "/endpoints", "/jobs", "/plugins", "/health"]
    endpoints = [
        f"/endpoint?name={quote(f'{kind}/{payload}')}" for kind in ("Controller", "Job") for payload in PAYLOADS[::8]
    ]

    for path in [*lists, *endpoints]:
        page = window.open(path)
        page.evaluate("document.querySelectorAll('details').forEach((details) => (details.open = true))")
        for chart in page.locator(".u-over").all():
            box = chart.bounding_box()
            assert box is not None
            page.mouse.move(box["x"] + box["width"] * 0.97, box["y"] + 20)
        assert_harmless(page)

    page = window.open(f"/trace/{hostile_shop.TRACE_ID}")
    page.evaluate("document.querySelectorAll('details').forEach((details) => (details.open = true))")
    shown = page.evaluate("document.body.textContent")
    assert_harmless(page)
    for payload in PAYLOADS:
        assert shown.count(payload) >= 6


def test_names_of_jobs_queues_and_outcomes_are_text(collector: Collector, opened: Opened) -> None:
    known_shop.send(collector, hostile_shop.report())
    window = opened(collector)
    window.page.add_init_script(TRAPS)
    page = window.open("/jobs")
    shown = page.evaluate("document.body.textContent")
    rows = page.locator("#list tbody tr").count()

    assert_harmless(page)
    for payload in PAYLOADS:
        assert shown.count(payload) >= 4, "its job, that job's queue twice, and the queue in the list of queues"
    page.fill("[data-filter]", PAYLOADS[3])
    assert 1 <= page.locator("#list tbody tr:visible").count() < rows

    page = window.open(f"/endpoint?name={quote(f'Job/{PAYLOADS[9]}')}")
    assert_harmless(page)
    assert (page.text_content("#queues") or "").count(PAYLOADS[9]) == 2, "the queue and the outcome"


def test_payloads_in_tooltips_and_refreshes_are_text(collector: Collector, opened: Opened) -> None:
    known_shop.send(collector, hostile_shop.report())
    window = opened(collector)
    window.page.add_init_script(TRAPS)
    page = window.open(f"/endpoint?name={quote(f'Controller/{PAYLOADS[9]}')}")
    times = visitor_of(collector).facts("/overview")
    at = next(n for n, value in enumerate(times["series"]["throughput"]) if value)
    box = page.locator("#chart-kinds .u-over").bounding_box()
    assert box is not None

    page.mouse.move(box["x"] + box["width"] * (at + 0.5) / len(times["series"]["time"]), box["y"] + 30)
    page.wait_for_selector("#chart-kinds .tip:visible")
    kinds = page.evaluate("JSON.parse(document.getElementById('series').textContent).kinds.map((kind) => kind.name)")
    tip = page.text_content("#chart-kinds .tip") or ""
    assert any("<" in kind for kind in kinds)
    assert all(kind in tip for kind in kinds)

    page.keyboard.press("l")
    with page.expect_response(lambda response: "/endpoint" in response.url):
        page.keyboard.press("l")
    expect(page.locator("[data-pulse]")).to_have_attribute("data-state", "live")
    assert_harmless(page)


def test_payloads_in_urls_do_not_run(collector: Collector, opened: Opened) -> None:
    window = opened(collector)
    window.excused = ("status of 400", "status of 404")
    window.page.add_init_script(TRAPS)

    for payload in PAYLOADS[:12]:
        text = quote(payload, safe="")
        times = f"/?from={text}&to={text}"
        for path in f"/?range={text}", f"/?app={text}", f"/endpoint?name={text}", f"/trace/x{text}x", times:
            window.open(path)
            assert_harmless(window.page)
