"""``Span.stream``: a span, mostly a transaction, that ends with the body of a response."""

from __future__ import annotations

import asyncio
import collections
import gc
import io
import threading
import types
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
    [None, b"text", "text", [b"a"], (b"a",), {"a": 1}, bytearray(b"a"), collections.namedtuple("Pair", "a b")(1, 2)],
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
