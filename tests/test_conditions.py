"""Conditions of attrs's validators: what an option then accepts, and the words for it."""

from __future__ import annotations

import re
from datetime import timedelta

import attrs
import pytest
from attrs import field, validators
from attrs.validators import (
    and_,
    deep_iterable,
    deep_mapping,
    ge,
    gt,
    in_,
    instance_of,
    is_callable,
    le,
    lt,
    matches_re,
    max_len,
    min_len,
    not_,
    optional,
)

from scout_core.config.config import read_config


def not_three(instance, attribute, value):
    if value == 3:
        raise ValueError(f"{attribute.name} must not be 3, it is {value}")


def configured(annotation, validator, default, value, **more):
    options = attrs.make_class(
        "Made",
        {
            "odd": field(type=annotation, default=default, validator=validator, **more),
            "even": field(type=int, default=2),
        },
    )
    found = read_config({"plugin_options": {"team": {"odd": value, "even": 4}}}, environment={})
    found.add_plugin_options("team", options)
    return found


CASES = {
    "in_": (int, in_([1, 2]), 1, "2", 3, "one of 1, 2"),
    "in_ in any case": (str, in_(["a", "B"]), "a", "B", "c", "one of a, B"),
    "in_ of a range": (int, in_(range(1, 65536)), 1, "80", 70_000, "a whole number from 1 to 65535"),
    "in_ of a text": (str, in_("abc"), "a", "ab", "x", "text that is in 'abc'"),
    "in_ of many": (int, in_([*range(0, 60, 2)]), 0, 58, 1, f"one of {', '.join(map(str, range(0, 40, 2)))}, …"),
    "ge": (int, ge(3), 4, 3, 2, "a whole number of at least 3"),
    "gt and le": (float, [gt(0), le(1)], 0.5, 1, 0, "a number above 0 and of at most 1"),
    "lt": (int, lt(3), 0, 2, 3, "a whole number below 3"),
    "two of a kind": (int, and_(gt(1), gt(5)), 6, 7, 3, "a whole number above 5"),
    "a bound with a unit": (timedelta, le(timedelta(minutes=1)), timedelta(), timedelta(seconds=5), "2 min",
                            "a duration of at most 1 min, in seconds or as 500 ms, 2 min, 1h30m"),
    "max_len": (str, max_len(5), "", "short", "long one", "text of at most 5 characters"),
    "min_len": (str, min_len(1), "x", "y", "", "text of at least 1 character"),
    "lengths of a list": (tuple[str, ...], max_len(1), (), ("a",), "a,b", "a list of texts with at most 1 entry, separated by commas"),
    "matches_re": (str, matches_re("[a-z]+"), "a", "b", "B", "text that matches '[a-z]+'"),
    "search": (str, matches_re("a", re.IGNORECASE, re.search), "a", "BAB", "c", "text that contains a match of 'a', ignoring case"),
    "match": (str, matches_re("a", func=re.match), "a", "ab", "ba", "text that begins with a match of 'a'"),
    "not_": (int, not_(in_([3, 4])), 1, 5, 3, "a whole number other than 3, 4"),
    "not_ a length": (str, not_(max_len(2)), "abc", "abcd", "b", "text of at least 3 characters"),
    "not_ a match": (str, not_(matches_re("a.*")), "", "ba", "ab", "text that does not match 'a.*'"),
    "not_ of a bound": (int, not_(ge(5)), 1, 4, 5, "a whole number below 5"),
    "not_ with others": (int, [ge(0), le(9), not_(in_([3]))], 1, 4, 3, "a whole number from 0 to 9 and other than 3"),
    "not_ what the plugin checks": (int, not_(not_three), 3, 3, 4, "a whole number that not_three refuses"),
    "instance_of": (object, instance_of((int, str)), 1, "x", 1.5, "anything of type int or str"),
    "instance_of what it is": (int, instance_of(int), 1, 2, "x", "a whole number"),
    "instance_of a list": (list[int], instance_of(list), [], [1], "x", "a list of values, separated by commas; each value is a whole number"),
    "is_callable": (object, is_callable(), print, len, 5, "anything that can be called"),
    "deep_iterable": (list[int], deep_iterable(ge(0), max_len(2)), [], [1, 2], "1,-1",
                      "a list of values with at most 2 entries, separated by commas; each value is a whole number of at least 0"),
    "deep_iterable of texts": (tuple[str, ...], deep_iterable(max_len(2)), (), ("ab",), "ab,abc",
                               "a list of values, separated by commas; each value is text of at most 2 characters"),
    "deep_iterable of a fixed length": (tuple[int, int], deep_iterable(ge(0)), (0, 0), (1, 2), "1,-1",
                                        "a list of 2 values, separated by commas: a whole number of at least 0, a whole number of at least 0"),
    "deep_iterable of anything": (object, deep_iterable(instance_of(int)), (), [1], ["a"], "anything, each value is anything of type int"),
    "deep_mapping": (dict[str, int], deep_mapping(max_len(2), ge(0)), {}, {"ab": 1}, {"ab": -1},
                     "a table of key:value pairs, separated by commas; each key is text of at most 2 characters, each value is a whole number of at least 0"),
    "optional": (str | None, optional(min_len(3)), None, None, "ab", "text of at least 3 characters, or empty"),
    "none although it is not optional": (int | None, ge(3), 4, 5, "", "a whole number of at least 3"),
    "none among choices": (str | None, in_([None, "a"]), None, None, "b", "one of a, or empty"),
}  # fmt: skip
if hasattr(validators, "or_"):
    CASES["or_"] = (int, validators.or_(ge(5), in_([0])), 5, 0, 3, "a whole number of at least 5 or equal to 0")


@pytest.mark.parametrize(("annotation", "validator", "default", "good", "bad", "expected"), CASES.values(), ids=CASES)
def test_a_condition_holds_and_is_named(annotation, validator, default, good, bad, expected):
    found = configured(annotation, validator, default, good)
    assert ([], 4) == (found.problems, found.plugin("team").even)
    assert good == found.plugin("team").odd or str(found.plugin("team").odd) == str(good)
    assert expected == found.options["plugins.team.odd"].kind.expected

    found = configured(annotation, validator, default, bad)
    (problem,) = found.problems
    assert problem.detail.split("(code); ")[1].startswith(f"expected {expected}; using the default, ")
    assert (default, 4) == (found.plugin("team").odd, found.plugin("team").even)


@pytest.mark.parametrize(
    ("annotation", "validator", "value", "message"),
    [
        (int, not_three, "3", "odd must not be 3, it is 3"),
        (int, [ge(0), not_three], 3, "odd must not be 3, it is 3"),
        (list[int], deep_iterable(not_three), "1, 3", "odd must not be 3, it is 3"),
        (dict[str, int], deep_mapping(instance_of(str), not_three), {"a": 3}, "odd must not be 3, it is 3"),
        (int, not_(in_([3]), msg="3 is taken"), 3, "3 is taken"),
    ],
)
def test_a_validator_of_the_plugin_s_own_has_its_own_message(annotation, validator, value, message):
    default = {int: 1}.get(annotation) or annotation()
    found = configured(annotation, validator, default, value)

    (problem,) = found.problems
    assert problem.detail.endswith(f"(code); {message}; using the default, {default!r}")
    assert (default, 4) == (found.plugin("team").odd, found.plugin("team").even)


def test_a_condition_is_that_of_the_converted_value():
    assert [] == configured(int, ge(0), 1, -5, converter=abs).problems
    found = configured(int, ge(10), 11, 5, converter=lambda value: value)

    (problem,) = found.problems
    assert "; expected a whole number of at least 10, and the plugin does not allow this value; " in problem.detail
    assert 11 == found.plugin("team").odd


class Hostile:
    def __contains__(self, value):
        return value == 1

    def __repr__(self):
        raise RuntimeError("no")


def test_a_condition_that_cannot_be_named_still_holds():
    assert 1 == configured(int, in_(Hostile()), 1, 1).plugin("team").odd
    found = configured(int, in_(Hostile()), 1, 2)

    assert (1, 1) == (found.plugin("team").odd, len(found.problems))
