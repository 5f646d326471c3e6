"""Number formats: about three digits, a fitting unit, and no rounding into a fourth digit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_dashboard.formatting import (
    age,
    breakable_parts,
    cost,
    count,
    decimal,
    duration,
    iso,
    moment,
    percent,
    plural,
    rate,
    size,
    utc,
)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, "–"), (0, "0 ms"), (0.0004, "0.4 µs"), (0.0037, "3.7 µs"), (0.037, "37 µs"), (0.0994, "99 µs"), (0.0996, "0.1 ms"), (0.42, "0.4 ms"),
        (9.94, "9.9 ms"), (9.96, "10 ms"), (86.4, "86 ms"), (999.4, "999 ms"), (999.6, "1.00 s"), (1_240, "1.24 s"), (9_994, "9.99 s"),
        (9_996, "10.0 s"), (99_960, "100 s"), (599_400, "599 s"), (600_000, "10.0 min"), (7_200_000, "2.0 h"), (864_000_000, "10.0 d"),
    ],
)  # fmt: skip
def test_durations(milliseconds: float | None, text: str) -> None:
    assert text == str(duration(milliseconds))


@pytest.mark.parametrize(
    ("per_minute", "text"),
    [(None, "–"), (0, "0 / min"), (0.25, "0.25 / min"), (0.996, "1.0 / min"), (12.44, "12.4 / min"), (99.96, "100 / min"), (1_204.4, "1,204 / min")],
)  # fmt: skip
def test_rates(per_minute: float | None, text: str) -> None:
    assert text == str(rate(per_minute))


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (None, "–"),
        (0, "0 %"),
        (0.0001, "<0.1 %"),
        (0.0006, "0.1 %"),
        (0.021, "2.1 %"),
        (0.9994, "99.9 %"),
        (0.9996, "100 %"),
        (1, "100 %"),
    ],
)
def test_percentages(fraction: float | None, text: str) -> None:
    assert text == str(percent(fraction))


def test_counts_decimals_and_sizes() -> None:
    assert ["–", "0", "1,204", "12,304,221"] == [str(count(number)) for number in (None, 0, 1_204, 12_304_221)]
    assert ["–", "0.00", "0.94", "5.00", "−1.25", "0.00"] == [
        str(decimal(number)) for number in (None, 0, 0.94, 5, -1.25, -0.001)
    ]
    assert ["–", "0 B", "999 B", "1.0 kB", "12.4 MB", "2.00 GB"] == [
        str(size(n)) for n in (None, 0, 999, 1_000, 12_400_000, 2e9)
    ]


def test_ages_are_whole_and_never_negative() -> None:
    assert ["0 s", "0 s", "59 s", "1 min", "59 min", "2 h", "3 d"] == [
        str(age(s)) for s in (-5, 0.9, 59.9, 60, 3_599, 7_300, 260_000)
    ]


def test_times_are_utc() -> None:
    at = 1_795_246_930.25

    assert ("21 Nov 07:42:10", "21 Nov 07:42", "07:42") == (moment(at), moment(at, "minute"), moment(at, "clock"))
    assert ("2026-11-21T07:42:10.250Z", "2026-11-21 07:42:10 UTC") == (iso(at), utc(at))


def test_plurals() -> None:
    assert ["0 errors", "1 error", "1,204 errors"] == [plural(number, "error") for number in (0, 1, 1_204)]
    assert "2 plugins need" == plural(2, "plugin needs", "plugins need")


@given(st.floats(min_value=0, max_value=1e12))
def test_a_duration_never_shows_more_than_four_digits_below_days(milliseconds: float) -> None:
    figure = duration(milliseconds)

    assert figure.unit == "d" or sum(character.isdigit() for character in figure.number) <= 3
    assert figure.unit in {"µs", "ms", "s", "min", "h", "d"}


@given(st.text())
def test_joined_parts_of_a_name_are_the_name(name: str) -> None:
    assert name == "".join(breakable_parts(name))


def test_a_name_may_break_after_dots_slashes_and_underscores() -> None:
    assert ["api/", "v2.", "list_", "orders"] == breakable_parts("api/v2.list_orders")


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [(None, "–"), (0.0, "0 ms"), (0.0021, "2.1 µs"), (0.0994, "99 µs"), (0.0996, "100 µs"), (0.35, "350 µs"), (0.999, "999 µs"),
     (0.9996, "1.0 ms"), (12.4, "12 ms")],
)  # fmt: skip
def test_the_cost_of_a_hook_is_in_microseconds_below_a_millisecond(milliseconds, shown):
    assert shown == str(cost(milliseconds))
