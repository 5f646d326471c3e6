from __future__ import annotations

import enum
import json
import sys
import threading
import types
import uuid
from collections import OrderedDict, UserDict, defaultdict
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import Path, PurePosixPath
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scout_core.text.tags import clean_tags


class Called(AssertionError):
    """Foreign code ran."""


def refuse(*args, **kwargs):
    raise Called


class HostileMeta(type):
    """A type that cannot even be asked for its name."""

    __name__ = property(refuse)
    __repr__ = __str__ = __eq__ = __instancecheck__ = __subclasscheck__ = __call__ = refuse
    __hash__ = type.__hash__

    def __getattribute__(cls, name):
        raise Called


def hostile(base):
    """A subclass whose every method raises, and an attribute look-up too."""
    methods = {
        f"__{name}__": refuse
        for name in (
            *(
                "repr",
                "str",
                "bool",
                "eq",
                "ne",
                "lt",
                "format",
                "len",
                "iter",
                "getitem",
                "contains",
                "int",
                "float",
                "index",
            ),
            *(
                "add",
                "radd",
                "sub",
                "floordiv",
                "truediv",
                "abs",
                "neg",
                "bytes",
                "getattribute",
                "fspath",
                "reduce_ex",
                "del_",
            ),
        )
    }
    for name in ("isoformat", "encode", "lower", "bit_length", "is_integer", "__class__"):
        methods[name] = property(refuse)
    return type("Hostile", (base,), {**methods, "__hash__": base.__hash__})


class Plan(enum.Enum):
    GOLD = "g"


class Level(enum.IntEnum):
    HIGH = 3


class Colour(str, enum.Enum):
    RED = "red"


def hostile_member():
    class HostileEnum(enum.Enum):
        A = 1

    member = HostileEnum.A
    for name in ("name", "__str__", "__repr__", "__getattribute__"):
        type.__setattr__(HostileEnum, name, property(refuse) if name == "name" else refuse)
    return member


class Part(str):
    """Python >= 3.12 keeps the parts of a path as they were given until the path is asked for its text."""

    __slots__ = ()
    startswith = endswith = rstrip = split = replace = __add__ = __str__ = refuse


class Zone(tzinfo):
    utcoffset = tzname = dst = refuse


class OwnDatetime(datetime):
    isoformat = __str__ = refuse


NOON = datetime(2024, 5, 6, 12, 0)  # noqa: DTZ001  each zone is tried below

VALUES = [
    ("text", "text"),
    ("", ""),
    (True, True),
    (False, False),
    (None, None),
    (0, 0),
    (-(2**63), -(2**63)),
    (2**64 - 1, 2**64 - 1),
    (2**64, "<int>"),
    (10**5000, "<int>"),
    (1.5, 1.5),
    (float("nan"), None),
    (float("-inf"), None),
    (b"bytes", "<bytes>"),
    (bytearray(b"x"), "<bytearray>"),
    ([1], "<list>"),
    ({}, "<dict>"),
    (object(), "<object>"),
    (object, "<type>"),
    (ValueError("x"), "<ValueError>"),
    (1 + 2j, "<complex>"),
    (types, "<module>"),
    # the standard library
    (NOON, "2024-05-06T12:00:00"),
    (NOON.replace(tzinfo=timezone.utc), "2024-05-06T12:00:00+00:00"),
    (NOON.replace(tzinfo=ZoneInfo("Europe/Berlin")), "2024-05-06T12:00:00+02:00"),
    (NOON.replace(tzinfo=Zone()), "2024-05-06T12:00:00 <Zone>"),
    (OwnDatetime(2024, 5, 6), "<OwnDatetime>"),
    (time(9, 30), "09:30:00"),
    (time(9, 30, tzinfo=timezone.utc), "09:30:00+00:00"),
    (time(9, 30, tzinfo=Zone()), "09:30:00 <Zone>"),
    (date(2024, 5, 6), "2024-05-06"),
    (timedelta(seconds=90), "0:01:30"),
    (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    (Decimal("12.50"), "12.50"),
    (Decimal("NaN"), "NaN"),
    (PurePosixPath("/srv/shop/app.py"), "/srv/shop/app.py"),
    (Path("a") / "b", f"a{Path('/')}b" if sys.platform == "win32" else "a/b"),
    (Plan.GOLD, "Plan.GOLD"),
    (Level.HIGH, 3),
    (Colour.RED, "red"),
    # cleaned
    ("token=abc", "token=[FILTERED]"),
    ("4111 1111 1111 1111", "[FILTERED]"),
    (4111111111111111, "[FILTERED]"),
    (4111111111111111.0, "[FILTERED]"),
    (4111111111111112, 4111111111111112),
    (Path("/a/password=hunter2"), "/a/password=[FILTERED]"),
    ("lone \ud800", "lone \ufffd"),
    ("x" * 2_000, "x" * 2_000),
    ("x" * 2_001, "x" * 1_999 + "…"),
]


@pytest.mark.parametrize(("value", "shown"), VALUES, ids=lambda value: type(value).__name__)
def test_values(value, shown):
    cleaned, dropped = clean_tags({"tag": value})

    assert ({"tag": shown}, 0) == (cleaned, dropped)
    assert type(cleaned["tag"]) is type(shown)


def hostile_values():
    odd = hostile(object)
    named = type(hostile(str)("Named"), (), {})
    with_meta = HostileMeta("WithMeta", (), {"__repr__": refuse})
    lazy_path = PurePosixPath(Part("a")) if sys.version_info >= (3, 12) else PurePosixPath("a")
    number = uuid.UUID(int=5)
    object.__setattr__(number, "int", hostile(object)())
    return [
        (odd(), "<Hostile>"),
        (odd, "<type>"),
        (hostile(str)("text"), "text"),
        (hostile(str)("password=hunter2"), "password=[FILTERED]"),
        (hostile(int)(7), 7),
        (hostile(int)(2**70), "<int>"),
        (hostile(float)(1.5), 1.5),
        (hostile(bytes)(b"x"), "<Hostile>"),
        (hostile(dict)(), "<Hostile>"),
        (hostile(Exception)("x"), "<Hostile>"),
        (hostile_member(), "HostileEnum.A"),
        (named(), "<Named>"),
        (type.__call__(with_meta), "<WithMeta>"),
        (with_meta, "<HostileMeta>"),
        (lazy_path, "<PurePosixPath>" if sys.version_info >= (3, 12) else "a"),
        (number, "<UUID>"),
        (type("Decimal", (), {"__str__": refuse})(), "<Decimal>"),
        (type("PosixPath", (), {"__str__": refuse})(), "<PosixPath>"),
    ]


@pytest.mark.parametrize("number", range(18))
def test_no_foreign_code_runs(number):
    value, shown = hostile_values()[number]
    cleaned, dropped = clean_tags({"tag": value, "url": value, "statement": value, "dialect": value})

    assert type(cleaned["tag"]) is type(shown)
    assert shown == cleaned["tag"]
    assert (4, 0) == (len(cleaned), dropped)


def test_the_hostile_values_are_hostile():
    """Else the test above shows nothing."""
    value = hostile(object)()

    for attempt in (repr, str, bool, lambda it: it == 1, lambda it: it.name, lambda it: isinstance(it, str), len):
        with pytest.raises(Called):
            attempt(value)
    assert len(hostile_values()) == 18


@pytest.mark.parametrize(
    ("tags", "cleaned"),
    [
        ({}, {}),
        ({"statement": "SELECT 'a'"}, {"statement": "SELECT ?"}),
        (
            {"statement": 'SELECT "a" = 5', "dialect": "postgresql"},
            {"statement": 'SELECT "a" = ?', "dialect": "postgresql"},
        ),
        ({"dialect": 5, "statement": 'SELECT "a"'}, {"dialect": 5, "statement": "SELECT ?"}),
        ({"statement": b"SELECT 'a'"}, {"statement": "<bytes>"}),
        ({"statement": "SELECT 'a"}, {"statement": "<statement that could not be read>"}),
        ({"statement": "SELECT " + "a, " * 1_000}, {"statement": ("SELECT " + "a, " * 1_000)[:1_999] + "…"}),
        ({"statement": "SELECT \ud800 'x'"}, {"statement": "SELECT \ufffd ?"}),
        ({"url": "http://ann:x@h/a?b#c"}, {"url": "http://h/a"}),
        ({"url": 5}, {"url": 5}),
        ({"path": "/a?password=[FILTERED]&b=c"}, {"path": "/a?password=[FILTERED]&b=c"}),
        (
            {"password": "x", "apiKey": 5, "Cookie": object()},
            {"password": "[FILTERED]", "apiKey": "[FILTERED]", "Cookie": "[FILTERED]"},
        ),
        ({"session": None, "is_private": True}, {"session": None, "is_private": "[FILTERED]"}),
        # keys
        ({5: 1, None: 2, True: 3, 1.5: 4, ("a",): 5}, {"5": 1, "None": 2, "True": 3, "1.5": 4, "<tuple>": 5}),
        ({"k" * 101: 1}, {"k" * 99 + "…": 1}),
        ({"k" * 100 + "_password": 1}, {"k" * 99 + "…": "[FILTERED]"}),
        ({"k" * 2_000: 1}, {"k" * 99 + "…": "[FILTERED]"}),
        ({"\ud800": 1}, {"\ufffd": 1}),
        ({"token=abc": "x"}, {"token=[FILTERED]": "[FILTERED]"}),
        ({10**5000: 1}, {"<int>": 1}),
        ({Plan.GOLD: 1, Colour.RED: 2, Level.HIGH: 3}, {"Plan.GOLD": 1, "red": 2, "3": 3}),
    ],
)
def test_values_of_sensitive_and_special_keys(tags, cleaned):
    assert (cleaned, 0) == clean_tags(tags)


def test_at_most_64_tags_leave():
    tags = {f"k{number}": number for number in range(100)}

    assert ({f"k{number}": number for number in range(64)}, 36) == clean_tags(tags)


def test_keys_that_become_the_same_are_counted():
    class Thing:
        pass

    assert ({"<Thing>": 1, "5": 1}, 2) == clean_tags({Thing(): 1, Thing(): 2, 5: 1, "5": 2})


@pytest.mark.parametrize(
    "kind", [OrderedDict, lambda items: defaultdict(list, items), types.MappingProxyType, UserDict]
)
def test_any_mapping_is_read(kind):
    assert ({"a": 1}, 0) == clean_tags(kind({"a": 1}))


def test_a_dict_with_methods_of_its_own_is_read_without_them():
    assert ({"a": 1}, 0) == clean_tags(hostile(dict)({"a": 1}))
    assert ({}, 1) == clean_tags(hostile(object)())


class Endless(UserDict):
    def items(self):
        number = 0
        while True:
            number += 1
            yield number, number


class Odd(UserDict):
    def items(self):
        return [1, 2, 3]


@pytest.mark.parametrize("tags", [None, 5, "text", object(), Odd(), [("a", 1)]], ids=lambda tags: type(tags).__name__)
def test_an_object_that_is_not_a_mapping_is_a_single_dropped_tag(tags):
    assert ({}, 1) == clean_tags(tags)


def test_an_endless_mapping_ends():
    cleaned, dropped = clean_tags(Endless())

    assert len(cleaned) == 64
    assert dropped == 9_936


def test_another_thread_may_change_the_tags_meanwhile():
    tags = {f"k{number}": number for number in range(40)}
    done = threading.Event()

    def change():
        number = 0
        while not done.is_set():
            number += 1
            tags[f"n{number % 30}"] = number
            tags.pop(f"n{(number + 15) % 30}", None)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(2_000):
            cleaned, _ = clean_tags(tags)
            assert cleaned["k7"] == 7
    finally:
        done.set()
        thread.join()


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.decimals()
    | st.datetimes()
    | st.uuids(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3) | st.tuples(inner)
    ),
    max_leaves=5,
)
KEYS = (
    st.sampled_from(["statement", "url", "path", "dialect", "password"])
    | st.text(max_size=5)
    | st.integers()
    | st.binary(max_size=3)
)


@settings(max_examples=120, deadline=None)
@given(st.dictionaries(KEYS, ANYTHING, max_size=8))
def test_anything_becomes_something_that_can_be_sent(tags):
    cleaned, dropped = clean_tags(tags)

    json.dumps(cleaned, allow_nan=False, ensure_ascii=False).encode("utf-8")
    assert len(cleaned) + dropped == len(tags)
    assert {type(key) for key in cleaned} <= {str}
    assert {type(value) for value in cleaned.values()} <= {str, int, float, bool, type(None)}


@settings(max_examples=100, deadline=None)
@given(
    st.text("xyzXYZ789", min_size=8),
    st.sampled_from(["my_password", "apiKey", "session"]),
    st.sampled_from([str, list, lambda text: Path(text)]),
)
def test_nothing_under_a_sensitive_key_leaves(secret, key, kind):
    assert secret not in json.dumps(
        clean_tags({key: kind(secret), "statement": f"SELECT '{secret}'", "url": f"//h?{secret}"})
    )
