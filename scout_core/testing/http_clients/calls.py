"""Rules of the suite for HTTP clients about spans: names, facts, errors, bodies, and calls at the same time."""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor
from socket import socket

from scout_core.instruments.http import http_span
from scout_core.operations import JOB
from scout_core.recording.span import Span
from scout_core.recording.stepwise.steps import ABANDONED
from scout_core.recording.transaction import Transaction
from scout_core.sending.wire import encode
from scout_core.testing.checks import expect
from scout_core.testing.http_clients.bench import PRICES, HttpClientBench, Visit, run
from scout_core.testing.http_server import FIRST, LAST, METHODS, http_server


class CallRules(HttpClientBench):
    """The tests."""

    def test_names(self) -> None:
        """A call is ``HTTP/`` and its method, with the tags ``url`` and ``status``."""
        with self.visiting() as visit:
            with Transaction(PRICES):
                for method in METHODS:
                    self.ask(method, f"{visit.url}/item")
            expect(
                [(f"HTTP/{method}", PRICES, 200, None) for method in METHODS],
                [(call.operation, call.parent, call.tags.get("status"), call.error) for call in visit.calls],
                "operation, parent, status and error of calls",
            )
            expect([f"{visit.url}/item"] * len(METHODS), visit.shown_urls(), "tag url of calls")

    def test_answers(self) -> None:
        """The application gets, and the server sees, the same with and without the agent."""
        with http_server() as server:
            plain = [self.ask("POST", server.url + path, {"X-Shop": "tea"}) for path in ("/item?page=2", "/missing")]
            sent = [request.without_trace() for request in server.requests]
            server.requests.clear()
            with self.visiting(), Transaction(PRICES):
                found = [
                    self.ask("POST", server.url + path, {"X-Shop": "tea"}) for path in ("/item?page=2", "/missing")
                ]
            expect(plain, found, "answers with the agent")
            expect(sent, [request.without_trace() for request in server.requests], "requests with the agent")

    def test_outside(self) -> None:
        """Outside a transaction nothing is recorded, and no header is added."""
        with self.visiting() as visit:
            self.ask("GET", f"{visit.url}/item")
            expect([], visit.scout.operations, "what is recorded outside a transaction")
            expect([[]], [request.parents for request in visit.server.requests], "traceparent outside a transaction")

    def test_error_responses(self) -> None:
        """A response such as 404 and 500 is a status, and not an error of the call."""
        with self.visiting() as visit:
            with Transaction(PRICES):
                answers = [self.ask("GET", visit.url + path) for path in ("/missing", "/broken")]
            expect(
                [404, 500], [status for status, _ in answers], "status that the application gets; call must not raise"
            )
            facts = [(call.tags.get("status"), call.error, call.tags.get("error")) for call in visit.calls]
            expect([(404, None, None), (500, None, None)], facts, "tag status, error and tag error of calls")

    def test_refused(self) -> None:
        """Without a response, the client's own exception passes, and is the error of the call."""
        with socket() as bound:
            bound.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
            plain = self._failure(url)
            with self.visiting() as visit:
                with Transaction(PRICES):
                    found = self._failure(url)
                expect(_chain(plain), _chain(found), "exception, and those that caused it, of a refused connection")
                expect([None], [call.tags.get("status") for call in visit.calls], "tag status of a refused connection")
                _expect_error(found, visit)

    def _failure(self, url: str) -> BaseException:
        try:
            answer = self.ask("GET", url)
        except self.refused as error:
            return error
        raise AssertionError(f"call must raise {self.refused.__name__} where nothing listens; it returned {answer!r}")

    def test_query(self) -> None:
        """Neither query nor fragment leave the process."""
        with self.visiting() as visit:
            with Transaction(PRICES):
                self.ask("GET", f"{visit.url}/item?token=s3cr3t&card=4111#s3cr3t")
            self._expect_clean(visit)

    def test_credentials(self) -> None:
        """User, password, and headers with secrets do not leave the process. Skip it if the client refuses a user in a URL."""
        secret = {"Authorization": "Bearer s3cr3t", "Cookie": "id=s3cr3t"}
        with self.visiting() as visit:
            with Transaction(PRICES):
                self.ask("GET", f"http://ada:s3cr3t@{visit.server.address}/item", secret)
            self._expect_clean(visit)

    def _expect_clean(self, visit: Visit) -> None:
        report = visit.scout.report()
        urls = [span.tags.get("url") for trace in report.traces for span in trace.spans]
        expect([f"{visit.url}/item"], urls, "tag url as it leaves the process")
        expect(False, b"s3cr3t" in encode(report), "whether the report has the secret")

    def test_streaming(self) -> None:
        """A call whose body is read in parts lasts until it has been read."""
        with self.visiting() as visit:
            with Transaction(PRICES) as job:

                def meanwhile() -> None:
                    expect([], _ended(job), "calls that have ended while their body was read")
                    visit.server.gate.set()

                expect(FIRST + LAST, self.read(f"{visit.url}/stream", meanwhile), "body")
                expect(["HTTP/GET"], _ended(job), "calls that have ended when their body has been read")
            expect([(200, None)], [(call.tags.get("status"), call.error) for call in visit.calls], "status and error")

    def test_closing(self) -> None:
        """A call whose response is closed early ends then, without an error."""
        with self.visiting() as visit:
            with Transaction(PRICES) as job:
                self.read(f"{visit.url}/stream", lambda: None, stops=True)
                expect(["HTTP/GET"], _ended(job), "calls that have ended when their response was closed")
            facts = [(call.error, call.tags.get(ABANDONED)) for call in visit.calls]
            expect([(None, None)], facts, "error and tag abandoned of a call that was closed early")

    def test_broken_body(self) -> None:
        """An error while the body is read passes, and is the error of the call."""
        with self.visiting() as visit:
            with Transaction(PRICES):
                try:
                    self.read(f"{visit.url}/cut", lambda: None)
                except Exception as error:  # noqa: BLE001  # of the client
                    found = error
                else:
                    raise AssertionError("stream must raise an exception when the connection ends before the body")
            _expect_error(found, visit)

    def test_parallel(self) -> None:
        """Calls at the same time belong to their own transactions, and send their headers."""
        numbers = range(self.parallel)
        with self.visiting() as visit:
            visit.server.together = self.parallel
            self._at_once(visit.url)
            found = {
                web.operation: [(call.operation, call.parent, call.tags.get("status")) for call in web.spans]
                for web in visit.scout.transactions
            }
            expect(
                {f"{JOB}/{number}": [("HTTP/GET", f"{JOB}/{number}", 200)] for number in numbers},
                found,
                "calls at once",
            )
            sent = {request.path: request.parents for request in visit.server.requests}
            for web in visit.scout.transactions:
                fields = sent[f"/together/{web.operation.partition('/')[2]}"][0].split("-")
                expect(
                    (web.trace_id, web.spans[0].span_id),
                    (fields[1], fields[2]),
                    f"caller of the call of {web.operation}",
                )

    def _at_once(self, url: str) -> None:
        if inspect.iscoroutinefunction(self.call):

            async def call_one(number: int) -> None:
                with Transaction(f"{JOB}/{number}").detach():
                    await self.call("GET", f"{url}/together/{number}")  # type: ignore[misc]  # it is async

            async def everything() -> None:
                await asyncio.gather(*map(call_one, range(self.parallel)))

            asyncio.run(everything())
            return

        def work(number: int) -> None:
            with Transaction(f"{JOB}/{number}"):
                run(self.call("GET", f"{url}/together/{number}"))

        with ThreadPoolExecutor(self.parallel) as pool:
            list(pool.map(work, range(self.parallel)))

    def test_outermost(self) -> None:
        """A call inside that of another client, which uses this one, is not recorded; its headers name the outer call."""
        with self.visiting() as visit:
            with Transaction(PRICES), http_span("POST", "http://shop.example/"):
                self.ask("GET", f"{visit.url}/item")
            expect(["HTTP/POST"], [call.operation for call in visit.calls], "calls of a client that uses another")
            visit.expect_headers()

    def test_other_spans(self) -> None:
        """A call is a part of the span around it."""
        with self.visiting() as visit:
            with Transaction(PRICES), Span("Cart/Checkout"):
                self.ask("GET", f"{visit.url}/item")
            expect(["Cart/Checkout"], [call.parent for call in visit.calls], "parent of a call inside a span")


def _ended(job: Transaction) -> list[str]:
    return [span.operation for span in job.spans]


def _chain(error: BaseException | None) -> list[tuple[str, bool]]:
    """Return the class of an exception and of those in its context, and whether each context is shown."""
    found: list[tuple[str, bool]] = []
    while error is not None:
        found.append((type(error).__qualname__, error.__suppress_context__))
        error = error.__context__
    return found


def _expect_error(error: BaseException, visit: Visit) -> None:
    """Check that it is the error of the only call; or one that caused it, of a client that is used by this one."""
    recorded = [(call.error or "").rpartition(".")[2] for call in visit.calls]
    known = [name for name, _ in _chain(error)]
    expect(True, len(recorded) == 1 and recorded[0] in known, f"whether {recorded} is a single error, of {known}")
