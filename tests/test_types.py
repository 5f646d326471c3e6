"""Types of Python, as the kinds of value that they stand for."""

from __future__ import annotations

import collections.abc
import enum
import re
import sys
import typing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Optional, Union

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
        (re.Pattern[str], "(", "a regular expression"),
        (re.Pattern[str], 5, "a regular expression"),
        (type(None), "x", "one of nothing"),
    ],
)
def test_a_value_of_another_type_is_refused(annotation, value, expected):
    with pytest.raises(ValueError, match=f"^{re.escape(f'expected {expected}')}$"):
        kind_of(annotation).read(value)


@pytest.mark.parametrize(
    "annotation", [complex, bytes, list[bytes], dict[str, complex], typing.Callable, 5, type, Path | bytes]
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
    }[annotation]


def written(value):
    if isinstance(value, enum.Enum):
        return str(value.value)
    return f"{value.total_seconds()} s" if isinstance(value, timedelta) else str(value)


PLAIN = st.sampled_from([int, float, bool, Path, str, Colour, Level, timedelta, Decimal])


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
        assert f"expected {kind.expected}" == str(error)
    else:
        assert result == kind.read(result)
