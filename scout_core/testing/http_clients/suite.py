"""
A test suite for plugins of HTTP clients: their author writes how the client is called, and gets a test for each rule.

``docs/http-clients.md`` has the rules.
"""

from __future__ import annotations

from typing import Any, Final

import scout_core
from scout_core.recording.trace.context import TRACEPARENT
from scout_core.recording.transaction import Transaction
from scout_core.testing.checks import expect
from scout_core.testing.http_clients.bench import PRICES, HttpClientBench, run
from scout_core.testing.http_clients.calls import CallRules
from scout_core.testing.http_server import REPORTS, http_server
from scout_core.testing.scout import recording

__all__ = ["HttpClientSuite"]

_OWN: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_SIGNATURE: Final = "AWS4-HMAC-SHA256 Credential=A, SignedHeaders=host, Signature=0"


class HeaderRules(HttpClientBench):
    """The tests of headers, and of the agent itself."""

    def test_headers(self) -> None:
        """Each request has ``traceparent`` once, which names its call; the application's own headers do not change."""
        with self.visiting() as visit:
            kinds = self.kinds_of_headers({"X-Shop": "tea"})
            before = [_pairs(headers) for headers in kinds]
            with Transaction(PRICES):
                for headers in kinds:
                    self.ask("GET", f"{visit.url}/item", headers)
                    expect(
                        ["tea"], visit.server.requests[-1].values("x-shop"), f"header sent as {type(headers).__name__}"
                    )
                self.ask("GET", f"{visit.url}/item")
            expect(before, [_pairs(headers) for headers in kinds], "headers of the application after the calls")
            visit.expect_headers()

    def test_header_cases(self) -> None:
        """Clients look up headers in any case: the server sees the same with and without the agent, however names are written."""
        own = {"User-Agent": "tea", "Accept": "text/tea", "Accept-Encoding": "identity", "X-Shop": "tea"}
        written = [{change(name): value for name, value in own.items()} for change in (str.lower, str.upper)]
        with http_server() as server:

            def sent() -> list[tuple[str, str, list[tuple[str, str]]]]:
                for headers in written:
                    for kind in self.kinds_of_headers(headers):
                        self.ask("GET", f"{server.url}/item", kind)
                found = [request.without_trace() for request in server.requests]
                server.requests.clear()
                return found

            plain = sent()
            with recording(**self.settings), Transaction(PRICES):
                found = sent()
            expect(plain, found, "requests whose headers are in lower and in upper case")

    def test_default_headers(self) -> None:
        """A request without headers is sent with those that the client has for all its requests, and with ``traceparent``."""
        with self.visiting() as visit:
            with Transaction(PRICES):
                answer = run(self.call_with_default_headers(f"{visit.url}/item", {"X-Shop": "tea"}))
            expect((200, b"tea"), answer, "answer to a call with the headers of its client")
            expect([["tea"]], [sent.values("x-shop") for sent in visit.server.requests], "headers of the client")
            visit.expect_headers()

    def test_redirects(self) -> None:
        """Each request of a call that is redirected has the headers once, and the last call has the last status."""
        with self.visiting() as visit:
            with Transaction(PRICES):
                answer = self.ask("GET", f"{visit.url}/moved")
            expect((200, b"tea"), answer, "answer to /moved; call must follow redirects")
            expect(["/moved", "/item"], [request.path for request in visit.server.requests], "requests of /moved")
            visit.expect_headers()
            statuses = [call.tags.get("status") for call in visit.calls]
            expect(True, statuses in ([200], [302, 200]), f"whether {statuses} are the statuses of one call or of two")
            expect(
                [PRICES] * len(statuses), [call.parent for call in visit.calls], "parents of the calls of a redirect"
            )

    def test_retries(self) -> None:
        """A call that is retried sends the headers once with each request, and its span has the last status."""
        with self.visiting() as visit:
            with Transaction(PRICES):
                answer = run(self.call_with_retries(f"{visit.url}/busy/1"))
            expect((200, b"tea"), answer, "answer to a call that is retried")
            expect(2, len(visit.server.requests), "requests of a call that is retried")
            visit.expect_headers()
            statuses = [call.tags.get("status") for call in visit.calls]
            expect(True, statuses in ([200], [503, 200]), f"whether {statuses} are the statuses of one call or of two")
            expect([PRICES] * len(statuses), [call.parent for call in visit.calls], "parents of the calls of a retry")

    def test_own_headers(self) -> None:
        """A ``traceparent`` that the application has set is sent as it is."""
        with self.visiting() as visit, Transaction(PRICES):
            for name in (TRACEPARENT, "TraceParent"):
                self.ask("GET", f"{visit.url}/item", {name: _OWN})
                expect([_OWN], visit.server.requests[-1].parents, f"traceparent of a request that has its own {name}")

    def test_signed(self) -> None:
        """A request with a signature is not changed."""
        with self.visiting() as visit, Transaction(PRICES):
            for path, headers in (
                ("/item", {"Authorization": _SIGNATURE}),
                ("/item", {"X-Amz-Date": "20260101T000000Z"}),
                ("/item?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0", {}),
            ):
                self.ask("GET", visit.url + path, headers)
                expect([], visit.server.requests[-1].parents, f"traceparent of a request for {path} with {headers}")

    def test_hosts(self) -> None:
        """Only hosts that may have the headers get them."""
        for settings, is_sent in (
            ({"trace_hosts": "127.0.0.*"}, True),
            ({"trace_hosts": "127.0.0.1:1"}, False),
            ({"trace_hosts": "shop.example"}, False),
            ({"trace_hosts_exclude": "127.0.0.1"}, False),
        ):
            with self.visiting(**settings) as visit:
                with Transaction(PRICES):
                    self.ask("GET", f"{visit.url}/item")
                expect(1, len(visit.calls), f"number of calls with {settings}")
                expect(is_sent, bool(visit.server.requests[0].parents), f"whether traceparent is sent with {settings}")

    def test_ignored(self) -> None:
        """A call in a transaction that is ignored is not recorded, and the flag that it sends shows that."""
        with self.visiting() as visit:
            with Transaction(PRICES) as job:
                job.ignore()
                self.ask("GET", f"{visit.url}/item")
            expect([], visit.scout.operations, "what is recorded of an ignored transaction")
            flags = [parent[-2:] for request in visit.server.requests for parent in request.parents]
            expect(True, len(flags) == 1 and flags[0] in ("00", "02"), f"whether {flags} has one flag, not sampled")

    def test_reports(self) -> None:
        """The agent's own reports are not recorded."""
        with http_server() as server:
            settings = {"plugins_disable": (), "collector_url": server.url, "collector_token": "secret"}
            with recording(**{**self.settings, **settings}) as scout:
                (exporter,) = [exporter for exporter in scout.agent.exporters if exporter.name == "collector"]
                with Transaction(PRICES):
                    exporter.export(scout.report())
                expect(
                    {(REPORTS, 0)},
                    {(sent.path, len(sent.parents)) for sent in server.requests},
                    "path and traceparents of reports",
                )
                expect([PRICES], scout.operations, "what is recorded while a report is sent")

    def test_attached_twice(self) -> None:
        """After a second start, a call is recorded once, and sends its headers once."""
        with self.visiting() as visit:
            scout_core.start(name="Shop")
            with Transaction(PRICES):
                self.ask("GET", f"{visit.url}/item")
            expect(1, len(visit.calls), "number of calls after a second start")
            visit.expect_headers()

    def test_stopped(self) -> None:
        """After the agent has stopped, calls are made as before, and they are recorded again after the next start."""
        for _ in range(2):
            with self.visiting() as visit:
                with Transaction(PRICES):
                    self.ask("GET", f"{visit.url}/item")
                expect(1, len(visit.calls), "number of calls")
                visit.expect_headers()
        with http_server() as server:
            expect((200, b"tea"), self.ask("GET", f"{server.url}/item"), "answer without an agent")
            expect([[]], [request.parents for request in server.requests], "traceparent without an agent")


class HttpClientSuite(CallRules, HeaderRules):
    """
    One test for each rule. Derive a class whose name begins with ``Test``, and write ``call``, ``stream``, ``call_with_retries`` and
    ``call_with_default_headers``.

    A test is skipped if ``skip`` has its name, without ``test_``, and the reason; an unknown name in it is a ``TypeError``.
    """


def _pairs(headers: Any) -> list[Any]:  # Any: as the client takes them
    return list(headers.items() if hasattr(headers, "items") else headers)
