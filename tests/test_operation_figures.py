"""Spans counted by statement, host and template over all transactions: their time, the endpoints and the lines that cause it."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from scout_core import span, transaction
from scout_core.measuring import operations_of_period
from scout_core.measuring.histogram import Histogram
from scout_core.measuring.metrics import MAX_KINDS
from scout_core.measuring.operation_report import MOST_ENDPOINTS, EndpointShare, OperationMetrics
from scout_core.measuring.report import Report
from scout_core.sending import wire
from scout_core.sending.fitting import fit
from scout_core.testing import recording
from tests.workbench import Keeper, exporting, running, sample_report

pytestmark = pytest.mark.scout(plugins_autoload=False)


def query(statement: str, *, seconds: float = 0.0, **tags: object) -> None:
    with span("SQL/Query", statement=statement, **tags) as made:
        pass
    made.stop_ns = made.start_ns + round(seconds * 1e9)


def visit(name: str, *statements: str, seconds: float = 0.01) -> None:
    with transaction(f"Controller/{name}"):
        for statement in statements:
            query(statement, seconds=seconds)


def figures_of(scout) -> dict[tuple[str, str], OperationMetrics]:
    return {(figures.operation, figures.detail): figures for figures in scout.report().operations}


def test_statements_that_differ_in_their_literals_are_one_operation_over_all_endpoints(scout):
    visit("orders", *(f"SELECT * FROM line WHERE purchase = {number}" for number in range(3)))
    visit("basket", "SELECT * FROM line WHERE purchase = 'x'", "SELECT 1")

    found = figures_of(scout)

    line = found["SQL/Query", "SELECT * FROM line WHERE purchase = ?"]
    assert {("SQL/Query", "SELECT * FROM line WHERE purchase = ?"), ("SQL/Query", "SELECT ?")} == set(found)
    assert (4, 0, 4) == (line.count, line.errors, line.durations.count)
    assert 0.04 == pytest.approx(line.total)
    assert 0.01 == pytest.approx(line.durations.quantile(0.5), rel=0.02)
    assert {
        "Controller/orders": EndpointShare(count=3, total=pytest.approx(0.03)),
        "Controller/basket": EndpointShare(count=1, total=pytest.approx(0.01)),
    } == line.endpoints


@pytest.mark.parametrize(
    ("operation", "tags", "detail"),
    [
        ("HTTP/GET", {"url": "https://jo:pw@pay.example:8443/orders/17?token=1"}, "pay.example:8443"),
        ("HTTP/GET", {"url": "//pay.example"}, "pay.example"),
        ("HTTP/GET", {"url": "/only/a/path"}, ""),
        ("Template/Render", {"name": "orders/list.html"}, "orders/list.html"),
        ("Block/Render", {"name": "footer"}, "footer"),
        ("Charge/card", {"name": "Jo Doe"}, ""),
        ("Redis/GET", {"key": "user:17"}, ""),
        ("SQL/Query", {"statement": 17}, ""),
        ("SQL/Query", {"statement": 'SELECT "a"', "dialect": "postgresql"}, 'SELECT "a"'),
        ("SQL/Query", {"statement": 'SELECT "a"', "dialect": "mysql"}, "SELECT ?"),
        ("SQL/Query", {"statement": 'SELECT "a"', "dialect": ["mysql"]}, "SELECT ?"),
        ("Template/Render", {"name": "api_key=0123456789abcdef0123.html"}, "api_key=[FILTERED]"),
    ],
)
def test_statement_host_and_template_distinguish_operations_without_secrets(scout, operation, tags, detail):
    with transaction("Controller/home"), span(operation, **tags):
        pass

    assert [(operation, detail)] == list(figures_of(scout))


def test_the_same_text_is_masked_by_the_dialect_of_each_span(scout):
    with transaction("Controller/home"):
        for dialect in ("mysql", "postgresql", "mysql"):
            query('SELECT "jo"', dialect=dialect)

    assert {("SQL/Query", "SELECT ?"): 2, ("SQL/Query", 'SELECT "jo"'): 1} == {
        key: figures.count for key, figures in figures_of(scout).items()
    }


def test_errors_of_spans_are_counted(scout):
    for number in range(3):
        with suppress(ValueError), transaction("Job/pay"), span("HTTP/POST", url="http://pay.example/"):
            if number:
                raise ValueError

    figures = figures_of(scout)["HTTP/POST", "pay.example"]
    assert (3, 2) == (figures.count, figures.errors)


def test_those_with_the_most_time_are_reported_and_the_rest_by_kind():
    with recording(plugins_autoload=False, max_operations=2) as scout:
        for number in range(1, 6):
            visit("home", f"SELECT a FROM t{number}x", seconds=number)
        with transaction("Controller/home"), span("Redis/GET"):
            pass
        report = scout.report()
        visit("home", "SELECT a FROM t1x")
        again = scout.report()

    assert [
        ("SQL/Query", "SELECT a FROM t5x", 1), ("SQL/Query", "SELECT a FROM t4x", 1), ("SQL/other", "", 3), ("Redis/other", "", 1),
    ] == [(figures.operation, figures.detail, figures.count) for figures in report.operations]  # fmt: skip
    assert 6.0 == pytest.approx(report.operations[2].total)
    assert 4 == report.counters[""].operations_merged
    assert [("SQL/Query", "SELECT a FROM t1x", 1)] == [(f.operation, f.detail, f.count) for f in again.operations]


def test_a_limit_within_the_period_keeps_memory_bounded_and_counts_the_rest(scout, monkeypatch):
    monkeypatch.setattr(operations_of_period, "MOST_OPERATIONS", 5)
    visit("home", *(f"SELECT a FROM t{number}x" for number in range(8)), "SELECT a FROM t0x")

    found = figures_of(scout)

    assert 6 == len(found)
    assert (3, 2) == (found["SQL/other", ""].count, found["SQL/Query", "SELECT a FROM t0x"].count)


def test_kinds_beyond_the_limit_are_other(scout):
    with transaction("Controller/home"):
        for number in range(1_200):
            with span(f"Kind{number}/x"):
                pass

    operations = scout.report().operations

    assert 1_200 == sum(figures.count for figures in operations)
    assert len(operations) == 200 + MAX_KINDS + 1
    assert "Other/other" in {figures.operation for figures in operations}


@pytest.mark.parametrize(("limit", "value"), [("MOST_TEXTS", 3), ("MOST_CHARACTERS", 50)])
def test_texts_are_forgotten_beyond_a_limit_and_counted_all_the_same(scout, monkeypatch, limit, value):
    monkeypatch.setattr(operations_of_period, limit, value)
    visit("home", *(f"SELECT a FROM t WHERE b = {number}" for number in range(50)), "SELECT 1")

    found = figures_of(scout)

    assert {("SQL/Query", "SELECT a FROM t WHERE b = ?"): 50, ("SQL/Query", "SELECT ?"): 1} == {
        key: figures.count for key, figures in found.items()
    }


def test_endpoints_beyond_the_limit_are_other(scout):
    for number in range(MOST_ENDPOINTS + 3):
        visit(f"page{number}", "SELECT 1", seconds=1 + number)

    endpoints = figures_of(scout)["SQL/Query", "SELECT ?"].endpoints

    assert [f"Controller/page{number}" for number in range(MOST_ENDPOINTS + 2, 2, -1)] + ["other"] == list(endpoints)
    assert EndpointShare(count=3, total=pytest.approx(6.0)) == endpoints["other"]


def test_spans_beyond_max_spans_are_in_the_sums():
    with recording(plugins_autoload=False, max_spans=2) as scout:
        with transaction("Controller/home"):
            for _ in range(5):
                with span("SQL/Query", statement="SELECT 1"):
                    pass
        found = figures_of(scout)

    assert {("SQL/Query", "SELECT ?"): (2, 2), ("SQL/Query", ""): (3, 0)} == {
        key: (figures.count, figures.durations.count) for key, figures in found.items()
    }


@pytest.mark.scout(plugins_autoload=False, n_plus_one_seconds=0)
def test_repeated_calls_name_their_line_and_are_counted_by_endpoint(scout):
    """Over all transactions, though few traces are kept."""
    for _ in range(30):
        with transaction("Controller/orders"):
            for number in range(6):
                query(f"SELECT a FROM t WHERE b = {number}")
    visit("basket", "SELECT a FROM t WHERE b = 1")

    figures = figures_of(scout)["SQL/Query", "SELECT a FROM t WHERE b = ?"]

    assert {"Controller/orders": 30, "Controller/basket": 0} == {
        name: share.repeated for name, share in figures.endpoints.items()
    }
    assert [(__file__, "query", 180)] == [(line.file, line.function, line.count) for line in figures.lines]


@pytest.mark.scout(plugins_autoload=False, n_plus_one_seconds=0)
def test_a_transaction_in_which_two_lines_repeat_a_call_counts_once(scout):
    with transaction("Controller/orders"):
        for number in range(6):
            query(f"SELECT a FROM t WHERE b = {number}")
        for number in range(6):
            with span("SQL/Query", statement=f"SELECT a FROM t WHERE b = {number}"):
                pass

    figures = figures_of(scout)["SQL/Query", "SELECT a FROM t WHERE b = ?"]

    assert 1 == figures.endpoints["Controller/orders"].repeated
    assert 2 == len(figures.lines)


@pytest.mark.scout(plugins_autoload=False, slow_span_seconds=1e-9)
def test_a_slow_call_names_its_line(scout):
    with transaction("Controller/orders"):
        query("SELECT 1")

    (line,) = figures_of(scout)["SQL/Query", "SELECT ?"].lines
    assert (__file__, "query", 1) == (line.file, line.function, line.count)


@pytest.mark.parametrize(
    ("attribute", "value"), [("tags", object()), ("stop_ns", "x"), ("start_ns", None), ("error", 5), ("operation", 7)]
)
def test_values_of_another_type_are_contained(attribute, value):
    keeper = Keeper()
    with running(exporting(keeper)) as agent:
        visit("home", "SELECT 1")
        with transaction("Controller/home"):
            with span("SQL/Query", statement="SELECT 1") as broken:
                pass
            setattr(broken, attribute, value)
        visit("home", "SELECT 1")
        agent.stop(10)

    assert 3 == sum(metrics.count for report in keeper.reports for metrics in report.transactions)
    assert 2 <= sum(figures.count for report in keeper.reports for figures in report.operations) <= 3


def test_none_are_counted_when_the_option_is_zero():
    with recording(plugins_autoload=False, max_operations=0) as scout:
        visit("home", "SELECT 1")
        assert () == scout.report().operations


def test_a_report_with_them_can_be_sent_and_read(scout):
    visit("orders", "SELECT 1", "SELECT a FROM b")
    report = scout.report()

    assert report.operations == wire.decode(wire.encode(report)).operations
    assert 2 == len(report.operations)


def operation(number: int, kind: str = "SQL") -> OperationMetrics:
    return OperationMetrics(
        operation=f"{kind}/Query",
        detail=f"SELECT {number} {'x' * 100}",
        count=1,
        errors=0,
        total=float(number),
        durations=Histogram({number: 1}),
        endpoints={f"Controller/{number}": EndpointShare(count=1, total=float(number), repeated=1)},
    )


def test_those_that_do_not_fit_into_a_report_are_summed_by_kind():
    given: Report = sample_report(
        operations=tuple(operation(number, kind) for number in range(50) for kind in ("SQL", "HTTP"))
    )
    body, sent = wire.encode_within(given, 8_000)

    assert len(body) <= 8_000
    assert 2_450.0 == sum(figures.total for figures in sent.operations)
    assert 100 == sum(share.count for figures in sent.operations for share in figures.endpoints.values())
    assert {"SQL/Query", "HTTP/Query", "SQL/other", "HTTP/other"} == {figures.operation for figures in sent.operations}
    assert sent.left_out["operations"] == 100 - len(sent.operations)
    assert 49.0 == sent.operations[0].total


def test_operations_leave_room_for_traces():
    given = sample_report(operations=tuple(operation(number) for number in range(300)))
    sent = fit(given, 20_000, lambda part: len(wire.encode(part)) if isinstance(part, Report) else 150)

    assert len(given.traces) == len(sent.traces)
    assert len(sent.operations) < 100


@pytest.mark.parametrize("amount", [2_000])
def test_many_literals_take_a_bounded_time(scout, amount):
    """Each statement is another text; what a text becomes is kept for a limited number of them."""
    began = time.thread_time()
    visit("home", *(f"SELECT a FROM t WHERE b = {number}" for number in range(amount)))
    found = figures_of(scout)

    assert time.thread_time() - began < 20
    assert amount == sum(figures.count for figures in found.values())


@pytest.mark.parametrize(
    "url",
    ["/login?next=//4f2a91c7d8e9", "shop.example/x?to=https://4f2a91c7.example", "/reset//4f2a91c7", "x:y?z=//4f2a"],
)
def test_slashes_in_a_path_or_a_query_are_not_a_host(scout, url):
    with transaction("Controller/home"), span("HTTP/GET", url=url):
        pass

    assert [("HTTP/GET", "")] == list(figures_of(scout))


@pytest.mark.scout(plugins_autoload=False, filtered_names="url")
def test_the_host_of_a_url_is_filtered_where_the_tag_is(scout):
    with transaction("Controller/home"), span("HTTP/GET", url="https://jo.example/"):
        pass

    assert [("HTTP/GET", "[FILTERED]")] == list(figures_of(scout))


@pytest.mark.scout(plugins_autoload=False, n_plus_one_seconds=0)
def test_a_transaction_with_two_lines_that_repeat_a_statement_counts_once(scout):
    for _ in range(2):
        with transaction("Controller/orders"):
            for _ in range(6):
                query("SELECT 1")
            for _ in range(6):
                with span("SQL/Query", statement="SELECT 1"):
                    pass

    figures = figures_of(scout)["SQL/Query", "SELECT ?"]

    assert 2 == figures.endpoints["Controller/orders"].repeated
    assert [12, 12] == [line.count for line in figures.lines]


@pytest.mark.scout(plugins_autoload=False, n_plus_one_seconds=0)
def test_calls_that_one_line_repeats_to_one_host_are_counted_by_endpoint(scout):
    """To several hosts: which of them is not known."""
    for hosts in (["pay.example"], ["pay.example", "stock.example"]):
        with transaction(f"Controller/{len(hosts)}"):
            for host in hosts * 6:
                with span("HTTP/GET", url=f"https://{host}/"):
                    pass

    figures = figures_of(scout)["HTTP/GET", "pay.example"]

    assert {"Controller/1": 1, "Controller/2": 0} == {name: share.repeated for name, share in figures.endpoints.items()}
    assert [6] == [line.count for line in figures.lines]


@pytest.mark.scout(plugins_autoload=False, n_plus_one_seconds=0, slow_span_seconds=1e-9)
def test_a_call_that_is_slow_and_repeated_counts_once_for_its_line(scout):
    with transaction("Controller/orders"):
        for _ in range(6):
            query("SELECT 1")

    assert [6] == [line.count for line in figures_of(scout)["SQL/Query", "SELECT ?"].lines]


def test_empty_operations_have_a_name_in_the_figures(scout):
    with suppress(ValueError), transaction(""):
        with span(""):
            pass
        raise ValueError
    report = scout.report()

    assert [("Other/unnamed", 1)] == [(figures.operation, figures.count) for figures in report.operations]
    assert ["Job/unnamed"] == [metrics.name for metrics in report.transactions]
    assert ["Job/unnamed"] == list(report.operations[0].endpoints) == list(report.error_groups[0].endpoints)


def test_a_duration_that_is_not_a_number_is_none(scout):
    with transaction("Controller/home"), span("SQL/Query", statement="SELECT 1") as made:
        pass
    made.stop_ns = float("nan")

    assert 0.0 == figures_of(scout)["SQL/Query", "SELECT ?"].total


@pytest.mark.parametrize("limit", [1e-9, 500])
def test_the_pauses_of_a_generator_are_not_its_time(limit):
    """As in the figures by kind: what its consumer does is the consumer's own."""

    @span("SQL/Rows", statement="SELECT 1")
    def rows():
        yield 1
        yield 2

    with recording(plugins_autoload=False, slow_span_seconds=limit) as scout:
        with transaction("Controller/home"):
            for _ in rows():
                time.sleep(0.05)
        report = scout.report()

    (figures,) = report.operations
    assert report.transactions[0].kinds["SQL"].total == pytest.approx(figures.total)
    assert figures.total < 0.1 <= report.transactions[0].total
    assert figures.durations.quantile(0.5) == pytest.approx(figures.total, rel=0.02)
    assert all(line.total < 0.1 for line in figures.lines)
