"""Every page of a real collector, without a browser: well-formed, escaped, and equal to its JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

import hostile_shop
import known_shop
import pytest
from known_shop import CHECKOUT, FAILED, HANDLED, MAIL, STATEMENT, TRACE_ID
from payloads import PAYLOADS
from visitor import Reader, Visitor, read, visitor_of

from scout_dashboard.collector import Collector
from scout_dashboard.formatting import count, decimal, duration, percent, rate

PAGES = (
    "/", "/?range=24h", "/endpoints", "/jobs", "/errors", f"/endpoint?name={quote(CHECKOUT)}", f"/endpoint?name={quote(MAIL)}&sort=score",
    f"/trace/{TRACE_ID}", f"/error?group={FAILED}", f"/error?group={HANDLED.group}&range=15m", "/plugins", "/health", "/sessions",
)  # fmt: skip
HOSTILE_PAGES = (
    "/", "/endpoints", "/jobs", "/errors", f"/trace/{hostile_shop.TRACE_ID}", "/plugins", "/health", f"/?app={quote(hostile_shop.APP)}",
    *(f"/endpoint?name={quote(f'Controller/{payload}')}" for payload in PAYLOADS[:12]),
    *(f"/error?group={quote(payload)}" for payload in PAYLOADS[:12]),
)  # fmt: skip
ELEMENTS = {
    "html", "head", "meta", "title", "link", "script", "body", "a", "header", "nav", "svg", "path", "circle", "rect", "line", "text", "defs", "g", "use",
    "details", "summary", "ul", "ol", "li", "button", "main", "div", "section", "h1", "h2", "h3", "p", "span", "b", "i", "dl", "dt",
    "dd", "figure", "figcaption", "table", "thead", "tbody", "tr", "th", "td", "time", "code", "pre", "kbd", "abbr", "footer",
    "dialog", "form", "label", "input", "output", "wbr",
}  # fmt: skip
SCRIPTS = {"/static/theme.js", "/static/main.js", "/static/vendor/uplot/uPlot.iife.min.js"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """A visitor of the shop with known values."""
    with Collector.running(state_dir=tmp_path_factory.mktemp("shop")) as collector:
        known_shop.fill(collector)
        yield visitor_of(collector)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """A visitor of a store filled by an attacker."""
    with Collector.running(state_dir=tmp_path_factory.mktemp("hostile")) as collector:
        known_shop.send(collector, hostile_shop.report())
        yield visitor_of(collector)


@pytest.fixture
def empty(collector: Collector) -> Visitor:
    """A visitor before any app has reported."""
    return visitor_of(collector)


def assert_sound(page: Reader) -> None:
    """Closed tags, only known ones, and nothing that the content security policy would block."""
    assert [] == page.problems
    assert {element.tag for element in page.elements} <= ELEMENTS
    for element in page.elements:
        assert not [name for name in element.attributes if name.startswith("on") or name == "style"], element
        assert not element.attributes.get("href", "").lower().startswith(("javascript:", "data:", "//", "http")), (
            element
        )
        if element.tag == "script":
            assert element.attributes.get("src") in SCRIPTS or element.attributes["type"] == "application/json"


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_well_formed_and_has_nothing_inline(shop: Visitor, path: str) -> None:
    assert_sound(shop.page(path))


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("/", "scout-core run -- python app.py"),
        ("/endpoints", "scout-core demo"),
        ("/jobs", 'scout_core.start(name="Shop")'),
        ("/plugins", "scout-core plugins"),
        ("/health", "scout-core run -- python app.py"),
    ],
)
def test_every_page_without_data_is_well_formed_and_shows_the_next_step(
    empty: Visitor, path: str, command: str
) -> None:
    page = empty.page(path)

    assert_sound(page)
    assert command in page.text


def test_an_empty_range_links_to_longer_ranges(shop: Visitor) -> None:
    page = shop.page("/?from=1000000020&to=1000000620")

    assert_sound(page)
    assert "No transactions in this time range" in page.text
    assert "/?range=7d" in [element.attributes.get("href") for element in page.elements]
    assert "mean" not in [element.attributes.get("id") for element in page.elements]


@pytest.mark.parametrize("path", HOSTILE_PAGES)
def test_no_text_of_a_report_becomes_an_element(hostile: Visitor, path: str) -> None:
    assert_sound(hostile.page(path))


def test_every_text_of_a_report_is_shown_unchanged(hostile: Visitor) -> None:
    trace = hostile.page(f"/trace/{hostile_shop.TRACE_ID}").text
    plugins = hostile.page("/plugins").text
    endpoints = hostile.page("/endpoints").text

    for payload in PAYLOADS:
        shown = " ".join(payload.split())
        assert trace.count(shown) >= 6
        assert plugins.count(shown) >= 14
        assert shown in endpoints


@pytest.mark.parametrize("payload", PAYLOADS)
def test_an_invalid_url_is_shown_as_text(hostile: Visitor, payload: str) -> None:
    text = quote(payload, safe="")
    trace = f"/trace/{text}" if not payload.endswith("/") else f"/trace/{text}x"  # the router removes a trailing slash
    for path in (
        f"/endpoint?name={text}",
        f"/?range={text}",
        f"/?from={text}&to=1",
        trace,
        f"/endpoint?name={text}&sort={text}",
    ):
        status, _, html = hostile.ask(path)

        assert status in (400, 404)
        assert_sound(read(html))


def test_overview_shows_the_values_of_its_json(shop: Visitor) -> None:
    page, facts = shop.page("/"), shop.facts("/overview")
    totals = facts["totals"]

    assert (900, 9, 100.0) == (totals["count"], totals["errors"], totals["mean_ms"])
    for text in (
        f"Mean {duration(totals['mean_ms'])}",
        f"p50 {duration(totals['p50_ms'])}",
        f"p95 {duration(totals['p95_ms'])}",
        f"p99 {duration(totals['p99_ms'])}",
        f"Throughput {rate(totals['throughput_per_minute'])} {count(totals['count'])} requests",
        f"Errors {percent(totals['error_rate'])} 9 errors",
        f"Apdex {decimal(totals['apdex'])}",
    ):
        assert text in page.text
    assert "Mean 100 ms" in page.text
    assert "Errors 1.0 % 9 errors" in page.text


def test_charts_get_the_series_of_the_json(shop: Visitor) -> None:
    start = shop.facts("/overview")["range"]["from"]
    zoom = f"?from={start}&to={start + 3600}"  # fixed, because a minute may end between the two requests
    _, _, html = shop.ask(f"/{zoom}")
    block = json.loads(html.partition('id="series">')[2].partition("</script>")[0])
    facts = shop.facts(f"/overview{zoom}")

    assert (facts["range"], facts["series"]) == (block["range"], block["series"])
    assert [{"name": "Controller", "css": "k-controller"}, {"name": "SQL", "css": "k-sql"}] == block["kinds"]


def test_the_list_of_endpoints_shows_the_rows_of_its_json(shop: Visitor) -> None:
    page = shop.page("/endpoints")
    (row,) = shop.facts("/endpoints")["rows"]

    assert "1 endpoint " in page.text
    values = [
        row["label"], percent(row["share"]), duration(row["total_ms"]), rate(row["throughput_per_minute"]),
        duration(row["mean_ms"]), duration(row["p95_ms"]), percent(row["error_rate"]),
    ]  # fmt: skip
    assert " ".join(map(str, values)) in page.text


def test_an_endpoint_shows_its_kinds_and_traces(shop: Visitor) -> None:
    page = shop.page(f"/endpoint?name={quote(CHECKOUT)}")
    facts = shop.facts(f"/endpoint?name={quote(CHECKOUT)}")

    for kind in facts["kinds"]:
        values = percent(kind["share"]), duration(kind["mean_ms"]), decimal(kind["calls_per_transaction"])
        assert " ".join(map(str, (kind["kind"], *values))) in page.text
    assert "SQL 50.0 % 50 ms 3.00" in page.text
    assert "error 1.00 s 8 checkout_first 5.00 + percentile 1.40 + age 0.25 6.65" in page.text
    assert f"/trace/{TRACE_ID}?" not in page.text
    assert f"/trace/{TRACE_ID}" in [element.attributes.get("href") for element in page.elements]


def test_a_trace_shows_why_it_was_kept(shop: Visitor) -> None:
    page = shop.page(f"/trace/{TRACE_ID}")

    assert "Why kept score 6.65" in page.text
    assert "checkout_first custom policy 5.00" in page.text
    assert "percentile 97.0 % of 204 transactions were shorter 1.40" in page.text  # recorded by the agent
    assert "age time since a trace of this group was last kept 0.25" in page.text  # not recorded
    assert "among the highest of all web requests in its report, or of those that a place is reserved for." in page.text
    assert f"It competed in the group errors of {CHECKOUT}, chosen by the plugin error_traces." in page.text
    assert {"text": f"errors of {CHECKOUT}", "by": "error_traces"} == shop.facts(f"/trace/{TRACE_ID}")["group"]
    widths = [
        element.attributes["width"]
        for element in page.elements
        if element.tag == "rect" and "height" in element.attributes
    ]
    assert ["75.188%", "21.053%", "3.759%"] == widths[:3]


def test_a_trace_shows_timeline_summary_error_and_tags(shop: Visitor) -> None:
    page = shop.page(f"/trace/{TRACE_ID}")
    facts = shop.facts(f"/trace/{TRACE_ID}")

    assert f"6 × SQL/Query {STATEMENT} 300 ms" in page.text
    assert "HTTP/POST error http://pay.internal/v2 200 ms" in page.text
    assert facts["trace"]["errors"][0]["exception"] == facts["trace"]["error"]["exception"]
    assert "items 3 plan gold" in page.text
    assert "12 × SQL/Query, 34 ms" in page.text
    for row in facts["summary"]:
        values = [
            duration(row["exclusive_ms"]),
            count(row["count"]),
            duration(row["mean_ms"]),
            duration(row["max_ms"]),
        ]
        text = [row["operation"], *([row["detail"]] if row["detail"] else []), *values, duration(row["total_ms"])]
        assert " ".join(map(str, text)) in page.text


def test_a_trace_shows_the_code_of_a_slow_span_and_folds_the_frames_of_libraries(shop: Visitor) -> None:
    page = shop.page(f"/trace/{TRACE_ID}")
    facts = shop.facts(f"/trace/{TRACE_ID}")

    assert (
        "url http://pay.internal/v2 code authorise shop/pay.py:88 3 calls that led here 1 library frame urlopen"
        " urllib3/poolmanager.py:444 authorise shop/pay.py:88 checkout shop/views.py:12"
    ) in page.text
    assert 1 == page.text.count("that led here")
    assert "2 more slow spans without the code, beyond the limit of one transaction." in page.text
    assert 2 == facts["trace"]["stacks_left_out"]
    assert [("urlopen", False), ("authorise", True), ("checkout", True)] == [
        (frame["function"], frame["in_app"]) for span in facts["spans"] for frame in span["stack"]
    ]


def test_a_trace_shows_repeated_calls_with_the_line_that_makes_them(shop: Visitor) -> None:
    page = shop.page(f"/trace/{TRACE_ID}")
    (repeat,) = shop.facts(f"/trace/{TRACE_ID}")["repeats"]

    assert f"SQL/Query {STATEMENT} lines shop/views.py:31 6 300 ms" in page.text
    assert ("SQL/Query", "SQL", STATEMENT, 6, 300.0) == tuple(
        repeat[key] for key in ("operation", "kind", "statement", "count", "total_ms")
    )
    assert ("shop/views.py", 31, "lines") == (repeat["file"], repeat["line"], repeat["function"])


def test_a_trace_shows_its_errors_with_causes_groups_and_notes_and_folds_the_frames_of_libraries(shop: Visitor) -> None:
    page = shop.page(f"/trace/{TRACE_ID}")
    errors = shop.facts(f"/trace/{TRACE_ID}")["trace"]["errors"]

    assert (
        "Error All errors of this group shop.PaymentFailed no answer for order ? authorise shop/pay.py:88 2 library frames dispatch flask/app.py:917"
        " full_dispatch flask/app.py:880 app shop/wsgi.py:3"
        " Caused by ExceptionGroup 2 of 2 failed (2 sub-exceptions) ask shop/pay.py:80"
        " In the group TimeoutError timed out recv socket.py:7 Raised while handling KeyError 'plan'"
        " Beyond the limits of one error: 980 exceptions, 4 frames."
        " Handled error the transaction went on All errors of this group shop.NoStock sold out take shop/stock.py:9"
        " 3 more errors recorded beyond the limit of one transaction."
    ) in page.text
    assert [(False, [1, 2, 3]), (True, [])] == [
        (error["handled"], [related["depth"] for related in error["related"]]) for error in errors
    ]
    assert [True, False, False, True] == [frame["in_app"] for frame in errors[0]["frames"]]
    assert ["failed error", "error"] == [
        element.attributes["class"].removeprefix("panel ")
        for element in page.elements
        if element.tag == "section" and element.attributes["id"].startswith("error")
    ]


def test_errors_are_listed_by_group_with_those_of_all_transactions(shop: Visitor) -> None:
    page = shop.page("/errors")
    facts = shop.facts("/errors")

    assert [(FAILED, 9, 0), (HANDLED.group, 2, 2)] == [
        (row["group"], row["count"], row["handled"]) for row in facts["rows"]
    ]
    assert (11, 2, []) == (facts["count"], facts["handled"], facts["in_traces"]["rows"])
    assert "shop.PaymentFailed from OSError no answer shop.checkout, mail.send shop.pay:authorise 9" in page.text
    assert "shop.NoStock handled sold out shop.checkout shop.stock:take 2" in page.text
    assert "11 errors of all transactions, 2 of them handled, whether their traces were kept or not." in page.text
    assert {f"/error?group={FAILED}", f"/error?group={HANDLED.group}"} <= links_of(page)


def test_the_page_of_a_group_has_its_endpoints_an_example_and_traces(shop: Visitor) -> None:
    page = shop.page(f"/error?group={FAILED}")
    facts = shop.facts(f"/error?group={FAILED}")

    assert [(CHECKOUT, 8), (MAIL, 1)] == [(at["name"], at["count"]) for at in facts["endpoints"]]
    assert (9, 0, 9) == (facts["count"], facts["handled"], sum(number or 0 for number in facts["series"]["unhandled"]))
    assert [TRACE_ID] == [trace["id"] for trace in facts["traces"]]
    assert {"path": "/checkout?card=[FILTERED]", "plan": "gold"} == facts["example"]["tags"]
    assert "shop.PaymentFailed from OSError" in page.text
    assert "path /checkout?card=[FILTERED] plan gold" in page.text
    assert "authorise shop/pay.py:88" in page.text
    assert {f"/trace/{TRACE_ID}", f"/endpoint?name={quote(CHECKOUT, safe='')}"} <= links_of(page)


def test_the_pages_of_a_trace_and_an_endpoint_lead_to_the_group(shop: Visitor) -> None:
    for path in (f"/trace/{TRACE_ID}", f"/endpoint?name={quote(CHECKOUT)}"):
        assert {f"/error?group={FAILED}", f"/error?group={HANDLED.group}"} <= links_of(shop.page(path))


def test_a_group_that_is_not_known_is_a_page_of_its_own(shop: Visitor) -> None:
    for path, expected, text in (
        ("/error?group=nothing", 404, "No group of errors 'nothing': it was never reported, or has expired"),
        ("/error", 400, "Missing parameter 'group'; choose an error from the list"),
    ):
        status, _, html = shop.ask(path)
        assert expected == status
        assert text in read(html).text


def links_of(page: Reader) -> set[str]:
    return {element.attributes.get("href", "") for element in page.elements if element.tag == "a"}


def test_plugins_show_every_state(shop: Visitor) -> None:
    page = shop.page("/plugins").text

    for state in "active", "waiting", "disabled", "skipped", "failed", "quarantined":
        assert state in page
    assert (
        "flask 0.1.0 scout-flask active flask 3.1.3 (>=2.2,<4) not found: flask:Flask.gone: Flask has no attribute 'gone'"
        " Next step: some targets cannot be wrapped; a newer version of the plugin may support them: pip install -U scout-flask"
        in page
    )
    assert "flask:Flask.full_dispatch_request 18,000 2.4 µs 3.1 µs 0" in page
    assert (
        "on_request_start is slow: 350 µs a call (p95 of the last 100 timed calls), above hook_budget_seconds = 200 µs"
        in page
    )
    assert "18,000 110 µs 350 µs 0" in page
    assert "last error: KeyError: 'plan' at /srv/shop/team_policy.py:22 in score_transaction" in page
    assert (
        "Last error, innermost call first plan_of /srv/shop/plans.py:8 score_transaction /srv/shop/team_policy.py:22"
        in page
    )
    assert "score_transaction off: 10 errors in a row 100 6.0 µs 8.0 µs 10" in page
    assert "5 plugins need attention" in page


def test_health_shows_the_equation_of_its_json(shop: Visitor) -> None:
    page, facts = shop.page("/health").text, shop.facts("/health")
    (process,) = facts["processes"]
    counters = process["counters"]["collector"]
    dropped = sum(counters["dropped"].values())

    assert counters["finished"] == counters["exported"] + counters["queued"] + dropped
    assert (
        f"collector {count(counters['finished'])} finished = {count(counters['exported'])} exported + {counters['queued']} queued + "
        f"{count(dropped)} dropped {counters['dropped']['inbox full']} lost adds up"
    ) in page
    assert (
        f"inbox full {counters['dropped']['inbox full']} lost ignored {counters['dropped']['ignored']} as configured"
        in page
    )
    assert "Reports 20 no duplicates Transactions 901 in those reports" in page


def test_links_carry_app_and_range(shop: Visitor) -> None:
    page = shop.page("/?range=6h&app=Shop")
    hrefs = [element.attributes.get("href", "") for element in page.elements]

    assert "/endpoints?app=Shop&range=6h" in hrefs
    assert f"/endpoint?name={quote(CHECKOUT, safe='')}&app=Shop&range=6h" in hrefs
    assert "/?range=24h&app=Shop" in hrefs
    assert "/json/overview?range=6h&app=Shop" in hrefs


def test_a_zoom_can_be_reset_and_is_not_live(shop: Visitor) -> None:
    start = shop.facts("/overview")["range"]["from"]
    zoomed = shop.page(f"/?range=1h&from={start}&to={start + 3600}")

    assert ["/?range=1h"] == [
        element.attributes["href"] for element in zoomed.elements if element.attributes.get("id") == "unzoom"
    ]
    assert not [element for element in zoomed.elements if "data-pulse" in element.attributes]
    assert [element for element in shop.page("/").elements if "data-pulse" in element.attributes]


def test_unknown_pages_and_names_are_explained(shop: Visitor) -> None:
    assert "Trace 'nope' is not stored" in read(shop.ask("/trace/nope")[2]).text
    assert "expected one of 15m, 1h, 6h, 24h, 7d" in read(shop.ask("/?range=2y")[2]).text
    assert "it never ran, or its data has expired" in read(shop.ask("/endpoint?name=Controller/never")[2]).text


def test_an_unknown_application_links_to_known_applications(shop: Visitor) -> None:
    for path in "/", "/endpoints", "/jobs", "/plugins", "/health":
        status, _, html = shop.ask(f"{path}?app=nope&range=6h")
        page = read(html)

        assert 404 == status
        assert_sound(page)
        assert "No application named 'nope' has reported; known applications: 'Shop'" in page.text
        hrefs = [element.attributes["href"] for element in page.elements if element.tag == "a"]
        assert f"{path}?app=Shop&range=6h" in hrefs
        assert not [href for href in hrefs if "nope" in href]


def test_without_a_login_neither_data_nor_navigation_is_shown(shop: Visitor) -> None:
    stranger = Visitor(shop.collector)
    for path in PAGES:
        status, _, html = stranger.ask(path)

        assert 401 == status
        assert_sound(read(html))
        assert "checkout" not in html
        assert "/endpoints" not in html
    status, _, html = stranger.ask("/login/not-a-ticket")
    assert 404 == status
    assert_sound(read(html))
    assert "This link is not valid" in read(html).text
    assert "not-a-ticket" not in html
