from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scout_core.text.message import UNREADABLE, error_message


class RaisesError(Exception):
    def __str__(self):
        raise RuntimeError("no")


class GivesNoTextError(Exception):
    def __str__(self):
        return 7


class OddText(str):
    __slots__ = ()

    def splitlines(self, *args):
        raise AssertionError("a foreign method was called")

    __len__ = __getitem__ = __eq__ = __iter__ = splitlines
    __hash__ = None


class GivesOddTextError(Exception):
    def __str__(self):
        return OddText("odd 'text'")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError(), ""),
        (ValueError("plain words"), "plain words"),
        (ValueError("could not convert string to float: 'hunter2'"), "could not convert string to float: ?"),
        (ValueError('invalid input syntax for type integer: "hunter2"'), "invalid input syntax for type integer: ?"),
        (ValueError("two 'a b' and \"c 'd' e\""), "two ? and ?"),
        (ValueError("bytes b'hunter2', r'x'"), "bytes ?, ?"),
        (ValueError("curly “hunter2” ‘it’s’ «x»"), "curly ? ? ?"),
        (ValueError("escaped 'it\\'s', x"), "escaped ?, x"),
        (ValueError('escaped \\"hunter2\\"'), "escaped \\?"),
        (ValueError("first line\nsecond 'line'"), "first line"),
        (ValueError("\r\n  \n  first\rsecond"), "first"),
        (ValueError("can't do, won't do"), "can't do, won't do"),
        (ValueError("can't open 'a b'"), "can't open ?"),
        # values with quotes of their own
        (ValueError("Duplicate entry 'O'Brien' for key 'name'"), "Duplicate entry ? for key ?"),
        (ValueError("Duplicate entry 'O' Brien' for key 'name'"), "Duplicate entry ?"),
        (ValueError("Duplicate entry 'hunter2"), "Duplicate entry ?"),
        (ValueError('read "hunter2'), "read ?"),
        # databases
        (ValueError("(1062, \"Duplicate entry 'ann' for key 'email'\")"), "(1062, ?)"),
        (ValueError("Key (email)=(ann@example.com) already exists."), "Key (email)=(?) already exists."),
        (ValueError("Key (a, f(b))=(1, (2)) is not present."), "Key (a, f(b))=(?) is not present."),
        (ValueError("Key (a)=(it's"), "Key (a)=(?"),
        (ValueError("The duplicate key value is (ann, 7)."), "The duplicate key value is (?)."),
        (
            ValueError("(sqlite3.IntegrityError) UNIQUE constraint failed: user.email\n[SQL: x]"),
            "(sqlite3.IntegrityError) UNIQUE constraint failed: user.email",
        ),
        # secrets outside of quotes
        (ValueError("bad password=hunter2, sorry"), "bad password=[FILTERED], sorry"),
        (
            OSError("http://ann:hunter2@example.com/?token=x refused"),
            "http://example.com/ refused",
        ),
        (ValueError("card 4111 1111 1111 1111"), "card [FILTERED]"),
        # names of the program
        (KeyError("plan"), "'plan'"),
        (KeyError("billing.plan-2"), "'billing.plan-2'"),
        (KeyError("ann@example.com"), "?"),
        (KeyError("two words"), "?"),
        (KeyError("x" * 42), "?"),
        (KeyError("ghp_" + "a1B2c3" * 6), "?"),
        (KeyError("f3a91c04d5e6b7a8f9c0d1e2"), "?"),
        (KeyError("f50e8400-e29b-41d4-a716-446655440000"), "?"),
        (KeyError(17), "17"),
        (KeyError(("plan", "ann@example.com")), "('plan', ?)"),
        (IndexError("list index out of range"), "list index out of range"),
        (AttributeError("'NoneType' object has no attribute 'id'"), "'NoneType' object has no attribute 'id'"),
        (NameError("name 'shop' is not defined"), "name 'shop' is not defined"),
        (ModuleNotFoundError("No module named 'shop.views'"), "No module named 'shop.views'"),
        (LookupError("entry 'O' Brien' for 'plan'"), "entry ?"),
        # odd exceptions
        (RaisesError(), UNREADABLE),
        (GivesNoTextError(), UNREADABLE),
        (GivesOddTextError(), "odd ?"),
        (KeyboardInterrupt("'x'"), "?"),
        (ValueError("lone \ud800"), "lone \ufffd"),
    ],
)
def test_messages_of_exceptions(error, message):
    assert message == error_message(error)


def test_the_message_of_a_real_database_error_has_no_values():
    connection = sqlite3.connect(":memory:")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("SELECT 1 FROM t WHERE a = 'x' 'hunter2'")
    connection.close()

    assert "hunter2" in str(caught.value) or "no such table" in str(caught.value)
    assert "hunter2" not in error_message(caught.value)


def test_a_long_message_is_cut():
    assert error_message(ValueError("x" * 10_000)) == "x" * 299 + "…"
    assert error_message(ValueError("read '" + "x" * 10_000_000)) == "read ?"


def test_an_interrupt_during_str_passes():
    class InterruptedError(Exception):
        def __str__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        error_message(InterruptedError())


@settings(max_examples=120, deadline=None)
@given(st.text() | st.text("'\"\\ab =()\n“”«b"), st.sampled_from([ValueError, KeyError, AttributeError]))
def test_every_text_gives_a_short_line_that_can_be_sent(text, kind):
    message = error_message(kind(text))

    message.encode("utf-8")
    assert len(message) <= 300
    assert "\n" not in message


@settings(max_examples=120, deadline=None)
@given(
    st.text("xyzXYZ '\"\\()=,.:", min_size=3, max_size=30),
    st.sampled_from(["bad {!r}", "bad {!r} for 'key'", "{!r}: {!r}"]),
)
def test_nothing_of_a_value_that_python_quotes_survives(value, wording):
    message = error_message(ValueError(wording.format(value, value)))

    assert not any(run in message for run in (value[at : at + 3] for at in range(len(value) - 2)) if run.isalpha())


@settings(max_examples=120, deadline=None)
@given(st.text("xyzXYZ (),.:@", min_size=3, max_size=30))
def test_nothing_of_a_key_that_postgresql_quotes_survives(value):
    message = error_message(ValueError(f"Key (email)=({value}) already exists."))

    assert message == "Key (email)=(?) already exists."
