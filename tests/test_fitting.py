"""Reports that are cut to a size: by the estimate for the outbox, and to the byte for the receiver."""

from __future__ import annotations

import random

import pytest
from attrs import evolve

from scout_core.measuring.error_report import RelatedException
from scout_core.measuring.histogram import Histogram
from scout_core.measuring.report import ErrorReport, KindMetrics, PluginStatus, SpanRecord, Trace, TransactionMetrics
from scout_core.problems import Problem
from scout_core.sending.fitting import fit
from scout_core.sending.weight import weigh
from scout_core.sending.wire import decode, encode, encode_within
from scout_core.states import State
from tests.workbench import sample_report


def trace(score: float, size: int, name: str = "Controller/home", text: str = "x") -> Trace:
    record = SpanRecord(id=1, parent=0, operation="SQL/Query", start=0.0, duration=0.1, tags={"sql": text * size})
    return Trace(
        id=f"{int(score * 1000):016x}", name=name, start=1e9, duration=0.1, queue_time=None, is_error=False, error=None,
        tags={}, score=score, policies={"speed": score}, spans=(record,),
    )  # fmt: skip


def figures(name: str, *, count: int = 10, total: float = 1.0, buckets: int = 1, kinds: int = 1) -> TransactionMetrics:
    durations = Histogram(dict.fromkeys(range(buckets), 1))
    durations.merge(Histogram({0: count - buckets}))
    return TransactionMetrics(
        name=name, count=count, errors=1, total=total, durations=durations, queue_time=0.5, queued=2,
        kinds={f"Kind{n}": KindMetrics(count=count, errors=1, total=total, exclusive=total) for n in range(kinds)},
    )  # fmt: skip


RELATED = ErrorReport(
    exception="E", message="m", frames=(), handled=True,
    related=(
        RelatedException(
            exception="shop.E", message="m" * 50, frames=(("/srv/app/shop.py", 1, "f"),) * 20, in_app=(True,) * 20,
            notes=("a note",) * 3, parent=0, relation="member",
        ),
    ) * 20,
)  # fmt: skip


def status(name: str, frames: int = 0) -> PluginStatus:
    return PluginStatus(
        name=name, distribution=None, version=None, state=State.ACTIVE, reason="", target="", hooks=(), wrapped=(),
        waiting=(), not_found=(), calls=0, errors=0, last_error=None, seconds_per_call=None,
        traceback=(("/srv/app/shop/scout.py" * 10, 1, "function"),) * frames,
    )  # fmt: skip


def cut(report, most):
    """Return the report that arrives when at most so many bytes may be sent."""
    body, smaller = encode_within(report, most)
    assert smaller == decode(body)
    return body, smaller


def test_a_report_that_fits_is_not_changed():
    report = sample_report(traces=(trace(1, 1_000),))

    assert (encode(report), report) == encode_within(report, len(encode(report)))


def test_figures_stay_and_traces_are_left_out_by_score():
    traces = tuple(trace(score, 10_000) for score in (3, 1, 5, 2, 4))
    report = sample_report(transactions=312, traces=traces)

    body, smaller = cut(report, 35_000)

    assert 30_000 < len(body) <= 35_000
    assert report.transactions == smaller.transactions
    assert [3, 5, 4] == [kept.score for kept in smaller.traces], "in their former order"
    assert {"traces": 2} == smaller.left_out


def test_a_trace_that_is_too_large_does_not_keep_a_smaller_one_from_its_place():
    report = sample_report(traces=(trace(9, 500_000), trace(8, 1_000), trace(7, 1_000)))

    assert [8, 7] == [kept.score for kept in cut(report, 20_000)[1].traces]


def test_what_was_left_out_before_is_added():
    report = sample_report(traces=(trace(9, 500_000),), left_out={"traces": 3, "names": 2})

    assert {"traces": 4, "names": 2} == cut(report, 20_000)[1].left_out


@pytest.mark.parametrize("text", ["é", "\U0001f600", "\x00", '"', "\ud800", "x"])
def test_the_limit_holds_for_every_character(text):
    """JSON needs up to twelve bytes for a character."""
    report = sample_report(traces=tuple(trace(score, 2_000, text=text) for score in range(20)))

    assert len(encode_within(report, 60_000)[0]) <= 60_000


def test_names_that_do_not_fit_are_counted_under_other():
    names = [figures(f"Controller/page_{n:05}", total=float(n)) for n in range(4_000)]
    names += [figures(f"Job/work_{n:05}", total=float(n), buckets=7, kinds=3) for n in range(1_000)]
    random.Random(1).shuffle(names)
    report = sample_report(transactions=0, traces=(trace(1, 100_000),))
    report = evolve(report, transactions=tuple(names))

    body, smaller = cut(report, 200_000)

    assert 150_000 < len(body) <= 200_000
    assert {"traces": 1, "names": 5_000 - len(smaller.transactions)} == smaller.left_out
    assert {"Controller/page_03999", "Controller/other", "Job/other"} < {
        metrics.name for metrics in smaller.transactions
    }
    for sums in ("count", "errors", "total", "queue_time", "queued"):
        assert sum(getattr(metrics, sums) for metrics in names) == pytest.approx(
            sum(getattr(metrics, sums) for metrics in smaller.transactions)
        )
    assert 50_000 == sum(metrics.durations.count for metrics in smaller.transactions)
    assert sum(metrics.kinds["Kind2"].count for metrics in smaller.transactions if "Kind2" in metrics.kinds) == 10_000


def test_figures_are_sent_even_if_they_do_not_fit_by_themselves():
    names = tuple(figures(f"Controller/page_{n}", buckets=10, kinds=5) for n in range(100))
    report = evolve(sample_report(traces=(trace(1, 1_000),)), transactions=names, plugins=(status("a"),))

    _, smaller = cut(report, 0)

    assert ["Controller/other"] == [metrics.name for metrics in smaller.transactions]
    assert 1_000 == smaller.transactions[0].count
    assert ({"names": 99, "plugins": 1, "traces": 1}, (), ()) == (smaller.left_out, smaller.plugins, smaller.traces)


def test_plugins_come_before_traces():
    report = evolve(sample_report(traces=(trace(1, 3_000),)), plugins=(status("a", frames=50), status("b")))

    _, smaller = cut(report, 14_000)

    assert (["a", "b"], {"traces": 1}) == ([plugin.name for plugin in smaller.plugins], smaller.left_out)


@pytest.mark.parametrize(
    "report",
    [
        sample_report(transactions=1),
        sample_report(traces=(trace(1, 50_000),)),
        sample_report(traces=tuple(trace(n, 20) for n in range(500))),
        evolve(sample_report(), transactions=tuple(figures(f"Job/{n}", buckets=10, kinds=9) for n in range(300))),
        evolve(sample_report(), plugins=tuple(status(f"plugin {n}", frames=20) for n in range(50))),
        evolve(
            sample_report(),
            plugins=(
                evolve(status("a"), target_problems=(Problem("missing-target", "a" * 500, "b" * 500),) * 50),
                evolve(status("b"), reason="r" * 10_000, wrapped=("module:Class.method",) * 500),
            ),
        ),
        sample_report(
            traces=(
                evolve(
                    trace(1, 1),
                    error=ErrorReport(exception="E", message="m" * 300, frames=(("/srv/app" * 20, 1, "f"),) * 50),
                    more_errors=(RELATED,) * 9,
                    merged={f"SQL/{n}": (1, 0.5) for n in range(500)},
                ),
            )
        ),
    ],
    ids=["small", "text", "traces", "figures", "frames", "problems", "error"],
)
def test_the_estimate_is_near_the_encoded_size(report):
    assert 0.5 < weigh(report) / len(encode(report)) < 2


def test_the_estimate_is_enough_to_cut_a_report():
    report = sample_report(traces=tuple(trace(score, 10_000) for score in range(20)))

    smaller = fit(report, 50_000, weigh)

    assert weigh(smaller) <= 50_000
    assert [16, 17, 18, 19] == [kept.score for kept in smaller.traces]
