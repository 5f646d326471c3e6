from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_core.text.plain import beginning, cut, exact, plain, text_of


class Hostile(str):
    """Each method that could be called on the way to a plain text raises."""

    __slots__ = ()

    def _refuse(self, *args, **kwargs):
        raise AssertionError("a foreign method was called")

    __str__ = __repr__ = __len__ = __iter__ = __getitem__ = __eq__ = __contains__ = __format__ = __add__ = _refuse
    __hash__ = __bool__ = encode = replace = translate = join = lower = _refuse


def test_a_subclass_becomes_an_exact_text_without_asking_it():
    text = exact(Hostile("ann"))

    assert type(text) is str
    assert text == "ann"
    assert type(plain(Hostile(""))) is str


def test_an_exact_text_stays_the_same_object():
    text = "".join(["a", "nn"])

    assert exact(text) is text


@given(st.text(st.characters()))
def test_a_plain_text_can_be_encoded_and_has_the_same_length(text):
    result = plain(text)

    result.encode("utf-8")
    assert len(result) == len(text)
    assert plain(result) == result


def test_only_lone_surrogates_are_replaced():
    assert plain("a\ud83d\U0001f600\udc00b") == "a\ufffd\U0001f600\ufffdb"


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [("", 3, ""), ("abc", 3, "abc"), ("abcd", 3, "ab…"), ("abcdef", 1, "…")],
)
def test_what_is_too_long_ends_with_a_mark(text, limit, shown):
    assert shown == cut(text, limit)


def test_a_long_text_is_read_well_beyond_what_is_shown():
    assert beginning("x" * 2_000, 1_000) == "x" * 2_000
    assert beginning("x" * 9_999, 1_000) == "x" * 1_936


class Unprintable:
    def __init__(self, error):
        self.error = error

    def __str__(self):
        raise self.error


def test_the_text_of_any_object_is_visible_and_bounded():
    assert r"a\x1b[31m\nb" == text_of("a\x1b[31m\nb", 50)
    assert "12345" == text_of(12345, 5)
    assert "1234…" == text_of(123456, 5)
    assert 5 == len(text_of("\n" * 100, 5))


@pytest.mark.parametrize("error", [ZeroDivisionError(), SystemExit(1), GeneratorExit()])
def test_an_object_without_a_text_is_unprintable(error):
    assert "<unprintable exception>" == text_of(Unprintable(error), 50)


def test_an_interrupt_passes_while_a_text_is_made():
    with pytest.raises(KeyboardInterrupt):
        text_of(Unprintable(KeyboardInterrupt()), 50)
