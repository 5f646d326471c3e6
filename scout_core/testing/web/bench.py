"""The rules of the web suite as tests, and one application while it is visited: its agent, its caller, and what was recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event
from time import monotonic
from typing import Any, ClassVar, Final

from scout_core.operations import CONTROLLER
from scout_core.testing.checks import Rules, expect
from scout_core.testing.recorded import RecordedTransaction
from scout_core.testing.scout import Scout, recording
from scout_core.testing.web.calls import Answer, AsgiCaller, Caller, WsgiCaller, is_asgi
from scout_core.testing.web.shop import LONGEST, Shop

_never: Final = Event()
Spans = list[tuple[str, "str | None", Any]]  # Any: a tag
"""Operation, operation of the parent, and the tag ``number`` of each span."""


class Visit:
    """An application while the agent records it, and everything that was recorded."""

    def __init__(self, scout: Scout, caller: Caller, shop: Shop) -> None:
        self.scout = scout
        self.caller = caller
        self.shop = shop

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request."""
        return self.caller.ask(method, path, headers)

    def recorded(self, count: int = 1) -> list[RecordedTransaction]:
        """Return all transactions, as soon as there are so many: a server may end a request after its client has the response."""
        wait_until(lambda: len(self.scout.transactions) >= count)
        return self.scout.transactions

    def only(self) -> RecordedTransaction:
        """
        Return the only transaction, and forget it.

        Raises:
            AssertionError: none was recorded, or several were.
        """
        found = self.recorded()
        expect(
            [1], [len(found)], f"number of transactions of one request; recorded: {[web.operation for web in found]}"
        )
        self.scout.forget()
        return found[0]

    def outcome(self) -> tuple[str, bool]:
        """Return the operation of the only transaction, and whether it is an error; forget it."""
        web = self.only()
        return web.operation, web.is_error


def spans_of(web: RecordedTransaction) -> Spans:
    """Return the spans of a transaction, in order of their end."""
    return [(span.operation, span.parent, span.tags.get("number")) for span in web.spans]


def errors_of(web: RecordedTransaction) -> list[tuple[str, bool]]:
    """Return the class of each recorded error, and whether it was handled."""
    return [(error.exception.rpartition(".")[2], error.handled) for error in web.errors]


def article_spans(operation: str, number: int) -> Spans:
    """Return what ``spans_of`` must give for a request for an article."""
    return [("Article/Read", "Article/Find", number), ("Article/Find", operation, number)]


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until something is true, or ``LONGEST`` seconds."""
    until = monotonic() + LONGEST
    while not condition() and monotonic() < until:
        _never.wait(0.002)


class WebBench(Rules):
    """The part of the suite that a plugin replaces: its application, and how that is attached and called."""

    settings: ClassVar[Mapping[str, Any]] = {}  # Any: values of options
    """Options of the agent. ``{"plugins": ["letters"]}`` loads a plugin that is not installed."""
    unrouted: ClassVar[str | None] = None
    """Operation of requests that no view answers; None: they are not recorded."""
    parallel: ClassVar[int] = 50
    """Number of requests that are sent at the same time."""
    at_once: ClassVar[int] = 10
    """How many of them the server, and the framework, can answer at the same time."""

    def make_app(self, shop: Shop) -> Any:  # Any: of any framework
        """Return an application with the routes of the suite, and without anything of scout-core."""
        raise NotImplementedError("make_app must return an application")

    def attach(self, app: Any) -> Any:  # Any: as above
        """Return the application as it is recorded: by middleware around it. By default itself, as the plugin does everything."""
        return app

    def attach_again(self, app: Any) -> Any:  # Any: as above
        """Return an attached application that is attached once more, also in another of the ways that the plugin offers."""
        return self.attach(app)

    def operation(self, view: str) -> str:
        """Return the operation of a view, which has the name of its route. By default the view is in the module of this class."""
        return f"{CONTROLLER}/{type(self).__module__}.{view}"

    def call(self, app: Any) -> Caller:  # Any: as above
        """Return what calls an application; a server must run in this process."""
        return AsgiCaller(app) if is_asgi(app) else WsgiCaller(app)

    @contextmanager
    def visiting(self, attach: Callable[[Any], Any] | None = None, /, **settings: Any) -> Iterator[Visit]:
        """Serve an application while an agent records it; ``attach`` replaces the method."""
        shop = Shop(self.at_once)
        with recording(**{**self.settings, **settings}) as scout:
            caller = self.call((attach or self.attach)(self.make_app(shop)))
            try:
                yield Visit(scout, caller, shop)
            finally:
                caller.close()
