from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from scout_core.measuring.histogram import Histogram, RankedHistogram, bucket_of, value_of
from scout_core.sending.wire import decode, encode
from tests.workbench import sample_report

DAY = 86_400.0
unhurried = settings(deadline=None)  # the machine may be busy
seconds = st.floats(min_value=1e-7, max_value=DAY)
many_seconds = st.lists(seconds, min_size=1, max_size=200)


def histogram_of(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


@unhurried
@given(many_seconds, st.floats(min_value=0, max_value=1))
def test_every_quantile_is_within_one_percent_of_the_exact_quantile(values, q):
    exact = next(value for number, value in enumerate(sorted(values), 1) if number >= q * len(values) - 1e-6)

    assert abs(histogram_of(values).quantile(q) - exact) <= exact * (0.01 + 1e-9)


@pytest.mark.parametrize(
    ("values", "q", "expected"),
    [
        ([0.0004, 0.009], 0.95, 0.009),
        ([0.0004, 0.009], 0.5, 0.0004),
        ([1.0] * 9 + [100.0], 0.95, 100.0),
        ([1.0] * 49 + [100.0], 0.99, 100.0),
        ([1.0] * 99 + [100.0], 0.99, 1.0),
        ([1.0, 2.0, 3.0], 0.0, 1.0),
    ],
)
def test_a_quantile_of_few_values_is_not_too_low(values, q, expected):
    assert histogram_of(values).quantile(q) == pytest.approx(expected, rel=0.01)


@unhurried
@given(many_seconds, many_seconds)
def test_merging_is_the_same_as_adding_all_values(some, others):
    merged, other = histogram_of(some), histogram_of(others)

    merged.merge(other)

    assert histogram_of(some + others) == merged
    assert len(some + others) == merged.count
    assert histogram_of(others) == other


@unhurried
@given(many_seconds)
def test_encoding_and_decoding_keeps_every_bucket(values):
    sent = sample_report(transactions=0)
    sent = evolve(sent, transactions=(evolve(sent.transactions[0], durations=histogram_of(values)),))

    (received,) = decode(encode(sent)).transactions

    assert histogram_of(values) == received.durations
    assert len(values) == received.durations.count


@unhurried
@given(many_seconds, seconds)
def test_rank_is_the_share_of_shorter_values_except_those_in_the_same_bucket(values, value):
    histogram = histogram_of(values)
    clearly_shorter = sum(other < value / 1.0203 for other in values) / len(values)
    shorter = sum(other < value for other in values) / len(values)
    at_most = sum(other <= value for other in values) / len(values)
    at_most_slightly_longer = sum(other < value * 1.0203 for other in values) / len(values)

    assert clearly_shorter <= histogram.rank(value) <= shorter
    assert at_most <= histogram.share_at_most(value) <= at_most_slightly_longer


@unhurried
@given(many_seconds, many_seconds)
def test_adding_with_rank_gives_the_same_rank_as_a_search(before, after):
    ranked, plain = RankedHistogram(), Histogram()
    for value in before:
        ranked.add(value)
        plain.add(value)
    ranked.merge(histogram_of(after))
    plain.merge(histogram_of(after))

    for value in (*after, *before):
        plain.add(value)
        assert plain.rank(value) == ranked.add_ranked(bucket_of(value))
    assert plain == ranked


def test_rank_counts_only_lower_buckets():
    histogram = histogram_of([1.0, 2.0, 2.0, 3.0])

    assert [0.0, 0.25, 0.75, 1.0] == [histogram.rank(value) for value in (1.0, 2.0, 3.0, 4.0)]
    assert [0.0, 0.25, 0.75, 1.0] == [histogram.share_at_most(value) for value in (0.5, 1.0, 2.0, 3.0)]


def test_values_below_a_tenth_of_a_microsecond_count_as_a_tenth():
    histogram = histogram_of([0.0, -1.0, 1e-9, 1e-7])

    assert 1 == len(histogram.buckets)
    assert 1e-7 == pytest.approx(histogram.quantile(1.0), rel=0.01)


def test_a_day_fits_into_fewer_than_1400_buckets():
    histogram = Histogram()
    value = 1e-9
    while value < DAY:
        histogram.add(value)
        value *= 1.005

    assert len(histogram.buckets) < 1_400


@unhurried
@given(seconds)
def test_the_value_of_a_bucket_is_within_one_percent_of_the_values_in_it(value):
    (bucket,) = histogram_of([value]).buckets

    assert abs(value_of(bucket) - value) <= value * (0.01 + 1e-9)


def test_an_empty_histogram_has_no_quantiles():
    empty = Histogram()

    assert None is empty.quantile(0.5)
    assert 0.0 == empty.rank(1.0)
    assert 1.0 == empty.share_at_most(1.0)
    assert 0 == empty.count


def test_histograms_are_compared_by_their_buckets_and_are_not_hashable():
    assert Histogram({5: 2}) == Histogram({5: 2})
    assert Histogram({5: 2}) != Histogram({5: 3})
    assert Histogram() != {}
    assert 2 == Histogram({5: 2}).count
    with pytest.raises(TypeError, match="unhashable"):
        hash(Histogram())
