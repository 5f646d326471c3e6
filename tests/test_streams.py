"""``Span.stream``: a span, mostly a transaction, that ends with the body of a response."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import ctypes
import functools
import gc
import inspect
import io
import mmap
import threading
import types
from array import array
from contextlib import closing

import pytest

from scout_core import current_transaction, span, transaction
from scout_core.recording.context import current


def numbers(count=2):
    try:
        for number in range(count):
            with span("SQL/Query"):
                yield b"%d" % number
    finally:
        with span("SQL/Close"):
            pass


class Body:
    """An iterable with a length, as an application may return it."""

    def __init__(self, count=2):
        self.count = count
        self.closed = 0

    def __len__(self):
        return self.count

    def __iter__(self):
        return numbers(self.count)

    def close(self):
        with span("Body/Close"):
            self.closed += 1


class Iterator:
    """An iterator that has no length."""

    def __init__(self):
        self.left = [b"1", b"0"]
        self.closed = 0

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration
        with span("SQL/Query"):
            return self.left.pop()

    def close(self):
        self.closed += 1


class AsyncBody:
    def __init__(self):
        self.left = [b"1", b"0"]

    def __aiter__(self):
        return self

    async def __anext__(self):
        with span("SQL/Query"):
            await asyncio.sleep(0)
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop()


async def async_numbers():
    for number in range(2):
        with span("SQL/Query"):
            await asyncio.sleep(0)
        yield b"%d" % number


class AsyncIterable:
    def __aiter__(self):
        return async_numbers()


def streamed(body, **options):
    """Return the body that a view's response has after its transaction has left its block."""
    with transaction("Controller/home") as web:
        return web.stream(body, **options)


def closes(body):
    close = getattr(body, "close", None)
    if close is not None:
        close()


@pytest.mark.parametrize("make", [numbers, Body, Iterator])
def test_the_transaction_ends_with_its_body(scout, make):
    body = streamed(make())
    assert current.get() is None
    assert [] == scout.transactions
    read = []
    for chunk in body:
        assert current_transaction() is None
        with transaction("Job/other"):
            read.append(chunk)
    closes(body)

    assert [b"0", b"1"] == read
    web = scout.transactions[-1]
    assert (["SQL/Query"] * 2) == [recorded.operation for recorded in web.spans if recorded.operation == "SQL/Query"]
    assert 0 < web.tags["active_time"] <= web.duration
    assert ["Job/other", "Job/other", "Controller/home"] == [recorded.operation for recorded in scout.transactions]


@pytest.mark.parametrize("make", [async_numbers, AsyncBody, AsyncIterable])
def test_the_transaction_ends_with_its_async_body(scout, make):
    async def main():
        body = streamed(make())
        assert current.get() is None
        return [chunk async for chunk in body]

    assert [b"0", b"1"] == asyncio.run(main())
    assert {"SQL/Query"} == {recorded.operation for recorded in scout.transaction.spans}


def test_the_time_of_the_stream_counts_and_the_pauses_do_not_count_as_active(scout, monkeypatch):
    now = [1_000]
    for module in ("span", "transaction", "stepwise.steps", "stepwise.streams", "stepwise.deferred"):
        monkeypatch.setattr(f"scout_core.recording.{module}.perf_counter_ns", lambda: now[0])

    def slow():
        for _ in range(6):
            now[0] += 10_000_000
            yield b"."

    with transaction("Controller/home") as web:
        now[0] += 1_000_000
        body = web.stream(slow())
    for _ in body:
        now[0] += 2_000_000

    assert (0.073, {"active_time": 0.061}) == (scout.transaction.duration, scout.transaction.tags)


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"text",
        "text",
        [b"a"],
        (b"a",),
        {"a": 1},
        bytearray(b"a"),
        collections.namedtuple("Pair", "a b")(1, 2),
        array("B", b"a"),
        (ctypes.c_char * 2)(),
        mmap.mmap(-1, 10),
        memoryview(b"a"),
    ],
)
def test_what_is_in_memory_is_returned_itself_and_ends_at_once(scout, body):
    assert streamed(body) is body
    assert {} == scout.transaction.tags


def test_a_body_that_cannot_be_followed_is_shown(scout):
    body = object()

    assert streamed(body) is body
    assert {"unfollowed_body": "object"} == scout.transaction.tags


def test_without_a_transaction_the_body_is_returned_itself(scout):
    made = numbers()
    with span("Work/call") as unrecorded:
        assert unrecorded.stream(made) is made
    with transaction("Job/a") as ended:
        pass
    assert ended.stream(made) is made
    assert span("Work/call").stream(made) is made


def test_a_body_acts_as_the_original(scout):
    original = Body()
    body = streamed(original)

    assert isinstance(body, Body)
    assert (2, 2, True, original.count) == (len(body), body.count, bool(body), body.count)
    body.count = 3
    assert 3 == original.count
    assert not hasattr(body, "__next__")
    assert [b"0", b"1", b"2"] == list(body)
    assert [b"0", b"1", b"2"] == list(body)
    body.close()
    assert 1 == original.closed
    assert 1 == len(scout.transactions)
    unsized = streamed(Iterator())
    with pytest.raises(TypeError, match="has no len"):
        len(unsized)
    assert iter(unsized) is unsized


@pytest.mark.parametrize("make", [numbers, Body, Iterator])
@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize("on_a_thread", [False, True])
def test_a_client_that_leaves_ends_it_without_an_error(scout, make, steps, on_a_thread):
    original = make()
    body = streamed(original)
    iterator = iter(body)
    for _ in range(steps):
        next(iterator)
    if on_a_thread:
        thread = threading.Thread(target=body.close)
        thread.start()
        thread.join()
    else:
        body.close()

    assert (None, False) == (scout.transaction.error, "abandoned" in scout.transaction.tags)
    assert 1 == getattr(original, "closed", 1)
    assert current.get() is None


@pytest.mark.parametrize("make", [numbers, Body, Iterator, async_numbers, AsyncBody])
def test_a_body_that_is_dropped_ends_it_as_abandoned(scout, make):
    body = streamed(make())
    if not hasattr(body, "__aiter__"):
        next(iter(body))
    del body
    gc.collect()

    assert scout.transaction.tags["abandoned"] is True


def test_an_error_while_it_is_read_is_that_of_the_transaction(scout):
    raised = KeyError("a")

    def broken():
        yield b"a"
        raise raised

    class Broken(Iterator):
        def __next__(self):
            raise raised

    for original in (broken(), Broken()):
        with pytest.raises(KeyError) as caught, closing(streamed(original)) as body:
            list(body)
        assert caught.value is raised
        assert (None, None) == (raised.__context__, raised.__cause__)

    assert ["KeyError", "KeyError"] == [recorded.error for recorded in scout.transactions]
    assert all(recorded.frames for recorded in scout.agent.recorder.work() or [])


def test_an_error_of_a_close_passes_and_ends_it(scout):
    class Broken(Iterator):
        def close(self):
            raise KeyError("a")

    with pytest.raises(KeyError):
        streamed(Broken()).close()

    assert "KeyError" == scout.transaction.error


class Committing(Iterator):
    """A body whose ``close`` works, as the functions of Werkzeug's ``call_on_close``."""

    def close(self):
        with span("SQL/Commit"):
            super().close()


class Failing(Committing):
    def close(self):
        super().close()
        raise KeyError("commit")


class BrokenCommitting(Committing):
    def __next__(self):
        raise LookupError("row")


@pytest.mark.parametrize(
    ("kind", "errors"),
    [
        (Committing, []),
        (Failing, ["KeyError"]),
        (BrokenCommitting, ["LookupError"]),
        (type("Both", (Failing, BrokenCommitting), {}), ["LookupError", "KeyError"]),
    ],
)
@pytest.mark.parametrize("on_a_thread", [False, True])
def test_the_close_of_a_body_that_was_read_to_its_end_belongs_to_the_request(scout, kind, errors, on_a_thread):
    """As WSGI servers call it: always, after the last part and after an exception."""
    original, raised = kind(), []
    body = streamed(original)

    def close():
        try:
            body.close()
        except KeyError as error:
            raised.append(type(error).__name__)

    try:
        list(body)
    except LookupError as error:
        raised.append(type(error).__name__)
    assert [] == scout.transactions
    if on_a_thread:
        thread = threading.Thread(target=close)
        thread.start()
        thread.join()
    else:
        close()

    web = scout.transaction
    assert (errors, 1) == (raised, original.closed)
    assert "SQL/Commit" in [recorded.operation for recorded in web.spans]
    assert errors == [recorded.exception for recorded in web.errors]
    assert (bool(errors), errors[-1] if errors else None) == (web.is_error, web.error)
    assert "abandoned" not in web.tags
    assert current.get() is None


@pytest.mark.parametrize("kind", [Committing, BrokenCommitting])
def test_a_body_that_was_read_to_its_end_and_is_never_closed_ends_the_request_when_it_is_freed(scout, kind):
    body = streamed(kind())
    with contextlib.suppress(LookupError):
        list(body)
    assert [] == scout.transactions
    del body
    gc.collect()

    assert "abandoned" not in scout.transaction.tags
    assert (kind is BrokenCommitting) is scout.transaction.is_error


@pytest.mark.parametrize("operation", ["Job/mail", "HTTP/GET"])
def test_a_job_and_a_span_end_with_the_last_part_of_a_body(scout, operation):
    """Nobody has to close what they read."""
    with transaction("Job/outer") if operation == "HTTP/GET" else contextlib.nullcontext():
        with (span if operation == "HTTP/GET" else transaction)(operation) as reading:
            body = reading.stream(Committing())
        list(body)
        assert 0 < reading.stop_ns
    body.close()


def test_a_view_that_raises_after_it_ends_at_once(scout):
    with pytest.raises(KeyError), transaction("Controller/home") as web:
        body = web.stream(numbers())
        raise KeyError("a")

    assert "KeyError" == scout.transaction.error
    assert [b"0", b"1"] == list(body)
    assert 1 == len(scout.transactions)


def test_a_span_can_end_with_a_body_too(scout):
    with transaction("Controller/home") as home:
        with span("HTTP/GET") as request:
            body = request.stream(numbers(1))
        assert current.get() is home
        assert [b"0"] == list(body)

    assert [("SQL/Query", "HTTP/GET"), ("SQL/Close", "HTTP/GET"), ("HTTP/GET", "Controller/home")] == [
        (recorded.operation, recorded.parent) for recorded in scout.spans
    ]


# Files


def test_a_file_stays_itself_and_ends_the_transaction_when_it_is_closed(scout, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"abc")
    for opened in (path.open("rb"), path.open(), io.FileIO(path)):
        body = streamed(opened)
        assert body is opened
        assert "abc" in (body.read(), body.seek(0) and None) or True
        assert [] == scout.transactions
        body.close()
        assert opened.closed
        assert 1 == len(scout.transactions)
        scout.forget()


def test_a_file_that_is_dropped_is_closed_and_ends_the_transaction(scout, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"abc")
    body = streamed(path.open("rb"))
    raw = body.raw
    with pytest.warns(ResourceWarning):
        del body
    assert raw.closed

    assert 1 == len(scout.transactions)


class PlainWrapper:
    """As that of Werkzeug: its ``close`` is a method, and closes the file."""

    def __init__(self, file):
        self.file = file

    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration

    def close(self):
        self.file.close()


def test_a_caller_may_keep_only_the_close_of_a_file_wrapper(scout, tmp_path):
    """As Werkzeug's test client does, once it has read the body: without us, the method keeps the wrapper, and that the file."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"abc")
    file = path.open("rb")
    wrapper = streamed(PlainWrapper(file))
    raw, close = file.raw, wrapper.close
    del file, wrapper
    assert not raw.closed  # nor a ResourceWarning, which is an error in these tests

    assert [] == scout.transactions
    close()
    assert raw.closed
    assert 1 == len(scout.transactions)


def test_a_file_wrapper_that_is_dropped_frees_its_file(scout, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"abc")
    wrapper = streamed(PlainWrapper(path.open("rb")))
    raw = wrapper.file.raw
    with pytest.warns(ResourceWarning):
        del wrapper

    assert raw.closed


def test_a_file_wrapper_with_slots_is_closed(scout):
    class WithMethod:
        __slots__ = ("file", "unset", "__weakref__", "__dict__")

        def __init__(self, file):
            self.file = file

        def __iter__(self):
            return iter(())

        def close(self):
            self.file.close()

    class WithAttribute:
        __slots__ = ("close", "__weakref__")

        def __init__(self, file):
            self.close = file.close

        def __iter__(self):
            return iter(())

    for kind in (WithMethod, WithAttribute):
        file = io.BytesIO(b"abc")
        streamed(kind(file), file_wrapper=kind).close()  # the wrapper is freed before the call
        assert file.closed

    assert 2 == len(scout.transactions)


def test_a_file_wrapper_of_a_server_stays_itself(scout):
    class Wrapper:
        """As that of a server: iterated by index, and closed by the method of the file."""

        def __init__(self, file):
            self.filelike = file
            self.close = file.close

        def __getitem__(self, number):
            raise IndexError

    class Opaque:
        def close(self):
            self.is_closed = True

        def __iter__(self):
            return iter(())

    file = io.BytesIO(b"abc")
    wrapper = Wrapper(file)
    assert streamed(wrapper) is wrapper
    wrapper.close()
    assert file.closed
    opaque = Opaque()
    assert streamed(opaque, file_wrapper=Opaque) is opaque
    opaque.close()
    assert opaque.is_closed

    assert 2 == len(scout.transactions)


class OfAnother:
    """A body that passes on everything to a file, as ``SpooledTemporaryFile`` and Django's ``File`` do."""

    def __init__(self, file):
        self.filelike = file

    def __iter__(self):
        return iter(lambda: self.filelike.read(2), b"")

    def __getattr__(self, name):
        return getattr(self.filelike, name)


def closed_by(close):
    """Return a class of files with this attribute ``close``."""

    class Closing:
        def __init__(self, file):
            self.filelike = file

        def __iter__(self):
            return iter(lambda: self.filelike.read(2), b"")

    Closing.close = close
    return Closing


calls = []


@pytest.mark.parametrize(
    "kind",
    [
        OfAnother,
        closed_by(staticmethod(lambda: calls.append(()))),
        closed_by(classmethod(lambda kind: calls.append(()))),
        closed_by(staticmethod(functools.partial(calls.append, ()))),
        closed_by(lambda self: calls.append(())),
        closed_by(functools.partialmethod(lambda self, value: calls.append(value), ())),
    ],
)
def test_the_close_of_a_file_is_called_as_without_the_agent(scout, kind):
    calls.clear()
    file = io.BytesIO(b"shop")
    with transaction("Controller/home") as web:
        body = web.stream(kind(file))
    assert [b"sh", b"op"] == list(body)
    assert not web.is_finished
    body.close()

    assert (web.is_finished, web.error) == (True, None)
    assert file.closed or [()] == calls


@pytest.mark.parametrize("refusal", [RuntimeError, KeyError])
def test_a_file_that_refuses_attributes_in_its_own_way_is_passed_on(scout, refusal):
    class Refusing(io.BytesIO):
        def __setattr__(self, name, value):
            raise refusal(name)

    class Decided(io.BytesIO):
        close = property(lambda self: lambda: None, lambda self, value: None)

    for file in (Refusing(b"a"), Decided(b"a")):
        assert file is streamed(file)

    assert [True, True] == ["unfollowed_body" in seen.tags for seen in scout.transactions]


class Passing:
    """A file whose attributes are those of another one, also when they are set."""

    def __init__(self, file):
        object.__setattr__(self, "filelike", file)

    def __iter__(self):
        return iter(lambda: self.filelike.read(2), b"")

    def __getattr__(self, name):
        return getattr(self.filelike, name)

    def __setattr__(self, name, value):
        setattr(self.filelike, name, value)


def test_a_file_that_passes_on_what_is_set_is_closed_as_without_the_agent(scout):
    class File(io.BytesIO):
        pass

    file = File(b"shop")
    body = streamed(Passing(file))
    body.close()

    assert (True, True) == (file.closed, "unfollowed_body" in scout.transaction.tags)


def test_a_file_is_closed_by_a_caller_who_has_kept_only_its_method(scout):
    for kind in (
        closed_by(lambda self: calls.append(())),
        closed_by(functools.partialmethod(lambda self, value: calls.append(value), ())),
    ):
        calls.clear()
        body = streamed(kind(io.BytesIO()))
        close = body.close
        del body
        close()
        assert [()] == calls


@pytest.mark.parametrize("name", ["close", "aclose"])
def test_a_body_whose_method_is_none_or_a_plain_function_works(scout, name):
    class Body:
        def __iter__(self):
            return iter([b"a"])

    setattr(Body, name, None)
    body = streamed(Body())
    assert [b"a"] == list(body)
    assert getattr(body, name) is None
    setattr(Body, name, lambda self: calls.append(name))
    body = streamed(Body())
    calls.clear()
    getattr(body, name)()

    assert [name] == calls
    assert [None, None] == [seen.error for seen in scout.transactions]


def test_a_body_whose_attributes_raise_is_followed(scout):
    class Lazy:
        __slots__ = ("rows",)

        def __init__(self):
            self.rows = {}

        def __getattr__(self, name):
            return self.rows[name]

        def __iter__(self):
            with span("SQL/Query"):
                yield b"a"

    assert [b"a"] == list(streamed(Lazy()))
    assert ["SQL/Query"] == [seen.operation for seen in scout.transaction.spans]


def test_a_body_that_has_a_file_or_its_name_is_not_a_file(scout):
    class Export:
        __slots__ = ("file", "filelike", "__dict__")

        def __init__(self, file):
            self.__dict__ = {}
            self.file = file

        def __iter__(self):
            with span("SQL/Query"):
                yield b"row"
            raise ValueError("no space left")

        def close(self):
            pass

    for file in ("out.csv", io.BytesIO(b"a")):
        body = streamed(Export(file))
        with pytest.raises(ValueError, match="no space left"):
            list(body)
        body.close()
    body = streamed(Export("out.csv"))
    body.close()

    assert [1, 1, 0] == [len(seen.spans) for seen in scout.transactions]
    assert ["ValueError", "ValueError", None] == [seen.error for seen in scout.transactions]


@pytest.mark.parametrize("is_read", [False, True])
def test_an_async_body_that_is_left_in_the_middle_is_abandoned(scout, is_read):
    class Rows:
        async def __aiter__(self):
            yield b"one"
            yield b"two"

        async def close(self):
            pass

    async def send(body):
        async for _ in body:
            if not is_read:
                break

    asyncio.run(send(streamed(Rows())))
    gc.collect()

    assert (None, not is_read) == (scout.transaction.error, "abandoned" in scout.transaction.tags)


class Both:
    """Can be read with and without ``async``; an iterator for the former, too."""

    def __iter__(self):
        return numbers()

    def __aiter__(self):
        return self

    async def __anext__(self):
        raise StopAsyncIteration


class BothNext(Both):
    def __init__(self):
        self.left = numbers()

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.left)


@pytest.mark.parametrize("kind", [Both, BothNext])
def test_a_body_that_can_also_be_read_with_async_ends_with_its_last_value(scout, kind):
    with transaction("Job/export"):
        with span("Export/Read") as reading:
            rows = reading.stream(kind())
        assert [b"0", b"1"] == list(rows)
        assert reading.stop_ns > 0
    body = streamed(kind())
    assert [b"0", b"1"] == list(body)
    del body

    job, web = scout.transactions
    assert "Export/Read" == job.spans[-1].operation
    assert "abandoned" not in web.tags


def test_what_the_iterator_of_a_body_does_when_it_is_left_belongs_to_the_span(scout):
    class Rows:
        def __iter__(self):
            return numbers()

    body = streamed(Rows())
    for _ in body:
        break
    del body, _

    assert ["SQL/Query", "SQL/Close"] == [seen.operation for seen in scout.transaction.spans]
    assert None is current.get()


def test_frameworks_see_that_a_body_is_closed_by_a_coroutine(scout):
    class Rows:
        closed = 0

        async def __aiter__(self):
            yield b"row"

        async def close(self):
            self.closed += 1

    async def send(body):
        assert [b"row"] == [part async for part in body]
        assert inspect.iscoroutinefunction(body.close)
        await body.close()

    body = Rows()
    asyncio.run(send(streamed(body)))

    assert (1, None) == (body.closed, scout.transaction.error)
    assert not inspect.iscoroutinefunction(streamed(Body()).close)


def test_a_file_whose_close_cannot_be_replaced_is_shown(scout):
    class Wrapper:
        __slots__ = ("filelike",)

        def fileno(self):
            return 0

        def close(self):
            pass

    wrapper = Wrapper()
    assert streamed(wrapper) is wrapper
    assert {"unfollowed_body": "Wrapper"} == scout.transaction.tags


def test_a_generator_body_is_a_generator(scout):
    assert isinstance(streamed(numbers()), types.GeneratorType)


class ByIndex:
    """A body of the old protocol: Python calls ``__getitem__`` with 0, 1 and so on until ``IndexError``."""

    def __init__(self, parts, error=IndexError):
        self.parts = parts
        self.error = error

    def __getitem__(self, index):
        if index == len(self.parts):
            raise self.error(index)
        part = self.parts[index]
        with span("SQL/Part"):
            return part


class ClosedByIndex(ByIndex):
    def close(self):
        with span("SQL/Close"):
            pass


class Table(ByIndex):
    """Has both, so Python asks ``__iter__``, and reading one by index is not a step."""

    def __iter__(self):
        return iter(self.parts)


def test_looking_up_a_name_in_such_a_body_is_not_a_step_of_it(scout):
    with transaction("Controller/home") as web:
        body = web.stream(ByIndex([b"a"]))
    with pytest.raises(TypeError):
        body["ETag"]

    assert not web.is_finished
    assert [b"a"] == list(body)
    assert (True, None, 1) == (web.is_finished, web.error, len(web.spans))


@pytest.mark.parametrize("kind", [ByIndex, ClosedByIndex])
@pytest.mark.parametrize("operation", ["Controller/home", "Job/a"])
def test_a_body_that_is_read_by_index_is_followed_to_its_end(scout, kind, operation):
    with transaction(operation) as web:
        body = web.stream(kind([b"a", b"b"]))
    assert not web.is_finished
    assert [b"a", b"b"] == list(body)
    assert isinstance(body, kind)
    assert not hasattr(body, "__iter__")
    if kind is ClosedByIndex:
        body.close()

    assert web.is_finished
    assert (None, {"active_time"}) == (web.error, web.tags.keys())
    closing = ["SQL/Close"] * (kind is ClosedByIndex and web.is_web)
    assert [*["SQL/Part"] * 2, *closing] == [seen.operation for seen in web.spans]


@pytest.mark.parametrize("error", [KeyError, LookupError, ValueError])
def test_another_exception_of_a_body_that_is_read_by_index_is_its_error(scout, error):
    with transaction("Controller/home") as web:
        body = web.stream(ByIndex([b"a"], error))
    with pytest.raises(error) as caught:
        list(body)

    assert caught.value.__context__ is None
    assert (True, error) == (web.is_finished, web.error)


@pytest.mark.parametrize("index", [2, 7, -3])
def test_looking_up_an_index_that_such_a_body_lacks_is_not_its_end(scout, index):
    with transaction("Controller/home") as web:
        body = web.stream(ByNumber([b"a", b"b"]))
    with pytest.raises(IndexError):
        body[index]
    first = next(parts := iter(body))
    with pytest.raises(IndexError):
        body[7]

    assert not web.is_finished
    assert [b"a", b"b"] == [first, *parts]
    assert (True, None, 3) == (web.is_finished, web.error, len(web.spans))  # the last asks for the end


class ByNumber(ByIndex):
    """One that also accepts numbers which iterating does not ask for."""

    def __getitem__(self, index):
        with span("SQL/Part"):
            if not 0 <= index < len(self.parts):
                raise IndexError(index)
            return self.parts[index]


def test_an_index_of_a_body_that_is_iterated_is_not_its_end(scout):
    with transaction("Controller/home") as web:
        body = web.stream(Table([b"a"]))
    with pytest.raises(IndexError):
        body[1]
    assert not web.is_finished
    assert [b"a"] == list(body)

    assert (True, None) == (web.is_finished, web.error)
