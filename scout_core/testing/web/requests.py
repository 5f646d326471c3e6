"""Rules of the web suite for requests: their names, their spans, and the facts that are known about them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from scout_core.clocks import time
from scout_core.testing.checks import expect
from scout_core.testing.web.bench import WebBench, article_spans, spans_of, wait_until
from scout_core.testing.web.calls import Answer, Caller
from scout_core.testing.web.shop import LATE_NAME, Shop

_STATUSES: Final = {
    "/": 200, "/article/7": 200, "/broken": 500, "/sold_out": 409, "/missing": 404, "/unavailable": 503, "/late": 200,
    "/moved": 302, "/stream": 200, "/nothing": 404,
}  # fmt: skip
_TRACE, _SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
_CALLER: Final = {"traceparent": f"00-{_TRACE}-{_SPAN}-01"}


class RequestRules(WebBench):
    """The tests."""

    def _plain_answers(self) -> list[Answer]:
        """Return the answers of the application without an agent."""
        caller = self.call(self.make_app(Shop(self.at_once)))
        try:
            return _answers(caller)
        finally:
            caller.close()

    def test_application(self) -> None:
        """The application has the routes of the suite."""
        statuses = [answer.status for answer in self._plain_answers()]
        for (path, expected), status in zip(_STATUSES.items(), statuses, strict=False):
            expect(expected, status, f"status of GET {path}; the suite needs this route")
        expect(405, statuses[-1], "status of POST /; the suite needs a framework that allows only GET there")

    def test_answers(self) -> None:
        """Statuses, headers and bodies are the same with and without the agent."""
        plain = self._plain_answers()
        with self.visiting() as visit:
            for path, expected, answer in zip((*_STATUSES, "POST /"), plain, _answers(visit.caller), strict=False):
                expect(expected[:3], answer[:3], f"answer to {path} with the agent")

    def test_names(self) -> None:
        """A request is named after its view, without ids, and has its path as a tag."""
        with self.visiting() as visit:
            for path, view in (("/", "home"), ("/article/7", "article"), ("/article/8", "article")):
                visit.ask("GET", path)
                web = visit.only()
                expect(self.operation(view), web.operation, f"operation of {path}")
                expect(path, web.tags.get("path"), f"tag path of {path}")
                expect((None, False), (web.error, web.is_error), f"error of {path}")

    def test_late_names(self) -> None:
        """A view can rename its request, and the last name decides what is ignored."""
        with self.visiting() as visit:
            visit.ask("GET", "/late")
            expect(LATE_NAME, visit.only().operation, "operation after the view has renamed the transaction")
        with self.visiting(ignore_endpoints=[LATE_NAME.partition("/")[2]]) as visit:
            visit.ask("GET", "/late")
            wait_until(lambda: visit.scout.ignored or visit.scout.transactions)
            expect([LATE_NAME], [name for name, _ in visit.scout.ignored], "requests that are ignored by the last name")

    def test_spans(self) -> None:
        """Spans inside a view belong to its request, and nothing is open on the thread or task afterwards."""
        with self.visiting() as visit:
            answer = visit.ask("GET", "/article/7")
            expect(
                article_spans(self.operation("article"), 7),
                spans_of(visit.only()),
                "spans of /article/7 with their parents",
            )
            expect("", answer.left_open, "transaction that is open after the request")

    def test_parallel(self) -> None:
        """Requests at the same time have their own spans, with the right parents."""
        with self.visiting() as visit:
            visit.shop.await_others()
            with ThreadPoolExecutor(self.parallel) as pool:
                list(pool.map(lambda number: visit.ask("GET", f"/article/{number}"), range(self.parallel)))
            found = {web.tags.get("path"): spans_of(web) for web in visit.recorded(self.parallel)}
            name = self.operation("article")
            expected = {f"/article/{number}": article_spans(name, number) for number in range(self.parallel)}
            wrong = {path: found.get(path) for path, spans in expected.items() if found.get(path) != spans}
            expect({}, wrong, f"requests of {self.parallel} with wrong spans")
            expect(self.parallel, len(visit.scout.transactions), "number of transactions")

    def test_unrouted(self) -> None:
        """Requests that no view answers, 404 and 405, are not errors and do not get their path as a name."""
        with self.visiting() as visit:
            for method, path in (("GET", "/nothing"), ("POST", "/")):
                visit.ask(method, path)
                if self.unrouted is None:
                    visit.ask("GET", "/")
                    found = visit.only()
                    expect(self.operation("home"), found.operation, f"only transaction after {method} {path} and GET /")
                else:
                    expect(
                        (self.unrouted, False),
                        visit.outcome(),
                        f"operation of {method} {path}, and whether it is an error",
                    )

    def test_ignored_paths(self) -> None:
        """Nothing is recorded of a path that is ignored."""
        with self.visiting(ignore=["/article"]) as visit:
            expect(200, visit.ask("GET", "/article/7").status, "status of an ignored path")
            wait_until(lambda: visit.scout.ignored or visit.scout.transactions)
            expect(
                ([], 1),
                (visit.scout.operations, len(visit.scout.ignored)),
                "what was recorded of an ignored path, and how often it was ignored",
            )

    def test_sampling(self) -> None:
        """A request that is not sampled is counted, and nothing else."""
        with self.visiting(sample_rate=0) as visit:
            expect(200, visit.ask("GET", "/article/7").status, "status of a request that is not sampled")
            dropped = visit.scout.agent.counters
            wait_until(lambda: visit.scout.transactions or dropped().dropped)
            expect(
                ([], {"sampled": 1}),
                (visit.scout.operations, dict(dropped().dropped)),
                "what was recorded with sample_rate = 0, and what was dropped",
            )

    def test_queries(self) -> None:
        """Secrets in the query are filtered, and no name has a query."""
        with self.visiting() as visit:
            visit.ask("GET", "/?page=2&password=hunter2")
            web = visit.only()
            expect(
                (self.operation("home"), "/?page=2&password=[FILTERED]"),
                (web.operation, web.tags.get("path")),
                "operation and path of a request with a query",
            )

    def test_addresses(self) -> None:
        """The address of the client is the first one that proxies have passed on."""
        with self.visiting() as visit:
            visit.ask("GET", "/", {"X-Forwarded-For": "203.0.113.7, 10.0.0.1"})
            expect("203.0.113.7", visit.only().tags.get("user_ip"), "tag user_ip of a request with X-Forwarded-For")

    def test_callers(self) -> None:
        """A request continues the trace of its caller, unless callers are not trusted."""
        with self.visiting() as visit:
            visit.ask("GET", "/", _CALLER)
            web = visit.only()
            expect(
                (_TRACE, _SPAN), (web.trace_id, web.parent_span_id), "trace and caller of a request with traceparent"
            )
            visit.ask("GET", "/", {"traceparent": "00-1"})
            expect("", visit.only().parent_span_id, "caller of a request with an invalid traceparent")
        with self.visiting(trust_incoming_trace=False) as visit:
            visit.ask("GET", "/", _CALLER)
            expect("", visit.only().parent_span_id, "caller of a request where trust_incoming_trace is false")

    def test_queue_times(self) -> None:
        """The time before the application got the request is known from the header of a proxy."""
        with self.visiting() as visit:
            visit.ask("GET", "/", {"X-Request-Start": f"t={time() - 100:.3f}"})
            found = visit.only().queue_time or 0.0
            expect(True, 99 < found < 160, f"whether the queue time is about 100 s; it is {found}")


def _answers(caller: Caller) -> list[Answer]:
    return [*(caller.ask("GET", path) for path in _STATUSES), caller.ask("POST", "/")]
