"""A client while it calls the server of the suite: what its author writes, how it is called, and what was recorded."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from scout_core.operations import JOB
from scout_core.testing.checks import Rules, expect
from scout_core.testing.http_server import HttpServer, Request, http_server
from scout_core.testing.recorded import RecordedSpan
from scout_core.testing.scout import Scout, recording

Answer = tuple[int, bytes]
PRICES: Final = f"{JOB}/prices"
"""The transaction that calls are made in."""


class Visit:
    """The agent while a client calls, and the server."""

    def __init__(self, scout: Scout, server: HttpServer) -> None:
        self.scout = scout
        self.server = server
        self.url = server.url

    @property
    def calls(self) -> list[RecordedSpan]:
        """Recorded spans of HTTP calls."""
        return [span for span in self.scout.spans if span.operation.startswith("HTTP/")]

    def shown_urls(self) -> list[object]:
        """Return the URLs of calls as they leave the process."""
        return [
            span.tags.get("url")
            for trace in self.scout.traces()
            for span in trace.spans
            if span.operation.startswith("HTTP/")
        ]

    def expect_headers(self, requests: list[Request] | None = None) -> None:
        """
        Check that each request has the headers of the trace once, and that they name a recorded call of the transaction.

        Raises:
            AssertionError: one has not.
        """
        ids = {call.span_id for call in self.calls}
        trace = self.scout.transactions[-1].trace_id
        for request in self.server.requests if requests is None else requests:
            what = f"{request.method} {request.path}"
            expect(1, len(request.parents), f"number of traceparent headers of {what}")
            fields = request.parents[0].split("-")
            expect(trace, fields[1], f"trace id that {what} has sent")
            expect(True, fields[2] in ids, f"whether traceparent of {what} names the span of its call")


class HttpClientBench(Rules):
    """The client of a plugin, as its author describes it to the tests of the suite."""

    settings: ClassVar[Mapping[str, Any]] = {}  # Any: values of options
    """Options of the agent. ``{"plugins": ["letters"]}`` loads a plugin that is not installed."""
    refused: ClassVar[type[BaseException]] = Exception
    """Class of the exception of the client when nothing listens."""
    parallel: ClassVar[int] = 50
    """Number of calls that are made at the same time."""

    def call(
        self, method: str, url: str, headers: Any = None
    ) -> Answer | Awaitable[Answer]:  # Any: as the client takes them
        """
        Send a request with a new client, follow redirects without a limit of its own, and return status and body.

        It may be ``async``. Neither retry nor set any header.
        """
        raise NotImplementedError("call must send a request")

    def call_with_retries(self, url: str) -> Answer | Awaitable[Answer]:
        """Get a URL in the client's own way to retry on 503, without a pause. Skip ``retries`` if it has none."""
        raise NotImplementedError("call_with_retries must send a request, and once more when it gets 503")

    def call_with_default_headers(self, url: str, headers: dict[str, str]) -> Answer | Awaitable[Answer]:
        """Get a URL with a client that has headers of its own for calls without any. Skip ``default_headers`` if none has."""
        raise NotImplementedError("call_with_default_headers must give the client headers, and the request none")

    def stream(self, url: str) -> Iterator[bytes] | AsyncIterator[bytes]:
        """Get a URL, and yield the parts of its body as they arrive; a generator, which closes the response when it is closed."""
        raise NotImplementedError("stream must yield the parts of a body")

    def kinds_of_headers(self, headers: dict[str, str]) -> list[Any]:  # Any: as above
        """Return the headers in each kind of object that the client takes."""
        return [headers]

    @contextmanager
    def visiting(self, **settings: Any) -> Iterator[Visit]:  # Any: values of options
        """Run the server while an agent records calls of it."""
        with http_server() as server, recording(**{**self.settings, **settings}) as scout:
            yield Visit(scout, server)

    def ask(self, method: str, url: str, headers: Any = None) -> Answer:  # Any: as above
        """Make a call, and wait for its answer."""
        answer: Answer = run(self.call(method, url, headers))
        return answer

    def read(self, url: str, meanwhile: Callable[[], None], *, stops: bool = False) -> bytes:
        """
        Read a body in parts.

        Args:
            meanwhile: called after the first part.
            stops: close the generator then.
        """
        parts = self.stream(url)
        if isinstance(parts, AsyncIterator):
            return asyncio.run(_read_async(parts, meanwhile, stops=stops))
        found = [next(parts)]
        meanwhile()
        if stops:
            parts.close()  # type: ignore[attr-defined]  # it is a generator
        return b"".join([*found, *parts])


async def _read_async(parts: Any, meanwhile: Callable[[], None], *, stops: bool) -> bytes:  # Any: an async generator
    found = [await parts.__anext__()]
    meanwhile()
    if stops:
        await parts.aclose()
    return b"".join([*found, *[part async for part in parts]])


def run(answer: Any) -> Any:  # Any: an answer, or what is awaited for it
    """Return the answer of a call, which may be awaited."""
    if not inspect.isawaitable(answer):
        return answer

    async def awaited() -> Any:
        return await answer

    return asyncio.run(awaited())
