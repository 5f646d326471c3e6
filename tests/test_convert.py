"""What a person writes, to what an option holds."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType, ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scout_core.config import convert
from scout_core.config.options import OPTIONS

unhurried = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)  # the machine may be busy

MODULE = ModuleType("shop")
NONSENSE = [object(), b"x", 1j, [[]], ValueError]
NUMBERS_NOT = ["", " ", "abc", "1,5", "0x10", "--1", "nan", "inf", "-inf", "1e999", math.nan, math.inf, -math.inf, 10**400, True,
               False, None, [], {}, "１.５.", *NONSENSE]  # fmt: skip

GOOD = {
    convert.boolean: [
        *((word, True) for word in ("true", "True", "TRUE", "yes", "Yes", "on", "ON", "t", "T", "1", " true ", True, 1)),
        *((word, False) for word in ("false", "False", "no", "off", "f", "0", "", "  ", False, 0)),
    ],
    convert.text: [
        ("Shop", "Shop"), ("  Shop  ", "Shop"), ("", ""), (None, ""), (7, "7"), (0.5, "0.5"), (Path("/tmp"), "/tmp"), ("日本\ud800", "日本\ud800"),
    ],
    convert.real: [("1.5", 1.5), ("-2", -2.0), (" 3 ", 3.0), ("1e3", 1000.0), (0, 0.0), (Decimal("0.5"), 0.5), (Fraction(1, 4), 0.25)],
    convert.integer: [("5", 5), ("-5", -5), (" 5 ", 5), ("5.0", 5), ("1e3", 1000), (5.0, 5), (0, 0), (-0.0, 0)],
    convert.number: [("0", 0.0), ("1.5", 1.5), (2, 2.0), ("1_000", 1000.0), ("-0", 0.0)],
    convert.positive: [("0.001", 0.001), (60, 60.0)],
    convert.count: [("10", 10), ("10.0", 10), (0, 0), (1e3, 1000)],
    convert.rate: [("0", 0.0), ("0.5", 0.5), ("1", 1.0), (1, 1.0), ("50", 0.5), (100, 1.0), ("1.5", 0.015), ("0.0", 0.0)],
    convert.optional_rate: [("0.5", 0.5), (None, None), ("", None), (0, 0.0)],
    convert.names: [
        ("a", ("a",)), ("a, b", ("a", "b")), (" a ,, b ,", ("a", "b")), ("", ()), (None, ()), (["a", " b "], ("a", "b")), ((), ()),
        (("a", ""), ("a",)), (iter(["a"]), ("a",)),
    ],
    convert.prefixes: [
        ("/health, admin/", ("health", "admin/")), (["/", " //x"], ("", "x")), ("/", ("",)), ("", ()), (None, ()),
    ],
    convert.modules: [("shop.policies, b", ("shop.policies", "b")), ([MODULE, "b"], (MODULE, "b")), ("", ()), (None, ())],
    convert.rates: [
        ("users/:40, admin:0.5", {"users/": 0.4, "admin": 0.5}), ("/users:1", {"users": 1.0}), ("a:b:0.5", {"a:b": 0.5}), ("", {}),
        (None, {}), ({"users": "50"}, {"users": 0.5}), ({}, {}), (MappingProxyType({"/a": 1}), {"a": 1.0}), (" , ", {}),
    ],
    convert.weights: [
        ("speed:2, age:0", {"speed": 2.0, "age": 0.0}), ({"speed": "1.5"}, {"speed": 1.5}), ("", {}), (None, {}),
        ("shop.policies:200", {"shop.policies": 200.0}),
    ],
}  # fmt: skip

BAD = {
    convert.boolean: ["maybe", "2", 2, -1, 1.0, None, "truefalse", [], *NONSENSE],
    convert.text: [[], {}, *NONSENSE],
    convert.real: NUMBERS_NOT,
    convert.integer: [*NUMBERS_NOT, "1.5", 0.1],
    convert.number: [*NUMBERS_NOT, "-1", -0.001],
    convert.positive: [*NUMBERS_NOT, "-1", 0, "0", "0.0"],
    convert.count: [*NUMBERS_NOT, "-1", "1.5"],
    convert.rate: [*NUMBERS_NOT, "-0.5", "101", "50%"],
    convert.optional_rate: ["none", "-1", 101, " ", True],
    convert.names: [5, {"a": 1}, b"a,b", [1], ["a", None], *NONSENSE[2:]],
    convert.prefixes: [5, {"a": 1}, [1]],
    convert.modules: [5, object()],
    convert.rates: ["users", "users:", ":0.5", " : 1", "users:-1", "users:x", ["users:1"], 5, {"users": None}, {"": 1}, {"a": 200}],
    convert.weights: ["speed", "2", ":2", "speed:-1", "speed:x", ["speed:1"], 5, {"": 1}, {"speed": None}, {"speed": math.inf}],
}  # fmt: skip


def cases(table):
    return [
        pytest.param(one, *case, id=f"{one.__name__}-{number}")
        for one in table
        for number, case in enumerate(table[one])
    ]


@pytest.mark.parametrize(("converter", "value", "expected"), cases(GOOD))
def test_what_is_understood(converter, value, expected):
    result = converter(value)

    assert expected == result
    assert type(expected) is type(result)


@pytest.mark.parametrize(
    ("converter", "value"),
    [pytest.param(one, value, id=f"{one.__name__}-{n}") for one in BAD for n, value in enumerate(BAD[one])],
)
def test_what_is_refused_is_told_what_would_have_been_right(converter, value):
    with pytest.raises(ValueError, match=r"^expected "):
        converter(value)


def test_one_of_some_words():
    converter = convert.one_of("path", "filtered_params")

    assert ["path", "filtered_params"] == [converter("PATH"), converter(" filtered_params ")]
    for value in ("pat", "", None, 5):
        with pytest.raises(ValueError, match="^expected one of path, filtered_params$"):
            converter(value)


@unhurried
@given(st.text())
def test_no_text_does_anything_but_convert_or_be_refused(text):
    for option in OPTIONS:
        try:
            option.convert(text)
        except ValueError as error:
            assert "expected" in str(error)


@unhurried
@given(st.floats(0, 100))
def test_a_rate_is_a_share_written_either_way(number):
    assert 0 <= convert.rate(number) <= 1
    assert convert.rate(number) == convert.rate(str(number)) == convert.rate(repr(number))


@unhurried
@given(
    st.dictionaries(
        st.text(st.characters(exclude_characters=",:/ ", exclude_categories=["Cs", "Zs", "Cc"]), min_size=1),
        st.floats(0, 1),
    )
)
def test_rates_and_weights_can_be_written_as_text(table):
    written = ", ".join(f"{name}:{rate!r}" for name, rate in table.items())

    assert table == convert.rates(written) == convert.rates(table)
    assert table == convert.weights(written) == convert.weights(table)


@unhurried
@given(st.lists(st.text(st.characters(exclude_characters=",", exclude_categories=["Cs"]), min_size=1)))
def test_names_can_be_written_as_text(names):
    assert convert.names(names) == convert.names(",".join(names))


@unhurried
@given(st.integers())
def test_whole_numbers_of_any_size(number):
    assert float(number) == convert.integer(number) == convert.integer(str(number))


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.key)
def test_every_default_is_a_value_that_its_converter_gives(option):
    if option.default is not None:
        assert option.default == option.convert(option.default)
        assert type(option.default) is type(option.convert(option.default))
    assert option.help.endswith(".")
    assert option.variable == "SCOUT_" + option.key.upper().replace(".", "_")
