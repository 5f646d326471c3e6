"""Rules of the web suite for responses: their statuses, errors and streams."""

from __future__ import annotations

from typing import Final

from scout_core.testing.checks import expect
from scout_core.testing.web.bench import WebBench, errors_of, spans_of, wait_until
from scout_core.testing.web.shop import PARTS, ShopError, SoldOut

_MARKS: Final = {"abandoned", "unfollowed_body"}


class ResponseRules(WebBench):
    """The tests."""

    def test_head(self) -> None:
        """A HEAD request has the name of the view, and no body."""
        with self.visiting() as visit:
            answer = visit.ask("HEAD", "/")
            expect((200, b""), (answer.status, answer.body), "answer to HEAD /")
            expect((self.operation("home"), False), visit.outcome(), "operation of HEAD /, and whether it is an error")

    def test_redirects(self) -> None:
        """A view that redirects is not an error."""
        with self.visiting() as visit:
            visit.ask("GET", "/moved")
            expect((self.operation("moved"), False), visit.outcome(), "operation of /moved, and whether it is an error")

    def test_client_errors(self) -> None:
        """A view that answers 404 is not an error."""
        with self.visiting() as visit:
            visit.ask("GET", "/missing")
            web = visit.only()
            expect(self.operation("missing"), web.operation, "operation of /missing")
            expect((False, ()), (web.is_error, web.errors), "error of /missing")

    def test_server_errors(self) -> None:
        """A view that answers 503 is an error."""
        with self.visiting() as visit:
            visit.ask("GET", "/unavailable")
            expect(
                (self.operation("unavailable"), True),
                visit.outcome(),
                "operation of /unavailable, and whether it is an error",
            )

    def test_unhandled_errors(self) -> None:
        """An exception that nothing handles makes the request fail, and is recorded once."""
        with self.visiting() as visit:
            visit.ask("GET", "/broken")
            web = visit.only()
            expect(self.operation("broken"), web.operation, "operation of /broken")
            expect(True, web.is_error, "whether /broken is an error")
            expect([(ShopError.__name__, False)], errors_of(web), "errors of /broken, and whether they were handled")

    def test_handled_errors(self) -> None:
        """An exception that the application answers is recorded, and the request has not failed."""
        with self.visiting() as visit:
            visit.ask("GET", "/sold_out")
            web = visit.only()
            expect(
                (self.operation("sold_out"), False),
                (web.operation, web.is_error),
                "operation of /sold_out, and whether it is an error",
            )
            expect([(SoldOut.__name__, True)], errors_of(web), "errors of /sold_out, and whether they were handled")

    def test_streams(self) -> None:
        """A request lasts until its response has been sent, and spans of the stream belong to it."""
        with self.visiting() as visit:
            answer = visit.ask("GET", "/stream")
            web = visit.only()
            name = self.operation("stream")
            expect("".join(PARTS).encode(), answer.body, "body of /stream")
            expect((name, False), (web.operation, web.is_error), "operation of /stream, and whether it is an error")
            expect([("Part/Make", name, None)] * len(PARTS), spans_of(web), "spans of /stream with their parents")
            expect(set(), _MARKS & web.tags.keys(), "tags of a stream that was not followed to its end")
            expect("", answer.left_open, "transaction that is open after the request")

    def test_stream_errors(self) -> None:
        """An exception in a stream makes its request fail."""
        with self.visiting() as visit:
            visit.ask("GET", "/broken_stream")
            web = visit.only()
            expect(
                (self.operation("broken_stream"), True),
                (web.operation, web.is_error),
                "operation of /broken_stream, and whether it is an error",
            )
            expect(
                [(ShopError.__name__, False)], errors_of(web), "errors of /broken_stream, and whether they were handled"
            )

    def test_disconnects(self) -> None:
        """A client that leaves in the middle of a response ends the request, without an error, and the stream is closed."""
        with self.visiting() as visit:
            visit.caller.leave("/endless")
            web = visit.only()
            wait_until(lambda: visit.shop.ended)
            expect(
                (self.operation("endless"), False, []),
                (web.operation, web.is_error, errors_of(web)),
                "operation of /endless, whether it is an error, and its errors",
            )
            expect({("Part/Make", web.operation, None)}, set(spans_of(web)), "spans of /endless with their parents")
            expect(
                (1, set()),
                (visit.shop.ended, _MARKS & web.tags.keys()),
                "number of streams that were closed, and tags of one that was not",
            )
