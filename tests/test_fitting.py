"""Reports that are cut to a size: by the estimate for the outbox, and to the byte for the receiver."""

from __future__ import annotations

import random

import pytest
from attrs import evolve

from scout_core.measuring.error_report import RelatedException
from scout_core.measuring.histogram import Histogram
from scout_core.measuring.queues import MAX_QUEUES
from scout_core.measuring.report import (
    ErrorExample,
    ErrorGroupMetrics,
    ErrorReport,
    KindMetrics,
    PluginStatus,
    QueueMetrics,
    SpanRecord,
    Trace,
    TransactionMetrics,
)
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
        queues={
            queue: QueueMetrics(
                count=5, errors=1, total=total / 2, durations=Histogram(dict.fromkeys(range(5), 1)), queue_time=0.25,
                waits=Histogram({3: 1}), outcomes={"success": 4, "retry": 1},
            ) for queue in ("mail", name) if name.startswith("Job/")
        },
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


def group(key: str, count: int = 1, *, example: bool = True, names: int = 1) -> ErrorGroupMetrics:
    return ErrorGroupMetrics(
        group=key, title=f"E{key} in shop:buy", exception=f"E{key}", cause="", where="shop:buy", message="m" * 100, count=count,
        handled=1, endpoints={f"Controller/page{number}": count for number in range(names)}, first=1e9, last=1e9 + count,
        example=ErrorExample(name="Controller/page0", time=1e9, error=RELATED, tags={"path": "/" * 500}, trace="0" * 16)
        if example else None,
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
    queues = [figures for metrics in smaller.transactions for figures in metrics.queues.values()]
    for queue_sums in ("count", "errors", "queue_time"):
        expected = {"count": 5, "errors": 1, "queue_time": 0.25}[queue_sums] * 2_000
        assert expected == pytest.approx(sum(getattr(figures, queue_sums) for figures in queues))
    assert {"success": 8_000, "retry": 2_000} == {
        outcome: sum(figures.outcomes[outcome] for figures in queues) for outcome in ("success", "retry")
    }
    assert (10_000, 2_000) == (
        sum(figures.durations.count for figures in queues), sum(figures.waits.count for figures in queues)
    )  # fmt: skip
    (other,) = (metrics for metrics in smaller.transactions if metrics.name == "Job/other")
    assert MAX_QUEUES + 1 == len(other.queues)


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


def test_groups_of_errors_stay_and_the_examples_of_the_fewest_errors_are_left_out_first():
    groups = tuple(group(f"{number}", number) for number in range(1, 6))
    report = sample_report(error_groups=groups)

    body, smaller = cut(report, len(encode(report)) - 1)

    assert len(body) < len(encode(report))
    assert [it.count for it in groups] == [it.count for it in smaller.error_groups]
    assert ([1], {"examples": 1}) == ([it.count for it in smaller.error_groups if it.example is None], smaller.left_out)


def test_traces_come_before_examples():
    report = sample_report(traces=(trace(1, 1_000),), error_groups=(group("a"),))

    _, smaller = cut(report, len(encode(report)) - 1)

    assert (1, None) == (len(smaller.traces), smaller.error_groups[0].example)


def test_groups_that_do_not_fit_are_counted_under_other_the_ones_with_the_fewest_errors_first():
    groups = (*(group(f"{number:03}", number, names=3) for number in range(1, 101)), group("other", 7, example=False))
    report = sample_report(error_groups=groups)
    without = encode(evolve(report, error_groups=()))

    body, smaller = cut(report, len(without) + 15_000)

    assert len(body) <= len(without) + 15_000
    assert sum(it.count for it in groups) == sum(it.count for it in smaller.error_groups)
    *listed, other = smaller.error_groups
    assert ("other", 0 < len(listed) < 100) == (other.group, True)
    assert min(it.count for it in listed) > 100 - len(listed)
    assert {"error groups": len(groups) - len(smaller.error_groups), "examples": 100} == smaller.left_out
    assert (1e9, 1e9 + 100 - len(listed)) == (other.first, other.last)


def test_names_of_groups_that_are_summed_up_stay_bounded():
    groups = tuple(
        evolve(
            group(f"{number}", names=0, example=False), endpoints={f"Controller/{number}-{it}": 1 for it in range(20)}
        )
        for number in range(50)
    )

    _, smaller = cut(sample_report(error_groups=groups), 3_000)

    assert 21 == len(smaller.error_groups[-1].endpoints)


def test_the_estimate_counts_groups_and_their_examples():
    without, with_groups = (
        sample_report(),
        sample_report(error_groups=tuple(group(f"{number}") for number in range(50))),
    )

    growth = len(encode(with_groups)) - len(encode(without))
    assert growth * 0.8 < weigh(with_groups) - weigh(without) < growth * 1.5
