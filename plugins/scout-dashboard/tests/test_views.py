"""Links, colours, timeline and equation."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_dashboard.views.links import Links
from scout_dashboard.views.palette import KINDS, kind_class, policy_class, stacked, totals_by_kind
from scout_dashboard.views.policies import parts
from scout_dashboard.views.processes import balance, count_problems
from scout_dashboard.views.waterfall import Bar, timeline


def span(
    id: int, start: float, duration: float, *, parent: int | None = 0, depth: int = 1, **more: Any
) -> dict[str, Any]:
    """Return a span as in the JSON of a trace."""
    plain = {
        "operation": "SQL/Query",
        "kind": "SQL",
        "tags": {"statement": "SELECT ?"},
        "error": None,
        "stack": [],
        "exclusive_ms": duration,
    }
    return {"id": id, "parent": parent, "depth": depth, "start_ms": start, "duration_ms": duration, **plain, **more}


def root(duration: float) -> dict[str, Any]:
    return span(0, 0, duration, parent=None, depth=0, operation="Controller/home", kind="Controller", tags={})


def test_every_link_begins_with_the_base() -> None:
    links = Links("/jobs", {"app": "Shop", "from": "60", "to": "120"}, "/secret")
    made = [
        links.page("/"), links.endpoint("Job/x"), links.trace("a"), links.json("/jobs"), links.plain("/"), links.file("a.js"),
        links.this_page(page="2"), links.with_range("1h"), links.with_app("Other"), links.with_app(None), links.unzoomed,
    ]  # fmt: skip

    assert "/secret/static/a.js" == links.file("a.js")
    assert "/secret/jobs?app=Shop" == links.unzoomed
    assert [] == [link for link in made if not link.startswith("/secret/") or link.count("/secret") > 1]


def test_links_carry_only_the_selection() -> None:
    links = Links("/endpoint", {"name": "Controller/a b", "sort": "score", "range": "6h", "app": "Ä&B"})

    assert "/trace/a%2Fb?app=%C3%84%26B&range=6h" == links.trace("a/b")
    assert "/endpoint?name=Job%2Fx&app=%C3%84%26B&range=6h" == links.endpoint("Job/x")
    assert "/endpoint?name=Controller%2Fa%20b&sort=score&range=24h&app=%C3%84%26B" == links.with_range("24h")
    assert "/?app=Other&range=6h" == links.with_app("Other")
    assert "/json/endpoint?name=Controller%2Fa%20b&sort=score&range=6h&app=%C3%84%26B" == links.json("/endpoint")


def test_a_reset_zoom_returns_to_the_range_before() -> None:
    zoomed = Links("/", {"range": "6h", "from": "60", "to": "120"})

    assert zoomed.is_zoomed
    assert "/?range=6h" == zoomed.unzoomed
    assert "/?range=15m" == zoomed.with_range("15m")
    assert "/endpoints?range=6h&from=60&to=120" == zoomed.page("/endpoints")
    assert not Links("/").is_zoomed


@given(st.text())
def test_every_name_has_a_known_colour(name: str) -> None:
    assert kind_class(name).replace("-", "").isalnum()
    assert policy_class(name).replace("-", "").isalnum()
    assert kind_class(name) == kind_class(name)


def test_kinds_are_stacked_in_a_fixed_order() -> None:
    assert ["Controller", "SQL", "HTTP", "Cart", "Zoo", "Other"] == stacked(
        ["Other", "Zoo", "HTTP", "SQL", "Cart", "Controller"]
    )
    assert len(KINDS) == len({kind_class(kind) for kind in KINDS})


def test_kinds_of_a_trace_are_summed_most_time_first() -> None:
    rows = [
        {"kind": "SQL", "exclusive_ms": 2.0, "count": 3},
        {"kind": "HTTP", "exclusive_ms": 4.0, "count": 1},
        {"kind": "SQL", "exclusive_ms": 3.0, "count": 1},
    ]

    assert [
        {"kind": "SQL", "exclusive_ms": 5.0, "count": 4},
        {"kind": "HTTP", "exclusive_ms": 4.0, "count": 1},
    ] == totals_by_kind(rows)


def test_own_time_is_where_no_child_ran() -> None:
    line = timeline([root(100), span(1, 10, 20), span(2, 20, 20, operation="HTTP/GET"), span(3, 90, 10, tags={})])
    first = line.rows[0]

    assert (Bar(0, 100),) == first.bars
    assert (Bar(0, 10), Bar(40, 50)) == first.own
    assert [True, False, False, False] == [row.has_children for row in line.rows]
    assert [(), (), ()] == [row.own for row in line.rows[1:]]


def test_a_span_whose_children_ran_all_the_time_has_no_own_time() -> None:
    (first, _) = timeline([root(100), span(1, 0, 100)]).rows

    assert (True, ()) == (first.has_children, first.own)


def test_four_equal_calls_are_a_single_row_at_the_position_of_the_first() -> None:
    others = [span(number, 10 * number + 5, 2, tags={"statement": "DELETE"}) for number in (5, 6)]
    equal = [span(number, 10 * number, 5) for number in range(1, 5)]
    line = timeline([root(100), equal[0], others[0], *equal[1:3], others[1], equal[3]])

    assert [(0,), (1, 2, 3, 4), (5,), (6,)] == [tuple(span["id"] for span in row.spans) for row in line.rows]
    assert ("SELECT ?", 20) == (line.rows[1].detail, line.rows[1].duration_ms)
    assert (Bar(10, 5), Bar(20, 5), Bar(30, 5), Bar(40, 5)) == line.rows[1].bars


@pytest.mark.parametrize(
    "odd", [{"error": "ValueError"}, {"parent": 9}, {"operation": "SQL/Other"}, {"tags": {"statement": "x"}}]
)
def test_a_different_call_is_a_separate_row(odd: dict[str, Any]) -> None:
    spans = [span(1, 10, 5), span(2, 20, 5), span(3, 30, 5, **odd), span(4, 40, 5)]

    assert [1] * 5 == [len(row.spans) for row in timeline([root(100), *spans]).rows]


def test_a_call_with_children_is_not_folded() -> None:
    spans = [*(span(n, 10 * n, 5) for n in range(1, 5)), span(5, 41, 1, parent=4, depth=2)]

    assert [1, 1, 1, 1, 1, 1] == [len(row.spans) for row in timeline([root(100), *spans]).rows]


@given(st.lists(st.tuples(st.floats(-1e3, 1e6), st.floats(0, 1e6)), max_size=30))
def test_bars_stay_within_the_timeline(times: list[tuple[float, float]]) -> None:
    line = timeline([root(50.0), *(span(n, *time) for n, time in enumerate(times, start=1))])

    for row in line.rows:
        for bar in (*row.bars, *row.own):
            assert 0 <= bar.x <= 100
            assert 0 <= bar.width <= 100.001 - bar.x


@given(st.floats(1e-3, 1e8))
def test_an_axis_has_a_few_round_ticks_from_zero(end: float) -> None:
    ticks = timeline([root(end)]).ticks

    assert (0.0, 0.0) == ticks[0]
    assert 2 <= len(ticks) <= 7
    assert all(0 <= x <= 100 for x, _ in ticks)


def test_a_score_is_a_bar_of_its_points() -> None:
    bar = parts({"age": 1.0, "mine": 3.0, "minus": -2.0})

    assert [("mine", 0.0, 75.0), ("age", 75.0, 25.0), ("minus", 100.0, 0.0)] == [
        (part.policy, part.x, part.width) for part in bar
    ]
    assert [] == parts({})


def test_the_equation_separates_configured_drops_from_losses() -> None:
    sum = balance(
        {
            "finished": 100,
            "exported": 89,
            "queued": 2,
            "dropped": {"ignored": 5, "outbox full": 2, "sampled": 1, "rejected": 0, "ignored by peer": 1},
            "spans": 7,
        }
    )

    assert [("outbox full", 2, True), ("ignored by peer", 1, True), ("ignored", 5, False), ("sampled", 1, False)] == [
        (r.reason, r.count, r.is_lost) for r in sum.reasons
    ]
    assert (9, 3, 0) == (sum.dropped, sum.lost, sum.difference)


def test_the_difference_of_an_equation_that_does_not_add_up_is_shown() -> None:
    sum = balance({"finished": 7, "exported": 9, "queued": 3, "dropped": {}})

    assert -5 == sum.difference
    assert 100.0 == sum.percent(sum.exported)
    assert 0.0 == sum.percent(-3)


def test_plugins_that_need_attention_are_counted() -> None:
    assert 2 == count_problems([{"needs_attention": True}, {"needs_attention": False}, {"needs_attention": True}])
