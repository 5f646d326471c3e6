from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_core.text.queue_time import seconds_in_queue

NOW = 1_700_000_000.0
YEAR = 365.25 * 86_400


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("t=1699999999.5", 0.5),
        ("1699999999.5", 0.5),
        ("t=1699999999", 1.0),
        ("t=1699999999500", 0.5),
        ("t=1699999999500.250", 0.49975),
        ("1699999999500000", 0.5),
        ("t=1699999999500000000", 0.5),
        (" t= 1699999999.5 ", 0.5),
        ("t=1700000000", 0.0),
        # repeated: the earliest counts, in whatever unit; what is unreadable, later than now or too old does not
        ("t=1699999999,t=1699999998", 2.0),
        ("t=1699999998000, 1699999999", 2.0),
        ("(null), t=1699999999.5", 0.5),
        ("t=1699999999.5,t=1700000009,1,", 0.5),
        (", ,t=1700000000", 0.0),
        (f"t={NOW - 9.99 * YEAR}", 9.99 * YEAR),
    ],
)
def test_the_magnitude_determines_the_unit(header, seconds):
    assert seconds == pytest.approx(seconds_in_queue(header, NOW), abs=1e-5)


@pytest.mark.parametrize(
    "header",
    [
        *(
            "",
            " ",
            "t=",
            "t",
            "now",
            "nan",
            "inf",
            "t=inf",
            "-1699999999",
            "t=-1",
            "+1699999999",
            "0x6553F0FF",
            "1e9",
            "1_699_999_999",
        ),
        *("-,unknown", "t=1700000009,1", "1699999999s", "١٦٩٩٩٩٩٩٩٩", "0", "t=1", "1" * 400),
        "t=1700000001",
        "t=1700000000500",
        "t=9" + "9" * 24,
        f"t={NOW - 10.01 * YEAR}",
        f"t={(NOW - 10.01 * YEAR) * 1000}",
    ],
)
def test_none_when_it_is_absent_unreadable_in_the_future_or_too_old(header):
    assert seconds_in_queue(header, NOW) is None


def test_ten_years_are_counted_from_now():
    header = "t=1400000000"

    assert seconds_in_queue(header, 1_400_000_001.0) == 1.0
    assert seconds_in_queue(header, 1_400_000_000.0 + 10.1 * YEAR) is None


@given(st.floats(0, 9 * YEAR), st.sampled_from([1, 1e3, 1e6, 1e9]), st.booleans())
def test_every_unit_gives_the_same(waited, units, prefix):
    header = f"{'t=' if prefix else ''}{(NOW - waited) * units:.6f}"

    assert waited == pytest.approx(seconds_in_queue(header, NOW + 1e-3), abs=2e-3)


@given(st.text() | st.from_regex(r"t?=?[0-9]{1,25}\.?[0-9]{0,30}"), st.floats())
def test_every_header_gives_none_or_seconds_that_are_not_negative(header, now):
    seconds = seconds_in_queue(header, now)

    assert seconds is None or seconds >= 0
