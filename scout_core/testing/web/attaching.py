"""Rules of the web suite for the agent itself: attached twice, beside other middleware, and stopped."""

from __future__ import annotations

from inspect import isfunction
from typing import Any, Final

from scout_core.testing.checks import expect
from scout_core.testing.scout import recording
from scout_core.testing.web.bench import Visit, WebBench, article_spans, errors_of, spans_of
from scout_core.testing.web.calls import Caller, is_asgi
from scout_core.testing.web.shop import PARTS, Shop, ShopError

_SEEN: Final = (
    "/",
    "/article/7",
    "/broken",
    "/sold_out",
    "/missing",
    "/unavailable",
    "/moved",
    "/stream",
    "/broken_stream",
)


class AttachingRules(WebBench):
    """The tests."""

    def test_attached_twice(self) -> None:
        """A request is recorded once, however often the agent was attached."""
        with self.visiting(lambda app: self.attach_again(self.attach(app))) as visit:
            for path in ("/article/7", "/stream", "/broken"):
                visit.ask("GET", path)
                self._expect_usual(path, visit)

    def test_middleware_around(self) -> None:
        """With the middleware of scout-core around the application too, there is one transaction, which has the view's name."""
        with self.visiting(lambda app: _around(self.attach(app))) as visit:
            for path in ("/article/7", "/stream", "/broken"):
                visit.ask("GET", path)
                self._expect_usual(path, visit)

    def test_transparency(self) -> None:
        """The server sees the same exceptions, bodies and arguments of ``start_response``; the application has the server's ``write``."""
        caller = self.call(self.make_app(Shop(self.at_once)))
        try:
            plain = [_seen(caller, path) for path in _SEEN]
        finally:
            caller.close()
        with self.visiting() as visit:
            for path, expected in zip(_SEEN, plain, strict=True):
                what = f"exception that leaves, type of the body, and number of arguments of start_response, for {path}"
                expect(expected, _seen(visit.caller, path), what)
        app = self.make_app(Shop(self.at_once))
        if isfunction(app) and not is_asgi(app):  # another one may be attached only as what it is
            self._expect_write(app)

    def _expect_write(self, app: Any) -> None:
        got: list[Any] = []

        def inner(environ: Any, start_response: Any) -> Any:
            def start(*args: Any) -> Any:
                got.append(start_response(*args))
                return got[-1]

            return app(environ, start)

        with recording(**self.settings):
            caller = self.call(self.attach(inner))
            try:
                caller.ask("GET", "/")
            finally:
                caller.close()
        expect([True], [callable(write) for write in got], "whether start_response returns a write function")

    def test_stopped(self) -> None:
        """After the agent has stopped, the application works as before, and it is recorded again after the next start."""
        shop = Shop(self.at_once)
        with recording(**self.settings) as scout:
            caller = self.call(self.attach(self.make_app(shop)))
            before = caller.ask("GET", "/article/7")
            Visit(scout, caller, shop).only()
        try:
            expect(before, caller.ask("GET", "/article/7"), "answer to /article/7 after the agent has stopped")
            with recording(**self.settings) as scout:
                expect([], scout.operations, "what was recorded while no agent was running")
                caller.ask("GET", "/article/7")
                self._expect_usual("/article/7", Visit(scout, caller, shop))
        finally:
            caller.close()

    def _expect_usual(self, path: str, visit: Visit) -> None:
        view = path.split("/")[1]
        name = self.operation(view)
        parts = [("Part/Make", name, None)] * len(PARTS)
        spans = {"article": article_spans(name, 7), "stream": parts}.get(view, [])
        errors = [(ShopError.__name__, False)] if view == "broken" else []
        web = visit.only()
        expect(
            (name, spans, errors),
            (web.operation, spans_of(web), errors_of(web)),
            f"operation, spans and errors of {path}",
        )


def _seen(caller: Caller, path: str) -> tuple[str, str, int]:
    answer = caller.ask("GET", path)
    return answer.raised, answer.body_kind, answer.arguments


def _around(app: Any) -> Any:  # Any: of any framework
    from scout_core.instruments.asgi import AsgiMiddleware
    from scout_core.instruments.wsgi import WsgiMiddleware

    return AsgiMiddleware(app) if is_asgi(app) else WsgiMiddleware(app)
