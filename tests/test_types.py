"""Types of Python, as the kinds of value that they stand for."""

# ruff: noqa: DTZ001  # an option may have no time zone

from __future__ import annotations

import collections.abc
import enum
import re
import sys
import typing
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Optional, Union
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scout_core.config.types import kind_of, resolve

unhurried = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)  # the machine may be busy


class Colour(enum.Enum):
    RED = "red"
    DARK_BLUE = "dark-blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 5


UserId = NewType("UserId", int)
Missing = object()

CASES = [
    (bool, "on", True),
    (int, "5", 5),
    (int, 5.0, 5),
    (float, "0.5", 0.5),
    (str, " x ", "x"),
    (Path, "~/x", Path.home() / "x"),
    (Any, "x", "x"),
    (object, Missing, Missing),
    (int | None, "5", 5),
    (int | None, "", None),
    (int | None, None, None),
    (Optional[str], "  ", None),  # noqa: UP045  # plugins write this, too
    (Union[int, None], "7", 7),  # noqa: UP007  # plugins write this, too
    (int | str, "5", 5),
    (int | str, "x", "x"),
    (str | int, 5, 5),
    (bool | int, 1, 1),
    (int | Literal["auto"], "AUTO", "auto"),
    (Literal["a", "b"], "B", "b"),
    (Literal[1, 2], "2", 2),
    (Literal["auto", True, False], "false", False),
    (Colour, "Dark-Blue", Colour.DARK_BLUE),
    (Colour, "DARK_BLUE", Colour.DARK_BLUE),
    (Colour, Colour.RED, Colour.RED),
    (Level, "5", Level.HIGH),
    (Level, 1, Level.LOW),
    (Level, "high", Level.HIGH),
    (list, "a, b", ["a", "b"]),
    (list[int], "1,2", [1, 2]),
    (list[Path], ["/a"], [Path("/a")]),
    (list[list[int]], [["1"], [2, 3]], [[1], [2, 3]]),
    (tuple, "a", ("a",)),
    (tuple[str, ...], "a,b", ("a", "b")),
    (tuple[int, str], "1, x", (1, "x")),
    (tuple[float, float], [1, 2], (1.0, 2.0)),
    (set[str], "a,b,a", {"a", "b"}),
    (frozenset[int], [1, "2"], frozenset({1, 2})),
    (collections.abc.Sequence[str], "a,b", ("a", "b")),
    (typing.List[int], "1", [1]),  # noqa: UP006  # plugins write this, too
    (dict[str, float], "a:1, b:0.5", {"a": 1.0, "b": 0.5}),
    (dict[str, float], {"a": "2"}, {"a": 2.0}),
    (dict[int, int], {"1": "2"}, {1: 2}),
    (dict, "a:b", {"a": "b"}),
    (collections.abc.Mapping[str, list[int]], {"a": [1, "2"]}, {"a": [1, 2]}),
    (timedelta, "5 s", timedelta(seconds=5)),
    (timedelta, "2m", timedelta(minutes=2)),
    (timedelta, 90, timedelta(seconds=90)),
    (timedelta | None, "", None),
    (Decimal, "1.10", Decimal("1.10")),
    (Decimal, 3, Decimal(3)),
    (Decimal, 0.1, Decimal("0.1")),
    (Decimal, "1e400", Decimal("1e400")),
    (date, "2026-01-31", date(2026, 1, 31)),
    (date, date(2026, 1, 31), date(2026, 1, 31)),
    (datetime, "2026-01-31T09:30:00Z", datetime(2026, 1, 31, 9, 30, tzinfo=timezone.utc)),
    (datetime, "2026-01-31 09:30", datetime(2026, 1, 31, 9, 30)),
    (datetime, "2026-01-31t09:30:00.5+02:00", datetime(2026, 1, 31, 9, 30, 0, 500_000, timezone(timedelta(hours=2)))),
    (datetime, "2026-01-31", datetime(2026, 1, 31)),
    (datetime, date(2026, 1, 31), datetime(2026, 1, 31)),
    (datetime, datetime(2026, 1, 31, 9), datetime(2026, 1, 31, 9)),
    (datetime | None, "", None),
    (time, "09:30", time(9, 30)),
    (time, "09:30:15.123456789", time(9, 30, 15, 123_456)),
    (time, time(9), time(9)),
    (list[date], "2026-01-31, 2026-02-01", [date(2026, 1, 31), date(2026, 2, 1)]),
    (UUID, "123E4567-e89b-12d3-a456-426614174000", UUID(int=0x123E4567E89B12D3A456426614174000)),
    (UUID, UUID(int=5), UUID(int=5)),
    (IPv4Address, " 192.0.2.1 ", IPv4Address("192.0.2.1")),
    (IPv6Address, "2001:db8::1", IPv6Address("2001:db8::1")),
    (IPv4Address | IPv6Address, "::1", IPv6Address("::1")),
    (IPv4Interface, "192.0.2.1/24", IPv4Interface("192.0.2.1/24")),
    (IPv6Interface, "::1", IPv6Interface("::1")),
    (IPv4Network, "192.0.2.0/24", IPv4Network("192.0.2.0/24")),
    (IPv6Network, IPv6Network("2001:db8::/32"), IPv6Network("2001:db8::/32")),
    (list[IPv4Network], "10.0.0.0/8, 192.0.2.1", [IPv4Network("10.0.0.0/8"), IPv4Network("192.0.2.1/32")]),
    (re.Pattern[str], "^a+$", re.compile("^a+$")),
    (re.Pattern, re.compile("x"), re.compile("x")),
    (Annotated[int, "of something"], "5", 5),
    (UserId, "5", 5),
]


@pytest.mark.parametrize(("annotation", "value", "expected"), CASES)
def test_a_value_takes_the_type(annotation, value, expected):
    result = kind_of(annotation).read(value)

    assert expected == result
    assert type(expected) is type(result)


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (int | None, "x", "a whole number, or empty"),
        (int | bool, "x", "a whole number or true or false"),
        (Literal["a", 2], "c", "one of a, 2"),
        (Colour, "green", "one of red, dark-blue"),
        (Level, "2", "one of LOW, HIGH"),
        (Level, True, "one of LOW, HIGH"),
        (list[int], "1,x", "a list of values, separated by commas; each value is a whole number"),
        (list[str], [1], "a list of texts, separated by commas"),
        (tuple[int, str], "1", "a list of 2 values, separated by commas: a whole number, text"),
        (dict[str, int], "a", "a table of key:value pairs, separated by commas; each value is a whole number"),
        (timedelta, "soon", "a duration, in seconds or as 500 ms, 2 min, 1h30m"),
        (timedelta, 10**300, "a duration, in seconds or as 500 ms, 2 min, 1h30m"),
        (Decimal, "NaN", "a number"),
        (Path, "", "a path"),
        (Decimal, True, "a number"),
        (date, "31.1.2026", "a date such as 2026-01-31"),
        (date, "2026-02-30", "a date such as 2026-01-31"),
        (date, datetime(2026, 1, 31, 9), "a date such as 2026-01-31"),
        (date, 20260131, "a date such as 2026-01-31"),
        (date, "20260131", "a date such as 2026-01-31"),
        (datetime, "now", "a date and time such as 2026-01-31T09:30:00Z"),
        (datetime, 1_790_000_000, "a date and time such as 2026-01-31T09:30:00Z"),
        (datetime, "2026-01-31T25:00", "a date and time such as 2026-01-31T09:30:00Z"),
        (datetime, time(9), "a date and time such as 2026-01-31T09:30:00Z"),
        (time, "9:30", "a time of day such as 09:30"),
        (time, datetime(2026, 1, 31, 9), "a time of day such as 09:30"),
        (UUID, "123e4567", "a UUID such as 123e4567-e89b-12d3-a456-426614174000"),
        (UUID, 5, "a UUID such as 123e4567-e89b-12d3-a456-426614174000"),
        (IPv4Address, "::1", "an IPv4 address such as 192.0.2.1"),
        (IPv4Address, 5, "an IPv4 address such as 192.0.2.1"),
        (IPv4Network, "10.0.0.1/8", "an IPv4 network such as 192.0.2.0/24, whose host bits are 0: 10.0.0.0/8"),
        (IPv4Network, "10.0.0.1/33", "an IPv4 network such as 192.0.2.0/24"),
        (IPv6Network, 5, "an IPv6 network such as 2001:db8::/32"),
        (re.Pattern[str], "(", "a regular expression, but missing ), unterminated subpattern at position 0"),
        (re.Pattern[str], "(?P<a>)(?P=hunter2)", "a regular expression, but unknown group name at position 11"),
        (re.Pattern[str], 5, "a regular expression"),
        (type(None), "x", "one of nothing"),
    ],
)
def test_a_value_of_another_type_is_refused(annotation, value, expected):
    with pytest.raises(ValueError, match=f"^{re.escape(f'expected {expected}')}$"):
        kind_of(annotation).read(value)


@pytest.mark.parametrize(
    "annotation",
    [
        complex,
        bytes,
        list[bytes],
        dict[str, complex],
        typing.Callable,
        5,
        type,
        Path | bytes,
        re.Pattern[bytes],
        tzinfo,
    ],
)
def test_a_type_that_options_cannot_have(annotation):
    with pytest.raises(TypeError, match="^options cannot have the type "):
        kind_of(annotation)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="not on a Python without the statement type")
def test_a_type_statement():
    names = {}
    exec("type Port = int | None", names)

    assert 5 == kind_of(names["Port"]).read("5")


class Base:
    """Annotations are text in this module, as ``from __future__ import annotations`` makes them."""


class Derived(Base):
    pass


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int | None", int | None),
        ("Path", Path),
        ("Literal['a']", Literal["a"]),
        ("'tuple[str, ...]'", tuple[str, ...]),
        ("Colour", Colour),
        ("Annotated[int, 5]", Annotated[int, 5]),
        ("collections.abc.Sequence[Path]", collections.abc.Sequence[Path]),
        ("FrozenSet[str]", typing.FrozenSet[str]),  # noqa: UP006  # not imported here
        ("Mapping[str, Colour]", collections.abc.Mapping[str, Colour]),
    ],
)
@pytest.mark.parametrize("owner", [Base, Derived])
def test_text_is_resolved_where_the_class_is_written(owner, text, expected):
    assert expected == resolve(text, owner)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("datetime | None", datetime | None),
        ("IPv4Network", IPv4Network),
        ("list[UUID]", list[UUID]),
        ("Decimal", Decimal),
    ],
)
def test_types_of_the_standard_library_need_not_be_imported_when_the_module_runs(text, expected):
    owner = type("Options", (), {"__module__": "shop.without_imports"})

    assert expected == resolve(text, owner)


def test_a_name_that_is_not_defined():
    with pytest.raises(TypeError, match=r"^the type Unheard\[int\] cannot be resolved; import its names"):
        resolve("Unheard[int]", Base)


def values_of(annotation):
    """Values of a type."""
    return {
        int: st.integers(-(2**100), 2**100),
        float: st.floats(allow_nan=False, allow_infinity=False),
        bool: st.booleans(),
        Path: st.text(st.characters(categories=["Ll", "Nd"]), min_size=1).map(Path),
        str: st.text(st.characters(categories=["Ll", "Nd"]), min_size=1),
        Colour: st.sampled_from(Colour),
        Level: st.sampled_from(Level),
        timedelta: st.integers(0, 10**6).map(lambda seconds: timedelta(seconds=seconds)),
        Decimal: st.decimals(allow_nan=False, allow_infinity=False, places=3),
        date: st.dates(),
        datetime: st.datetimes(timezones=st.none() | st.just(timezone.utc)),
        time: st.times(),
        UUID: st.uuids(),
        IPv4Address: st.ip_addresses(v=4),
        IPv6Address: st.ip_addresses(v=6),
        IPv4Network: st.ip_addresses(v=4, network="10.0.0.0/8").map(IPv4Network),
    }[annotation]


def written(value):
    if isinstance(value, enum.Enum):
        return str(value.value)
    return f"{value.total_seconds()} s" if isinstance(value, timedelta) else str(value)


PLAIN = st.sampled_from(
    [
        int,
        float,
        bool,
        Path,
        str,
        Colour,
        Level,
        timedelta,
        Decimal,
        date,
        datetime,
        time,
        UUID,
        IPv4Address,
        IPv6Address,
        IPv4Network,
    ]
)


@unhurried
@given(PLAIN.flatmap(lambda annotation: st.tuples(st.just(annotation), st.lists(values_of(annotation)))))
def test_lists_of_every_type_can_be_written_as_text_and_as_lists(case):
    annotation, values = case
    kind = kind_of(list[annotation])

    assert values == kind.read(values)
    assert values == kind.read([written(value) for value in values])
    assert values == kind.read(", ".join(written(value) for value in values))
    assert frozenset(values) == kind_of(frozenset[annotation]).read(values)


@unhurried
@given(PLAIN.flatmap(lambda annotation: st.tuples(st.just(annotation), values_of(annotation))))
def test_an_optional_value_is_that_of_the_type(case):
    annotation, value = case

    assert value == kind_of(annotation).read(value) == kind_of(annotation | None).read(written(value))
    assert value == kind_of(dict[str, annotation]).read({"x": written(value)})["x"]


@unhurried
@given(
    st.sampled_from([annotation for annotation, *_ in CASES]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.lists(st.text() | st.none()),
)
def test_every_value_is_converted_or_refused(annotation, value):
    kind = kind_of(annotation)
    try:
        result = kind.read(value)
    except ValueError as error:
        assert str(error).startswith(f"expected {kind.expected}")  # with the reason, for patterns and networks
    else:
        again = kind.read(result)
        assert result == again or repr(result) == repr(again)  # NaN is not equal to itself
