from __future__ import annotations

import pytest

from scout_core.measuring.stats import Lifetime, Stats


def stats_of(*durations: float, kept_at: float = 100.0, all_time: float = 1.0, now: float = 100.0) -> Stats:
    """Return the stats of the last of these transactions of a name."""
    lifetime = Lifetime(kept_at)
    quantile = [lifetime.add(duration) for duration in durations][-1]
    return Stats(lifetime, quantile, all_time, now)


def test_stats_include_the_current_transaction():
    stats = stats_of(1.0, 2.0, 4.0, 3.0, all_time=40.0, now=160.0)

    assert 4 == stats.count
    assert 2.5 == stats.mean
    assert 0.25 == stats.share
    assert 0.5 == stats.quantile
    assert 60.0 == stats.seconds_since_kept
    assert [stats.percentile(q) for q in (0, 0.5, 1)] == pytest.approx([1.0, 2.0, 4.0], rel=0.0101)


def test_the_first_transaction_of_a_name_has_quantile_zero():
    stats = stats_of(1.0)

    assert (1, 1.0, 1.0, 0.0, 0.0) == (
        stats.count, stats.mean, stats.share, stats.quantile, stats.seconds_since_kept,
    )  # fmt: skip


def test_the_share_is_zero_when_no_time_was_spent():
    assert 0.0 == stats_of(0.0, all_time=0.0).share


def test_the_time_since_a_trace_was_kept_is_never_negative():
    assert 0.0 == stats_of(1.0, kept_at=200.0).seconds_since_kept
