"""Kinds of values: what they accept, what they refuse, and how they read."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType, ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scout_core.config import durations, kinds
from scout_core.config.options import OPTIONS

unhurried = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)  # the machine may be busy

POSITIVE = kinds.within(kinds.NUMBER, gt=0)
NOT_NEGATIVE = kinds.within(kinds.NUMBER, ge=0)
OPTIONAL_SHARE = kinds.optional(kinds.SHARE)
PORT = kinds.within(kinds.INTEGER, ge=0, le=65535)
MODE = kinds.choice_of(["filtered_params", "path"])
LEVEL = kinds.choice_of([1, 2, "high", None])
SHORT = kinds.among(kinds.NAMES, [("a",), ("a", "b")])
NUMBERS = kinds.list_of(kinds.INTEGER, set)
TABLE = kinds.table_of(kinds.list_of(kinds.INTEGER))

MODULE = ModuleType("shop")
NONSENSE = [object(), b"x", 1j, [[]], ValueError]
NUMBERS_NOT = ["", " ", "abc", "1,5", "0x10", "--1", "nan", "inf", "-inf", "1e999", math.nan, math.inf, -math.inf, 10**400, True,
               False, None, [], {}, "１.５.", *NONSENSE]  # fmt: skip

GOOD = {
    kinds.BOOLEAN: [
        *((word, True) for word in ("true", "True", "TRUE", "yes", "Yes", "on", "ON", "t", "T", "1", " true ", True, 1)),
        *((word, False) for word in ("false", "False", "no", "off", "f", "0", False, 0)),
    ],
    kinds.TEXT: [
        ("Shop", "Shop"), ("  Shop  ", "Shop"), ("", ""), (None, ""), (7, "7"), (0.5, "0.5"), (Path("/tmp"), "/tmp"), ("日本\ud800", "日本\ud800"),
    ],
    kinds.NUMBER: [("1.5", 1.5), ("-2", -2.0), (" 3 ", 3.0), ("1e3", 1000.0), (0, 0.0), (Decimal("0.5"), 0.5), (Fraction(1, 4), 0.25)],
    kinds.INTEGER: [("5", 5), ("-5", -5), (" 5 ", 5), ("5.0", 5), ("1e3", 1000), (5.0, 5), (0, 0), (-0.0, 0)],
    NOT_NEGATIVE: [("0", 0.0), ("1.5", 1.5), (2, 2.0), ("1_000", 1000.0), ("-0", 0.0)],
    POSITIVE: [("0.001", 0.001), (60, 60.0)],
    kinds.COUNT: [("10", 10), ("10.0", 10), (0, 0), (1e3, 1000)],
    kinds.SHARE: [("0", 0.0), ("0.5", 0.5), ("1", 1.0), (1, 1.0), ("50", 0.5), (100, 1.0), ("1.5", 0.015), ("0.0", 0.0), ("50%", 0.5), ("0.5 %", 0.005)],
    OPTIONAL_SHARE: [("0.5", 0.5), (None, None), ("", None), (" ", None), (0, 0.0)],
    kinds.NAMES: [
        ("a", ("a",)), ("a, b", ("a", "b")), (" a ,, b ,", ("a", "b")), ("", ()), (None, ()), (["a", " b "], ("a", "b")), ((), ()),
        (("a", ""), ("a",)), (iter(["a"]), ("a",)),
    ],
    kinds.PREFIXES: [
        ("/health, admin/", ("health", "admin/")), (["/", " //x"], ("", "x")), ("/", ("",)), ("", ()), (None, ()),
    ],
    kinds.MODULES: [("shop.policies, b", ("shop.policies", "b")), ([MODULE, "b"], (MODULE, "b")), ("", ()), (None, ())],
    kinds.SHARES: [
        ("users/:40, admin:0.5", {"users/": 0.4, "admin": 0.5}), ("/users:1", {"users": 1.0}), ("a:b:0.5", {"a:b": 0.5}), ("", {}),
        (None, {}), ({"users": "50"}, {"users": 0.5}), ({}, {}), (MappingProxyType({"/a": 1}), {"a": 1.0}), (" , ", {}),
    ],
    kinds.WEIGHTS: [
        ("speed:2, age:0", {"speed": 2.0, "age": 0.0}), ({"speed": "1.5"}, {"speed": 1.5}), ("", {}), (None, {}),
        ("shop.policies:200", {"shop.policies": 200.0}),
    ],
    kinds.SECONDS: [
        ("5", 5.0), (5, 5.0), (" 0.5 ", 0.5), ("5 s", 5.0), ("2m", 120.0), ("2 min", 120.0), ("1h30m", 5400.0), ("1 h 30 min", 5400.0),
        ("1.5 hours", 5400.0), ("500 ms", 0.5), ("500milliseconds", 0.5), ("1D", 86400.0), ("2 days", 172800.0), ("90 seconds", 90.0),
        (timedelta(minutes=2), 120.0), ("1e3", 1000.0),
    ],
    kinds.PATH: [("/tmp", Path("/tmp")), (" a/b ", Path("a/b")), ("~/x", Path.home() / "x"), (Path("/tmp"), Path("/tmp"))],
    PORT: [("0", 0), ("65535", 65535)],
    MODE: [("PATH", "path"), (" filtered_params ", "filtered_params")],
    LEVEL: [("1", 1), (2, 2), ("HIGH", "high"), (None, None)],
    SHORT: [("a", ("a",)), (["a", "b"], ("a", "b"))],
    NUMBERS: [("3, 1,3", {1, 3}), ([2, "4"], {2, 4}), ("", set()), (None, set())],
    TABLE: [({"a": [1, "2"]}, {"a": (1, 2)}), ("a:1", {"a": (1,)})],
    kinds.ANYTHING: [(NONSENSE[0], NONSENSE[0]), (None, None)],
}  # fmt: skip

BAD = {
    kinds.BOOLEAN: ["maybe", "", "  ", "2", 2, -1, 1.0, None, "truefalse", [], *NONSENSE],
    kinds.TEXT: [[], {}, *NONSENSE],
    kinds.NUMBER: NUMBERS_NOT,
    kinds.INTEGER: [*NUMBERS_NOT, "1.5", 0.1],
    NOT_NEGATIVE: [*NUMBERS_NOT, "-1", -0.001],
    POSITIVE: [*NUMBERS_NOT, "-1", 0, "0", "0.0"],
    kinds.COUNT: [*NUMBERS_NOT, "-1", "1.5"],
    kinds.SHARE: [*NUMBERS_NOT, "-0.5", "101", "101%", "%", "5%%"],
    OPTIONAL_SHARE: ["none", "-1", 101, True],
    kinds.NAMES: [5, {"a": 1}, b"a,b", [1], ["a", None], *NONSENSE[2:]],
    kinds.PREFIXES: [5, {"a": 1}, [1]],
    kinds.MODULES: [5, object()],
    kinds.SHARES: ["users", "users:", ":0.5", " : 1", "users:-1", "users:x", ["users:1"], 5, {"users": None}, {"": 1}, {"a": 200}],
    kinds.WEIGHTS: ["speed", "2", ":2", "speed:-1", "speed:x", ["speed:1"], 5, {"": 1}, {"speed": None}, {"speed": math.inf}],
    kinds.SECONDS: [*NUMBERS_NOT, "5 parsecs", "s", "5 s 3", "5s later", "-5 s", "-5", -5, -0.1, timedelta(seconds=-5), "-1e3", "1:30", "5 µs"],
    kinds.PATH: ["", "  ", None, 5, [], *NONSENSE],
    PORT: ["-1", 65536, "80.5", None, ""],
    MODE: ["pat", "", None, 5, *NONSENSE],
    LEVEL: ["3", True, 1.5, *NONSENSE],
    SHORT: ["b", 5],
    NUMBERS: ["1,x", 5, [None], {"a": 1}],
    TABLE: [{"a": ["x"]}, {"": []}, 5],
}  # fmt: skip


def cases(table):
    return [
        pytest.param(kind, *(case if isinstance(case, tuple) else (case,)), id=f"{kind.name}-{number}")
        for kind in table
        for number, case in enumerate(table[kind])
    ]


@pytest.mark.parametrize(("kind", "value", "expected"), cases(GOOD))
def test_accepted_values(kind, value, expected):
    result = kind.read(value)

    assert expected == result
    assert type(expected) is type(result)


@pytest.mark.parametrize(
    ("kind", "value"),
    [pytest.param(kind, value, id=f"{kind.name}-{n}") for kind in BAD for n, value in enumerate(BAD[kind])],
)
def test_refused_values_name_the_kind(kind, value):
    with pytest.raises(ValueError, match=f"^{re.escape(f'expected {kind.expected}')}$"):
        kind.read(value)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (kinds.BOOLEAN, "true or false"),
        (kinds.COUNT, "a whole number of at least 0"),
        (PORT, "a whole number from 0 to 65535"),
        (POSITIVE, "a number above 0"),
        (kinds.within(kinds.NUMBER, gt=0, lt=1), "a number above 0 and below 1"),
        (OPTIONAL_SHARE, "a share from 0 to 1, or a percentage up to 100, or empty"),
        (kinds.optional(PORT), "a whole number from 0 to 65535, or empty"),
        (kinds.within(kinds.SECONDS, gt=0), "a duration above 0, in seconds or as 500 ms, 2 min, 1h30m"),
        (MODE, "one of filtered_params, path"),
        (kinds.NAMES, "a list of names, separated by commas"),
        (NUMBERS, "a list of values, separated by commas; each value is a whole number"),
        (
            kinds.table_of(kinds.SHARE, names=("name", "share")),
            "a table of name:share pairs, separated by commas; each share is a number from 0 to 1, or a percentage up to 100",
        ),
        (
            kinds.WEIGHTS,
            "a table of policy:weight pairs, separated by commas, such as speed:2; each weight is a number of at least 0",
        ),
    ],
)
def test_a_kind_reads_as_a_phrase(kind, expected):
    assert expected == kind.expected


def test_a_bound_accepts_none_where_the_kind_does():
    assert kinds.within(kinds.optional(kinds.INTEGER), ge=0).read("") is None


@unhurried
@given(st.text())
def test_every_text_is_converted_or_refused(text):
    for option in OPTIONS:
        try:
            option.kind.read(text)
        except ValueError as error:
            assert "expected" in str(error)


@unhurried
@given(st.floats(0, 100))
def test_a_rate_is_a_share_written_either_way(number):
    assert 0 <= kinds.SHARE.read(number) <= 1
    assert kinds.SHARE.read(number) == kinds.SHARE.read(str(number)) == kinds.SHARE.read(repr(number))


@unhurried
@given(
    st.dictionaries(
        st.text(st.characters(exclude_characters=",:/ ", exclude_categories=["Cs", "Zs", "Cc"]), min_size=1),
        st.floats(0, 1),
    )
)
def test_rates_and_weights_can_be_written_as_text(table):
    written = ", ".join(f"{name}:{rate!r}" for name, rate in table.items())

    assert table == kinds.SHARES.read(written) == kinds.SHARES.read(table)
    assert table == kinds.WEIGHTS.read(written) == kinds.WEIGHTS.read(table)


@unhurried
@given(st.lists(st.text(st.characters(exclude_characters=",", exclude_categories=["Cs"]), min_size=1)))
def test_names_can_be_written_as_text(names):
    assert kinds.NAMES.read(names) == kinds.NAMES.read(",".join(names))


@unhurried
@given(st.integers(-(2**1000), 2**1000))
def test_whole_numbers_are_exact(number):
    assert number == kinds.INTEGER.read(number) == kinds.INTEGER.read(str(number))


@unhurried
@given(st.dictionaries(st.sampled_from(["d", "h", "m", "s", "ms"]), st.integers(0, 10**6), min_size=1))
def test_a_duration_is_the_sum_of_its_parts(parts):
    factors = {"d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
    text = " ".join(f"{number} {unit}" for unit, number in parts.items())

    expected = sum(number * factors[unit] for unit, number in parts.items())
    assert math.isclose(expected, kinds.SECONDS.read(text), abs_tol=1e-9)
    assert kinds.SECONDS.read(text) == kinds.SECONDS.read(text.replace(" ", ""))


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.key)
def test_every_default_is_a_value_of_its_kind(option):
    if option.default is not None:
        assert option.default == option.kind.read(option.default)
        assert type(option.default) is type(option.kind.read(option.default))
    assert option.help.endswith(".")
    assert option.variable == "SCOUT_" + option.key.upper().replace(".", "_")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0"), (0.0, "0"), (60.0, "1 min"), (2, "2 s"), (90, "90 s"), (5_400, "90 min"), (3_600, "1 h"), (86_400, "1 d"), (0.005, "5 ms"),
        (0.0002, "0.2 ms"), (1.5, "1.5 s"), (-60, "-1 min"), (timedelta(minutes=1), "1 min"), (timedelta(), "0"),
    ],
)  # fmt: skip
def test_a_duration_is_written_with_its_unit(seconds, expected):
    assert expected == durations.duration(seconds)
    assert not isinstance(seconds, float) or seconds < 0 or kinds.SECONDS.read(expected) == seconds


@unhurried
@given(st.floats(0, 10**9) | st.integers(0, 10**9) | st.timedeltas(timedelta(0)))
def test_every_duration_is_read_as_it_was_written(seconds):
    expected = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds

    assert expected == kinds.SECONDS.read(durations.duration(seconds))


def test_bounds_of_durations_are_written_with_their_units():
    assert "a duration from 2 s to 1 min" == kinds.within(kinds.SECONDS, ge=2.0, le=60.0).name
