"""The page *Operations*, the page of one operation, their JSON, and the operations of an endpoint: known figures, exactly."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import known_shop
import pytest
from attrs import evolve
from known_shop import CHECKOUT, MAIL
from playwright.sync_api import expect
from sample_operations import operation
from visitor import Visitor, read, visitor_of

from scout_core.measuring.report import CodeLine, Report
from scout_dashboard.collector import Collector
from scout_dashboard.store.operations import id_of

if TYPE_CHECKING:
    from browser import Opened

pytest_plugins = ("browser",)  # its fixtures; not imported here, as pytest must rewrite its asserts first

STATEMENT = known_shop.STATEMENT
LONG = "SELECT\n    " + ", ".join(f"column_{number}" for number in range(60)) + "\nFROM review"
HOST, PAGE = "pay.internal:8080", "shop/paid.html"
LINE = CodeLine(file="/srv/shop/views.py", line=31, function="lines", count=6, total=0.03)
OP = id_of("SQL/Query", STATEMENT)


def reports() -> Iterator[Report]:
    """Twenty minutes of 900 checkouts, of which each makes six queries of 5 ms; the last one has another application, too."""
    for number, made in enumerate(known_shop.reports(known_shop.minutes()), start=1):
        count = made.transactions[0].count
        repeated = min(count, 20)
        found = (
            operation(
                detail=STATEMENT, seconds=0.005, calls={CHECKOUT: 6 * count, MAIL: 1}, repeated=repeated, lines=[LINE]
            ),
            operation(detail=LONG, seconds=0.4, calls={CHECKOUT: 1}),
            operation("HTTP/POST", HOST, seconds=0.1, calls={CHECKOUT: 10}, errors=1),
            operation("Template/Render", PAGE, seconds=0.02, calls={CHECKOUT: count}),
            operation("SQL/other", "", seconds=0.001, calls={"other": 30}),
        )
        yield evolve(made, operations=found)
        if number == 20:
            other = evolve(made.process, app="Admin", instance="admin")
            yield evolve(
                made, id="admin-1", process=other, traces=(), error_groups=(), transactions=(),
                operations=(operation("Redis/GET", "", seconds=0.001, calls={"Controller/admin": 4}),),
            )  # fmt: skip


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """No test changes it."""
    with Collector.running(state_dir=tmp_path_factory.mktemp("shop")) as collector:
        for made in reports():
            known_shop.send(collector, made)
        yield collector


@pytest.fixture
def visitor(shop: Collector) -> Visitor:
    return visitor_of(shop)


def rows(facts: dict[str, Any], *keys: str) -> list[tuple[Any, ...]]:
    return [tuple(row[key] for key in keys) for row in facts["rows"]]


def test_operations_are_ranked_by_time_with_their_share_of_their_kind(visitor):
    facts = visitor.facts("/operations?app=Shop")

    assert [
        ("SQL", STATEMENT, 5_420, 27_100.0, 5.0, 0.759104, 0, 0.0),
        ("HTTP", HOST, 200, 20_000.0, 100.0, 1.0, 20, 0.1),
        ("Template", PAGE, 900, 18_000.0, 20.0, 1.0, 0, 0.0),
        ("SQL", LONG, 20, 8_000.0, 400.0, 0.22409, 0, 0.0),
        ("SQL", None, 600, 600.0, 1.0, 0.016807, 0, 0.0),
    ] == rows(facts, "kind", "detail", "count", "total_ms", "mean_ms", "share", "errors", "error_rate")
    assert [
        {"kind": "SQL", "count": 6_040, "total_ms": 35_700.0},
        {"kind": "HTTP", "count": 200, "total_ms": 20_000.0},
        {"kind": "Template", "count": 900, "total_ms": 18_000.0},
    ] == facts["kinds"]
    first = facts["rows"][0]
    assert (OP, "SQL/Query", STATEMENT, False) == tuple(first[key] for key in ("id", "operation", "label", "is_other"))
    assert first["p95_ms"] == pytest.approx(5.0, rel=0.01)
    assert first["throughput_per_minute"] == pytest.approx(271.0, rel=0.01)
    assert "All other SQL" == facts["rows"][-1]["label"]


def test_a_kind_is_selected_and_columns_are_sorted(visitor):
    sql = visitor.facts("/operations?app=Shop&kind=SQL&sort=mean")
    assert [(LONG, 0.22409), (STATEMENT, 0.759104), (None, 0.016807)] == rows(sql, "detail", "share")
    assert 3 == len(sql["kinds"])

    first = {
        sort: visitor.facts(f"/operations?app=Shop&sort={sort}")["rows"][0]["detail"]
        for sort in ("time", "calls", "mean", "p95", "errors")
    }
    assert {"time": STATEMENT, "calls": STATEMENT, "mean": LONG, "p95": LONG, "errors": HOST} == first


def test_the_applications_are_merged_or_apart(visitor):
    assert [("Redis/GET", "Redis/GET", None, 4)] == rows(
        visitor.facts("/operations?app=Admin"), "label", "operation", "detail", "count"
    )
    assert 6 == len(visitor.facts("/operations")["rows"])
    assert visitor.ask(f"/operation?id={OP}&app=Admin")[0] == 404


def test_one_operation_has_its_endpoints_lines_chart_and_traces(visitor):
    facts = visitor.facts(f"/operation?id={OP}&app=Shop")

    assert (STATEMENT, 5_420, 27_100.0, 0.759104) == (
        facts["detail"], facts["totals"]["count"], facts["totals"]["total_ms"], facts["totals"]["share"],
    )  # fmt: skip
    assert [
        (CHECKOUT, 5_400, 27_000.0, 0.99631, 400, 900),
        (MAIL, 20, 100.0, 0.00369, 0, 1),
    ] == [
        tuple(at[key] for key in ("name", "count", "total_ms", "share", "repeated", "transactions"))
        for at in facts["endpoints"]
    ]
    assert [{"file": LINE.file, "line": 31, "function": "lines", "count": 120, "total_ms": 600.0}] == facts["lines"]
    assert [known_shop.TRACE_ID] == [trace["id"] for trace in facts["traces"]]
    throughput = [value for value in facts["series"]["throughput"] if value]
    assert [361.0] * 10 + [181.0] * 10 == throughput
    assert 20 == sum(value is not None for value in facts["series"]["p95_ms"])


def test_the_other_operations_of_a_kind_have_a_page(visitor):
    facts = visitor.facts(f"/operation?id={id_of('SQL/other', '')}&app=Shop")

    assert (True, None, [("other", None)]) == (
        facts["is_other"], facts["detail"], [(at["name"], at["transactions"]) for at in facts["endpoints"]],
    )  # fmt: skip
    assert "not listed" in visitor.page(f"/operation?id={facts['id']}&app=Shop").text


def test_an_endpoint_has_the_operations_that_take_most_of_it(visitor):
    facts = visitor.facts(f"/endpoint?name={quote(CHECKOUT)}&app=Shop")

    assert [
        (OP, 5_400, 6.0, 27_000.0, 0.3, 400, 900),
        (id_of("HTTP/POST", HOST), 200, 0.222, 20_000.0, 0.222222, 0, 900),
        (id_of("Template/Render", PAGE), 900, 1.0, 18_000.0, 0.2, 0, 900),
        (id_of("SQL/Query", LONG), 20, 0.022, 8_000.0, 0.088889, 0, 900),
    ] == [
        tuple(
            row[key]
            for key in ("id", "count", "calls_per_transaction", "total_ms", "share", "repeated", "transactions")
        )
        for row in facts["operations"]
    ]
    page = visitor.page(f"/endpoint?name={quote(CHECKOUT)}&app=Shop").text
    assert "N+1 in 400 of 900 requests one line repeats this call" in page


def test_the_pages_show_the_figures(visitor):
    listed = visitor.page("/operations?app=Shop").text
    page = visitor.page(f"/operation?id={OP}&app=Shop").text

    assert f"{STATEMENT} SQL/Query 75.9 % 27.1 s 5,420" in listed
    assert "All other SQL SQL/other" in listed
    assert f"Statement SQL {STATEMENT} Time 27.1 s 75.9 % of its kind" in page
    assert "shop.checkout N+1 in 400 of 900 transactions one line repeats this call" in page
    assert "lines /srv/shop/views.py:31 600 ms 120" in page


def test_a_statement_is_shown_in_full_on_its_own_page_only(visitor):
    op = id_of("SQL/Query", LONG)
    label = visitor.facts(f"/operation?id={op}&app=Shop")["label"]

    assert (300, "…") == (len(label), label[-1])
    assert " ".join(LONG.split()) in visitor.page(f"/operation?id={op}&app=Shop").text
    assert "column_59" not in visitor.page("/operations?app=Shop").text


def test_a_range_without_calls_shows_the_next_step(shop, visitor):
    past = f"from={time.time() - 90_000:.0f}&to={time.time() - 86_400:.0f}"

    assert "No operations in this time range" in visitor.page(f"/operations?{past}").text
    assert "No calls in this time range" in visitor.page(f"/operation?id={OP}&{past}").text
    assert "No operation of the kind Mongo in this time range" in visitor.page("/operations?kind=Mongo").text


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/operation", 400, "missing parameter 'id'"),
        ("/operation?id=nope", 404, "no operation 'nope'"),
        ("/operations?sort=name", 400, "unknown sort 'name'; expected one of time, calls, mean, p95, errors"),
        ("/operations?page=0", 400, "invalid page"),
    ],
)
def test_a_wrong_address_names_what_is_wrong(visitor, path, status, text):
    found, _, html = visitor.ask(path)

    assert (status, True) == (found, text.lower() in read(html).text.lower())
    if "page" not in path:
        assert status == visitor.ask(f"/json{path}")[0]


def test_a_browser_sorts_filters_and_follows_an_operation(shop: Collector, opened: Opened) -> None:
    window = opened(shop)
    page = window.open("/operations?app=Shop")
    expect(page.locator("#list tbody tr")).to_have_count(5)
    page.click("nav.kinds >> text=SQL")
    expect(page.locator("#list tbody tr")).to_have_count(3)
    page.click("th >> text=Mean")
    expect(page.locator("#list tbody tr").first).to_contain_text("column_1")
    expect(page.locator("th[aria-sort=descending]")).to_have_text("Mean")
    page.fill("[data-filter]", "from product")
    expect(page.locator("#list tbody tr:visible")).to_have_count(1)
    page.click("#list tbody tr:visible a")
    window.settle()
    expect(page.locator("#detail pre")).to_have_text(STATEMENT)
    expect(page.locator("[data-chart] canvas")).to_have_count(2)
    page.click("#endpoints tbody a >> nth=0")
    window.settle()
    expect(page.locator("#operations tbody tr")).to_have_count(4)
    page.click("#operations tbody tr >> nth=1")
    expect(page.locator("#detail pre")).to_have_text(HOST)
    window.settle()
    page.keyboard.press("g")
    page.keyboard.press("s")
    expect(page.locator("h1")).to_have_text("Operations")
