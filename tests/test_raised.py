"""Exceptions that leave a transaction: what is read on the application's thread, what later, and what is kept until then."""

from __future__ import annotations

import gc
import json
import sys
import threading
import weakref
from pathlib import Path
from threading import get_ident
from urllib.error import HTTPError

import pytest

from scout_core import span, transaction
from scout_core.recording.errors.recorded import MOST_UNREAD
from scout_core.text.message import UNREADABLE
from tests.workbench import running


class WithText(Exception):
    """Prints itself, and notes on which thread."""

    threads: list[int] = []

    def __init__(self, plan):
        self.plan = plan

    def __str__(self):
        self.threads.append(get_ident())
        return f"no such plan: {self.plan}"


class WithSlots(Exception):
    __slots__ = ("plan",)

    def __str__(self):
        return f"no such plan: {self.plan}"


class Wraps(Exception):
    """As database layers do."""

    def __init__(self, original):
        super().__init__(str(original))
        self.original = original

    def __str__(self):
        return f"wrapped: {self.original}"


class OwnOSError(OSError):
    def __init__(self, code, name):
        super().__init__(code, "gone", name)

    def __str__(self):
        return f"{self.errno}: {self.strerror} {len(self.filename)}"


def refusing(name):
    def refuse(self, *args):
        raise RuntimeError(name)

    return refuse


class Meta(type):
    """Whatever is asked of its classes, they raise."""

    __getattribute__ = __eq__ = __hash__ = __repr__ = __str__ = __instancecheck__ = __subclasscheck__ = refusing(
        "metaclass"
    )


class Foreign(metaclass=Meta):
    __str__ = __repr__ = __eq__ = __hash__ = __bool__ = refusing("object")


def leave(error, name="Job/fails"):
    with pytest.raises(type(error)) as caught, transaction(name) as job:
        raise error
    assert caught.value is error
    return job


class Unpickled(Exception):
    def __reduce__(self):
        raise RuntimeError("nobody pickles it")

    __copy__ = __deepcopy__ = __getstate__ = __reduce__


def with_attribute(error, **attributes):
    vars(error).update(attributes)
    return error


def without_filename():
    error = OSError()
    error.errno, error.strerror = 5, "i/o error"
    return error


TEXTS = {
    "no argument": (ValueError(), ""),
    "one": (ValueError("wrong"), "wrong"),
    "a number": (ValueError(12), "12"),
    "several": (ValueError("wrong", 3, None), "(?, 3, None)"),
    "a key": (KeyError("plan"), "'plan'"),
    "a lookup error's name": (IndexError("the key 'plan'"), "the key 'plan'"),
    "another's quoted text": (ValueError("the key 'plan'"), "the key ?"),
    "a file": (FileNotFoundError(2, "No such file or directory", "cart.txt"), "[Errno 2] No such file or directory: ?"),
    "two files": (OSError(2, "gone", "a.txt", None, "b.txt"), "[Errno 2] gone: ? -> ?"),
    "a path": (FileNotFoundError(2, "gone", Path("cart.txt")), "[Errno 2] gone: PosixPath(?)"),
    "fields that were set": (without_filename(), "[Errno 5] i/o error"),
    "an import": (ImportError("no module named 'cart'", name="cart"), "no module named 'cart'"),
    "syntax": (SyntaxError("invalid syntax", ("cart.py", 3, None, None)), "invalid syntax (cart.py, line 3)"),
    "unicode": (
        UnicodeDecodeError("utf-8", b"\xff" * 50_000_000, 3, 4, "invalid start byte"),
        "? codec can't decode byte 0xff in position 3: invalid start byte",
    ),
    "an exception in it": (ValueError(KeyError("plan")), "?"),
    "an exception with one in it": (ConnectionError(ValueError("pool is empty")), "pool is empty"),
    "a list": (ValueError(["wrong"]), "[?]"),
    "its own text": (WithText("gold"), "no such plan: gold"),
    "slots": (WithSlots(), "no such plan: gold"),
    "a wrapped one": (Wraps(WithText("gold")), "wrapped: no such plan: gold"),
    "an own file": (OwnOSError(2, "cart.txt"), "2: gone 8"),
    "one of the standard library": (json.JSONDecodeError("Expecting value", "{", 1), "Expecting value: line 1 column 2 (char 1)"),
    "http": (HTTPError("http://shop/cart", 404, "Not Found", None, None), "HTTP Error 404: Not Found"),
    "not to be pickled": (Unpickled("wrong"), "wrong"),
    "a long text": (ValueError("x" * 5_000), "x" * 299 + "…"),
    "a huge number": (ValueError(1 << 10_000), "<int>"),
}  # fmt: skip
TEXTS["slots"][0].plan = "gold"  # type: ignore[attr-defined]


@pytest.mark.parametrize("error, text", TEXTS.values(), ids=TEXTS)
def test_the_message_is_that_of_the_exception(scout, error, text):
    leave(error)

    assert text == scout.transaction.message


@pytest.mark.skipif(sys.version_info < (3, 11), reason="not on python 3.10: it has no exception groups")
def test_the_message_of_a_group(scout):
    leave(ExceptionGroup("several", [ValueError("wrong"), WithText("gold")]))  # noqa: F821

    assert "several (2 sub-exceptions)" == scout.transaction.message


@pytest.mark.parametrize("leaves", [KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError, ValueError])
@pytest.mark.parametrize("name", ["__str__", "__repr__", "args", "__class__", "__dict__", "__getattribute__"])
def test_an_exception_that_raises_whatever_is_asked_of_it_is_counted(scout, name, leaves):
    def refuse(self, *args):
        raise leaves

    method = property(refuse) if name in ("args", "__class__", "__dict__") else refuse
    error = type("Refusing", (Exception,), {name: method, **({"__repr__": refuse} if name == "__str__" else {})})()
    try:
        with transaction("Job/fails"):
            raise error
    except Exception as caught:
        assert caught is error
    with transaction("Job/next"):
        pass

    assert ["Job/fails", "Job/next"] == scout.operations
    assert scout.transactions[0].error.endswith("Refusing")


def test_text_is_made_on_the_agents_thread(tmp_path):
    WithText.threads.clear()
    done = threading.Event()
    with running(state_dir=str(tmp_path)) as agent:
        leave(WithText("gold"))
        agent.stop()
        done.set()

    assert 1 == len(WithText.threads)
    assert get_ident() not in WithText.threads


def test_nothing_is_read_of_a_large_text_on_the_application_s_thread(scout):
    """It is cut, not masked: what is kept of 50 MB is 2,000 characters."""
    job = leave(ValueError("x" * 50_000_000))

    (part,) = job.raised.listed[0].exceptions[0].source.args
    assert 2_000 == len(part)


class Held:
    pass


class Plain(Exception):
    pass


@pytest.mark.parametrize("kind", [ValueError, Plain, WithText, OSError])
def test_local_variables_of_its_frames_are_freed_with_the_exception(scout, kind):
    def fail():
        held = Held()
        references.append(weakref.ref(held))
        error = kind("gold")
        error.__cause__ = ValueError()
        raise error

    references = []
    with pytest.raises(kind), transaction("Controller/home") as home:
        fail()

    gc.collect()
    assert [None] == [reference() for reference in references]
    assert home.is_error


def test_what_it_refers_to_is_freed_when_its_text_is_read(scout):
    def fail():
        held = Held()
        references.append(weakref.ref(held))
        raise WithText(held)

    references = []
    with pytest.raises(WithText), transaction("Controller/home"):
        fail()
    scout.agent.recorder.work()

    gc.collect()
    assert [None] == [reference() for reference in references]
    assert [] == list(scout.agent.tracer.unread)


def test_of_many_that_cannot_be_read_at_once_the_message_is_missing(scout):
    for _ in range(MOST_UNREAD):
        leave(WithText("gold"))
    last = leave(WithText("gold"))
    plain = leave(ValueError("wrong"))

    assert (UNREADABLE, "wrong") == (last.errors[0].message, plain.errors[0].message)
    assert ["no such plan: gold"] * MOST_UNREAD == [seen.message for seen in scout.transactions[:MOST_UNREAD]]
    assert "no such plan: gold" == leave(WithText("gold")).errors[0].message


def test_an_exception_that_holds_itself_ends(scout):
    error = WithText("gold")
    error.args = (error,)
    error.plan = error
    plain = ValueError()
    plain.args = (plain,)

    leave(error)
    leave(plain)

    assert [True, True] == [seen.is_error for seen in scout.transactions]


def test_an_exception_class_whose_name_is_odd_is_named(scout):
    class Name(str):
        __str__ = __eq__ = __format__ = refusing("name")  # type: ignore[assignment]
        __hash__ = str.__hash__

    kind = type("Odd", (Exception,), {"__module__": property(refusing("module"))})
    kind.__qualname__ = Name("Odd")
    leave(kind())
    (trace,) = scout.traces()

    assert trace.error.exception.endswith("Odd")


def test_objects_of_a_metaclass_that_raises_are_names_and_tags(scout):
    foreign = Foreign()
    with transaction(foreign, first=foreign) as home:
        home.tag(foreign, foreign)
        home.rename(foreign)
        with span(foreign) as query:
            query.tag(foreign, foreign)
            query.rename(foreign)

    assert ("<Foreign>", "<Foreign>") == (home.operation, query.operation)
    (trace,) = scout.traces()
    assert {"first": "<Foreign>", "<Foreign>": "<Foreign>"} == trace.tags
    assert {"<Foreign>": "<Foreign>"} == trace.spans[0].tags


@pytest.mark.parametrize("code", [1, 3, "time limit", True, -1, 2.0])
def test_a_request_that_the_server_ends_is_an_error(scout, code):
    def abort():
        sys.exit(code)

    with pytest.raises(SystemExit), transaction("Controller/home") as home, span("SQL/Query"):
        abort()

    (trace,) = scout.traces()
    assert ("SystemExit", abort.__name__) == (trace.error.exception, trace.error.frames[0][2])
    assert ["SystemExit"] == [record.error for record in trace.spans]
    assert home.is_error


@pytest.mark.parametrize(
    "error", [SystemExit(), SystemExit(0), SystemExit(None), SystemExit(False), KeyboardInterrupt("x")]
)
def test_a_process_that_ends_well_is_no_error(scout, error):
    with pytest.raises(type(error)), transaction("Controller/home") as home, span("SQL/Query"):
        raise error

    assert (False, ()) == (home.is_error, home.errors)
    assert [None] == [seen.error for seen in scout.spans]
