"""The dashboard of a real collector in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

import known_shop
import pytest
from attrs import evolve
from known_shop import CHECKOUT, TRACE_ID
from playwright.sync_api import Page, expect
from visitor import visitor_of

from scout_dashboard.collector import Collector
from scout_dashboard.formatting import count, duration, percent, rate
from scout_dashboard.ranges import NAMED

if TYPE_CHECKING:
    from browser import Opened

    from scout_core.measuring.report import Report

pytest_plugins = ("browser",)  # its fixtures; not imported here, as pytest must rewrite its asserts first

PAGES = (
    "/", "/endpoints", "/jobs", "/errors", f"/error?group={known_shop.FAILED}", f"/endpoint?name={quote(CHECKOUT)}", f"/trace/{TRACE_ID}", "/plugins", "/health", "/sessions",
)  # fmt: skip


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """Known values; no test changes them."""
    with Collector.running(state_dir=tmp_path_factory.mktemp("shop")) as collector:
        known_shop.fill(collector)
        yield collector


def text_of(page: Page, selector: str) -> str:
    return " ".join((page.text_content(selector) or "").split())


def ink(page: Page, selector: str) -> int:
    """Return the number of pixels of a chart that are not background, including its axes."""
    count: int = page.evaluate(
        """(selector) => {
          const canvas = document.querySelector(`${selector} canvas`);
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          let inked = 0;
          for (let at = 3; at < data.length; at += 4) inked += data[at] > 0;
          return inked;
        }""",
        selector,
    )
    return count


def drag(page: Page, selector: str, start: float, end: float) -> None:
    """Drag across a chart, from one fraction of its width to another."""
    box = page.locator(f"{selector} .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + start * box["width"], box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], box["y"] + 50, steps=4)
    page.mouse.up()


def test_overview_shows_and_draws_the_known_values(shop: Collector, opened: Opened) -> None:
    page = opened(shop).open("/")
    totals = visitor_of(shop).facts("/overview")["totals"]

    assert ["100 ms", "1.0 %", "900 requests"] == [
        text_of(page, "#mean"), text_of(page, "#error-rate"), text_of(page, "#throughput + .note"),
    ]  # fmt: skip
    assert [str(duration(totals["p95_ms"])), str(rate(totals["throughput_per_minute"]))] == [
        text_of(page, "#p95"),
        text_of(page, "#throughput"),
    ]
    assert "Shop" == text_of(page, "h1")
    assert min(ink(page, chart) for chart in ("#chart-kinds", "#chart-throughput", "#chart-percentiles")) > 500


def test_an_error_leads_from_the_list_to_its_chart_example_and_trace(shop: Collector, opened: Opened) -> None:
    window = opened(shop)
    page = window.open("/errors")
    assert 2 == page.locator("#list tbody tr").count()
    page.fill("[data-filter]", "stock")
    assert "1 of 2" == text_of(page, "#shown")
    page.fill("[data-filter]", "")

    page.click("text=shop.PaymentFailed")
    page.wait_for_selector("#example")
    window.settle()

    assert ["9", "0"] == [text_of(page, "#count"), text_of(page, "#handled")]
    assert ink(page, "#chart-errors") > 500
    assert ["path", "plan"] == page.locator("#facts dt").all_inner_texts()
    assert ["shop.checkout 8", "mail.send 1"] == [
        " ".join(row.split()) for row in page.locator("#endpoints tbody tr").all_inner_texts()
    ]

    page.click("#example header a")
    page.wait_for_selector("#timeline")
    page.click("#error header a")
    page.wait_for_selector("#example")
    assert "shop.PaymentFailed from OSError" in text_of(page, "h1")


def test_a_drag_zooms_the_page_and_can_be_shared_and_reset(shop: Collector, opened: Opened) -> None:
    window = opened(shop)
    page = window.open("/?range=1h")
    times = visitor_of(shop).facts("/overview")["range"]
    slow = known_shop.minutes()[10]  # a lower bound if a minute has ended since then: the later half is slow
    whole = times["to"] - times["from"]

    drag(page, "#chart-kinds", (slow - times["from"] + 90) / whole, 1.0)
    page.wait_for_selector("#unzoom")

    query = {key: int(values[0]) for key, values in parse_qs(urlsplit(page.url).query).items() if key != "range"}
    assert {"from", "to"} == set(query)
    assert query["from"] % 60 == query["to"] % 60 == 0
    assert slow <= query["from"] < query["to"] <= times["to"] + 60
    zoomed = visitor_of(shop).facts(f"/overview?from={query['from']}&to={query['to']}")["totals"]
    assert 0 < zoomed["count"] < 900
    assert "200 ms" == text_of(page, "#mean")
    assert f"{count(zoomed['count'])} requests" == text_of(page, "#throughput + .note")
    assert page.locator("[data-pulse]").count() == 0

    shared = opened(shop).page
    shared.goto(page.url)
    assert "200 ms" == text_of(shared, "#mean")

    page.go_back()
    page.wait_for_selector("#unzoom", state="detached")
    assert "100 ms" == text_of(page, "#mean")
    page.go_forward()
    page.wait_for_selector("#unzoom")
    page.click("#unzoom")
    page.wait_for_selector("#unzoom", state="detached")
    assert page.url.endswith("/?range=1h")


def test_from_an_endpoint_to_a_trace_to_why_it_was_kept(shop: Collector, opened: Opened) -> None:
    window = opened(shop)
    page = window.open("/endpoints")

    page.click(
        "#list tbody tr:has-text('shop.checkout')", position={"x": 500, "y": 12}
    )  # the whole row is a link, not only its name
    page.wait_for_url("**/endpoint?*")
    window.settle()
    assert "shop.checkout" == text_of(page, "h1")
    assert "SQL 50.0 % 50 ms 3.00" in " ".join(page.inner_text("#kinds").split())

    page.click("#traces tbody a")
    page.wait_for_url(f"**/trace/{TRACE_ID}*")
    why = " ".join(page.inner_text("#why").split())
    assert "score 6.65" in why
    assert why.index("checkout_first") < why.index("percentile") < why.index("age")
    assert "5.00" in why

    page.click("#span-8 summary")
    assert page.get_by_text("urllib3.exceptions.MaxRetryError").is_visible()
    assert "SELECT id, price FROM product WHERE id = ?" in page.inner_text("#summary")


def test_times_are_in_the_readers_time_zone(shop: Collector, opened: Opened) -> None:
    page = opened(shop).open(f"/trace/{TRACE_ID}")
    shown, utc = page.eval_on_selector("#titles time", "(time) => [time.textContent, time.title]")

    hours = (int(shown[7:9]) - int(utc[11:13])) % 24
    assert 8 == hours
    assert shown[9:] == utc[13:19]


def test_an_invalid_link_does_not_log_in(shop: Collector, opened: Opened) -> None:
    window = opened(shop, log_in=False)
    window.excused = ("status of 401", "status of 404")
    page = window.page

    page.goto(f"{window.url}/login/wrong")
    assert "This link is not valid" in page.inner_text("main")
    for path in PAGES:
        page.goto(window.url + path)
        assert "Please log in" == text_of(page, "h1")
        assert "shop.checkout" not in page.content()
    status, keys = page.evaluate(
        "async () => { const answer = await fetch('/api/v1/overview'); return [answer.status, Object.keys(await answer.json())]; }"
    )
    assert (401, ["error"]) == (status, keys)


def test_dark_and_light_differ_and_the_selection_is_stored(shop: Collector, opened: Opened) -> None:
    colours = "() => [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector('.panel')).backgroundColor]"
    light = opened(shop, color_scheme="light").open("/")
    dark = opened(shop, color_scheme="dark").open("/")
    assert not set(light.evaluate(colours)) & set(dark.evaluate(colours))
    picture = light.locator("#chart-kinds canvas").screenshot()

    light.click("[data-theme-button]")
    assert dark.evaluate(colours) == light.evaluate(colours)
    assert picture != light.locator("#chart-kinds canvas").screenshot()
    light.reload()
    assert dark.evaluate(colours) == light.evaluate(colours)
    light.click("[data-theme-button]")
    assert light.evaluate("localStorage.getItem('scout-theme')") is None


def focused(page: Page) -> str:
    text: str = page.evaluate("document.activeElement.textContent.trim().replace(/\\s+/g, ' ')")
    return text


def test_the_tab_key_reaches_every_control(shop: Collector, opened: Opened) -> None:
    page = opened(shop).open("/")
    reached = []
    page.keyboard.press("Tab")
    while not page.evaluate("document.activeElement === document.body"):
        reached.append(focused(page))
        outline = page.evaluate(
            """() => { const at = document.activeElement;
              return [getComputedStyle(at), getComputedStyle(at, "::after")].some((style) => style.outlineStyle === "solid"); }"""
        )
        assert outline, f"no focus ring on {reached[-1]!r}"
        page.keyboard.press("Tab")

    wanted = [
        "Skip to content",
        "Scout",
        "Overview",
        "Endpoints",
        "Jobs",
        "Plugins",
        "Health",
        "15m",
        "7d",
        "All endpoints",
        "shop.checkout",
    ]
    assert wanted == [name for name in reached if name in wanted][: len(wanted)]
    assert ["This page as JSON", "Sessions", "Keyboard shortcuts ?"] == reached[-3:]


def test_keyboard_shortcuts_filter_and_navigate(shop: Collector, opened: Opened) -> None:
    window = opened(shop)
    page = window.open("/")

    page.keyboard.press("g")
    page.keyboard.press("e")
    page.wait_for_url("**/endpoints*")
    page.keyboard.press("/")
    page.keyboard.type("nothing like it")
    assert page.get_by_text("No endpoint matches the filter.").is_visible()
    assert "0 of 1" == text_of(page, "#shown")
    page.fill("[data-filter]", "CHECK")
    assert page.locator("#list tbody tr:visible").count() == 1
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    assert "shop.checkout" == focused(page)
    page.keyboard.press("Enter")
    page.wait_for_url("**/endpoint?*")
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#keys").is_visible()


@pytest.mark.parametrize("width", [1440, 1000, 400])
def test_every_page_fits_and_logs_nothing(shop: Collector, opened: Opened, width: int) -> None:
    window = opened(shop, viewport={"width": width, "height": 800})
    for path in PAGES:
        page = window.open(path)

        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("width", [1440, 1000, 400])
def test_the_cost_of_a_plugin_opens_by_key_and_fits(shop: Collector, opened: Opened, width: int) -> None:
    page = opened(shop, viewport={"width": width, "height": 800}).open("/plugins")
    details = page.locator('[data-id="of-team-policy"]')
    assert not details.locator("table").is_visible()

    details.locator("summary").focus()
    page.keyboard.press("Enter")

    expect(details.locator("tbody tr")).to_have_count(2)
    assert "score_transaction off: 10 errors in a row" in " ".join(details.inner_text().split())
    place, panel = details.locator("tbody tr").last.bounding_box(), page.locator(".process").bounding_box()
    assert place is not None
    assert panel is not None
    assert panel["x"] <= place["x"]
    assert place["x"] + place["width"] <= panel["x"] + panel["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_layout_does_not_shift_while_a_page_loads(shop: Collector, opened: Opened) -> None:
    window = opened(shop)
    window.page.add_init_script(
        """window.shifts = 0;
        new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.shifts += entry.value; })
          .observe({ type: "layout-shift", buffered: true });"""
    )
    for path in PAGES:
        page = window.open(path)
        page.wait_for_load_state("networkidle")

        # A text that counts seconds may become wider by a digit; a panel or a chart that moves makes a thousand times as much.
        assert page.evaluate("window.shifts") < 0.001, path


def test_empty_pages_show_the_next_step_and_update(collector: Collector, opened: Opened) -> None:
    window = opened(collector)
    for path in "/endpoints", "/jobs", "/plugins", "/health", "/":
        page = window.open(path)
        assert "scout-core" in page.inner_text("#empty")

    known_shop.fill(collector)
    page.wait_for_selector("#chart-kinds canvas", timeout=20_000)
    assert "Shop" == text_of(page, "h1")


def test_a_live_page_updates_in_place_until_it_is_paused(collector: Collector, opened: Opened) -> None:
    starts = known_shop.fill(collector)
    window = opened(collector, viewport={"width": 1440, "height": 500})
    page = window.open("/")
    page.focus("#slowest tbody a")
    page.evaluate("window.mine = document.querySelector('#slowest tbody a'); window.scrollTo(0, 300)")
    known_shop.send(collector, more(starts, number=101))

    expect(page.locator("#throughput + .note")).to_have_text("930 requests", timeout=20_000)
    assert page.evaluate("document.activeElement === window.mine && window.mine.isConnected")
    assert 300 == page.evaluate("window.scrollY")

    page.keyboard.press("l")
    assert "Paused" == text_of(page, "[data-pulse]")
    known_shop.send(collector, more(starts, number=102))
    with page.expect_response(lambda response: response.request.resource_type == "fetch", timeout=20_000) as resumed:
        page.keyboard.press("l")
    assert resumed.value.ok
    expect(page.locator("#throughput + .note")).to_have_text("960 requests")
    assert "Live" == text_of(page, "[data-pulse]")


def more(starts: list[int], *, number: int) -> Report:
    """Return a report of thirty more slow transactions in the last minute."""
    (plain,) = list(known_shop.reports(starts))[-1:]
    return evolve(plain, id=f"more-{number}", transactions=(known_shop.metrics(CHECKOUT, *known_shop.SLOW),), traces=())


def test_a_stopped_collector_is_shown_as_offline_until_it_is_back(
    opened: Opened, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state = tmp_path_factory.mktemp("gone")
    with Collector.running(state_dir=state) as collector:
        known_shop.fill(collector)
        window = opened(collector)
        window.excused = ("ERR_CONNECTION_REFUSED",)
        page = window.open("/")
        port = collector.port
    expect(page.locator("[data-pulse]")).to_have_attribute("data-state", "offline", timeout=20_000)
    assert "100 ms" == text_of(page, "#mean")

    with Collector.running(state_dir=state, port=port):
        expect(page.locator("[data-pulse]")).to_have_attribute("data-state", "live", timeout=20_000)


def test_axes_and_tooltips_format_numbers_like_the_pages(shop: Collector, opened: Opened) -> None:
    values = [
        None,
        0,
        0.000_4,
        0.003_7,
        0.06,
        0.42,
        9.94,
        9.96,
        86.4,
        999.4,
        999.6,
        1_240,
        9_996,
        99_960,
        599_600,
        7.2e6,
        8.64e8,
    ]
    fractions = [None, 0, 0.000_1, 0.021, 0.9994, 0.9996, 1]
    page = opened(shop).open("/")
    shown = page.evaluate(
        """async ([values, fractions]) => { const twin = await import("/static/format.js");
          return [values.map(twin.duration), values.map(twin.rate), fractions.map(twin.percent)]; }""",
        [values, fractions],
    )

    assert [
        [str(form(value)) for value in all] for form, all in ((duration, values), (rate, values), (percent, fractions))
    ] == shown


SPAN = "(number) => { const { min, max } = uPlot.sync('page').plots[number].scales.x; return [min, max]; }"


@pytest.mark.parametrize("key", NAMED)
def test_charts_show_the_whole_selected_range(shop: Collector, opened: Opened, key: str) -> None:
    """Includes the time before the first report: a chart of an hour always shows an hour."""
    page = opened(shop).open(f"/?range={key}")
    when = json.loads(page.text_content("#series") or "")["range"]

    assert NAMED[key][0] == when["to"] - when["from"]
    for number in range(3):
        assert [when["from"], when["to"]] == page.evaluate(SPAN, number)


@pytest.mark.parametrize("minutes", [1, 3, 5])
@pytest.mark.parametrize("width", [1280, 400])
def test_no_label_of_an_axis_is_cut(shop: Collector, opened: Opened, width: int, minutes: int) -> None:
    start = known_shop.minutes()[5]
    page = opened(shop, viewport={"width": width, "height": 800}).open(f"/?from={start}&to={start + minutes * 60}")
    edges = page.evaluate(
        """() => [...document.querySelectorAll(".uplot canvas")].map((canvas) => {
          const { data, width } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return data.some((value, at) => at % 4 === 3 && value > 0 && [0, width - 1].includes(((at - 3) / 4) % width));
        })"""
    )

    assert [False] * 3 == edges


def test_axis_ticks_share_a_unit_and_are_distinct(shop: Collector, opened: Opened) -> None:
    page = opened(shop).open("/")
    ticks = page.evaluate(
        """async () => { const { durationTicks } = await import("/static/format.js");
          return [[[0, 250, 500, 750, 1000], 250], [[0, 100, 200], 100], [[0, 0.2, 0.4], 0.2], [[0, 2000, 4000], 2000]]
            .map(([ticks, step]) => durationTicks(ticks, step)); }"""
    )

    assert [
        ["0", "0.25 s", "0.50 s", "0.75 s", "1.00 s"], ["0", "100 ms", "200 ms"], ["0", "200 µs", "400 µs"], ["0", "2 s", "4 s"],
    ] == ticks  # fmt: skip


def test_data_in_the_page_is_inert_under_the_policy(shop: Collector, opened: Opened) -> None:
    window = opened(shop)
    response = window.page.goto(f"{window.url}/")
    assert response is not None
    policy = response.headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert json.loads(window.page.text_content("#series") or "")["series"]["time"]
    window.excused = ("Content Security Policy",)
    window.page.evaluate(
        "const script = document.createElement('script'); script.textContent = 'window.ran = 1'; document.body.append(script)"
    )
    assert window.page.evaluate("window.ran") is None


def test_a_deploy_is_marked_in_every_chart_and_named_beside_the_cursor(
    opened: Opened, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Collector.running(state_dir=tmp_path_factory.mktemp("deployed")) as collector:
        known_shop.fill(collector)
        page = opened(collector).open("/")
        before = [ink(page, selector) for selector in ("#chart-throughput", "#chart-percentiles")]
        facts = json.loads(page.text_content("#series") or "")
        start = facts["series"]["time"][20]
        (plain,) = list(known_shop.reports(known_shop.minutes()))[-1:]
        for number, (revision, since) in enumerate([("one", start - 9_000), ("0123456789abcdef", start + 30)]):
            process = evolve(plain.process, revision=revision, started=since, instance=f"{number:016x}")
            known_shop.send(
                collector, evolve(plain, process=process, id=f"deployed-{number}", transactions=(), traces=())
            )
        page.reload()
        after = [ink(page, selector) for selector in ("#chart-throughput", "#chart-percentiles")]
        place = page.locator("#chart-throughput .u-over").bounding_box()
        assert place is not None
        share = (start + 30 - facts["range"]["from"]) / (facts["range"]["to"] - facts["range"]["from"])
        page.mouse.move(place["x"] + share * place["width"], place["y"] + 20)
        expect(page.locator("#chart-throughput .tip")).to_contain_text("Deploy0123456789abcdef")

        assert all(more - less > 20 for less, more in zip(before, after, strict=True))
        assert "0123456789abcdef at" in text_of(page, "#deploys")
