"""
One request that an ASGI application answers, from its scope to its last message, and the work that continues after that.

Hot code: nothing is copied, and messages are only looked at after the server has accepted them. Whatever they contain, reading them
raises nothing into the application.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from scout_core.instruments.handling import is_handled_in_task
from scout_core.instruments.statuses import NO_RESPONSE, SERVER_ERROR, status_number
from scout_core.operations import JOB, name_of
from scout_core.recording import context
from scout_core.recording.safety.contain import count_invalid
from scout_core.recording.span import Span
from scout_core.recording.transaction import Transaction
from scout_core.signals import is_from_signal_handler

Message = MutableMapping[str, Any]  # Any: the protocol, as below
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[Any]]

ABORTED: Final = "aborted"
"""Tag: true when the response was not sent to its end, because the client disconnected or the request was cancelled."""
NO_ROUTE: Final = "no route"
"""Reason why a request is ignored that nothing has named."""
AFTER: Final = ".after_response"
"""End of the name of a job with the spans that begin after the last message of a request."""


class AsgiRequest:
    """
    A request while its application runs: also after the last message, until the application returns.

    Args:
        transaction: records it; it has begun.
        needs_name: ignore it if nothing has named it by its end, unless it failed.
        is_disconnect: whether an exception that leaves the application only reports that the client has disconnected.
    """

    # Attributes of the class are the defaults: setting them for each request would cost as much as all the rest of `__init__`.
    is_named = False
    """Whether the route that answers the request has named it: the operation is final."""
    prefix = ""
    """Templates of the paths at which the routers that the request has come through are mounted, joined."""
    is_aborted = False
    has_left = False
    """The client has disconnected, and the application has received that."""
    _status = 0
    _has_started = False
    _has_trailers = _is_sent = _is_over = False
    _jobs: tuple[Transaction, ...] = ()
    _after: tuple[Transaction, ...] = ()

    def __init__(
        self,
        transaction: Transaction,
        scope: Scope,
        receive: Receive,
        send: Send,
        needs_name: bool = False,
        is_disconnect: Callable[[BaseException], bool] | None = None,
    ) -> None:
        self.transaction = transaction
        self._scope = scope
        self._receive = receive
        self._send = send
        self._needs_name = needs_name
        self._is_disconnect = is_disconnect

    def name(self, operation: str) -> bool:
        """Give it the operation of the route that answers it, once; return whether it had none before."""
        if self.is_named:
            return False
        self.is_named = True
        web = self.transaction
        if type(operation) is str and not web.has_joined:
            web.own_operation = operation  # as `rename`, which takes much longer
        else:
            web.rename(operation)
        return True

    def is_of(self, scope: Scope) -> bool:
        """Whether a scope is that of this request; middleware may have copied it, and keeps the object with the headers then."""
        own = self._scope
        return scope is own or ("headers" in scope and scope["headers"] is own.get("headers"))

    def job(self, operation: str) -> Transaction:
        """Return a new transaction for a job that this request starts, such as work after its response. It is not part of the request."""
        self.end_sent()
        job = self._linked(operation)
        self._jobs += (job,)
        return job

    async def send(self, message: Message) -> None:
        """Send a message to the server; end the transaction after the last one."""
        has_left = self.has_left  # before: servers report it to waiting tasks after the last message, too
        try:
            await self._send(message)
        except OSError:  # ASGI 2.4: the client has disconnected
            if not self._is_sent:
                self.is_aborted = True
                self._end(None)
            raise
        try:
            kind = message["type"]
            if kind == "http.response.start":
                self._start(message)
            elif kind == "http.response.body" or kind == "http.response.zerocopysend":
                if not message.get("more_body", False) and not self._has_trailers:
                    self._finish(has_left)
            elif kind == "http.response.pathsend" or (
                kind == "http.response.trailers" and not message.get("more_trailers", False)
            ):
                self._finish(has_left)
        except Exception as error:  # the server has accepted it, whatever it is
            if is_from_signal_handler(error):
                raise
            count_invalid()

    async def receive(self) -> Message:
        """Receive a message from the server, and note that the client has left."""
        message = await self._receive()
        try:
            if message["type"] == "http.disconnect":
                self.has_left = True
        except Exception as error:
            if is_from_signal_handler(error):
                raise
            count_invalid()
        return message

    def _start(self, message: Message) -> None:
        self._has_started = True
        self._has_trailers = message.get("trailers", False)
        status = message.get("status")
        self._status = status = status if type(status) is int else status_number(status)
        if status >= SERVER_ERROR:
            self._record_answered(self._being_handled())

    def close(self, error: BaseException | None, *, has_response: bool = True) -> None:
        """The application has returned, or raised an exception. Leave the request, and what followed it; a web socket has no response."""
        web = self.transaction
        web.recorder = None
        if self._is_over:
            if error is not None or self._after:
                self._close_after(error)
        elif error is None or (isinstance(error, Exception) and not self.is_from_client(error)):
            if error is None and has_response and not self._is_sent:
                self.is_aborted = self._has_started or self.has_left
                if not self.is_aborted:
                    web.tag(NO_RESPONSE, True)
                    self._status = SERVER_ERROR  # as servers answer
            if error is not None and self._is_sent and self._status < SERVER_ERROR:
                web.is_closed = False
                web.record_error(error)  # a handler has answered it
                error = None
            self._end(error)
        else:
            self.is_aborted = not self._is_sent or self.is_from_client(error)
            self._end(None)

    def _close_after(self, error: BaseException | None) -> None:
        if error is None or self._is_known(error):
            error = None
        elif not self._after and self.transaction.id and self.transaction.ignored is None:
            self._begin_after()
        if self._after:
            self._after[0].end(error)

    def follow(self) -> Transaction | None:
        """
        Return the open transaction for spans that begin after the last message: a job of its own, linked to the request.

        Called by the core when a span begins in this context after the end of the request. None: they are not recorded.
        """
        self.end_sent()
        if not self._is_over or self.transaction.ignored is not None:
            return None
        if not self._after:
            self._begin_after()
        after = self._after[0]
        return after if after.start_ns and not after.is_closed else None

    def _begin_after(self) -> None:
        web = self.transaction
        after = self._linked(f"{JOB}/{name_of(web.operation)}{AFTER}")
        self._after += (after,)
        if self._after[0] is after:  # otherwise another thread was first
            after.begin()
            if after.transaction is after:
                after.start_ns = web.stop_ns
                after.started = web.started + (web.stop_ns - web.start_ns) / 1e9

    def _linked(self, operation: str) -> Transaction:
        web = self.transaction
        linked = Transaction(operation).detach(web)
        if web.id:
            linked.own_before = web  # is current again afterwards, so that the next one finds its request
        return linked

    def is_from_client(self, error: BaseException) -> bool:
        """Whether an exception only reports that the client has disconnected, as the framework has it."""
        try:
            return self._is_disconnect is not None and self._is_disconnect(error)
        except Exception as fault:  # of a plugin
            if is_from_signal_handler(fault):
                raise
            count_invalid()
            return False

    def _is_known(self, error: BaseException) -> bool:
        """Whether an exception that leaves the application after the response is not an error, or was recorded by the request or a job."""
        return self.is_aborted or any(job.error is type(error) for job in (self.transaction, *self._jobs))

    def _record_answered(self, error: BaseException | None) -> None:
        """Record the exception that is being handled while an error page is sent. When it leaves the application, it is not handled."""
        if error is not None and not self.is_from_client(error):
            self.transaction.record_error(error)

    def _being_handled(self) -> BaseException | None:
        """Return the exception that the application is handling while it sends; its loop may run in an `except` block, too."""
        error = sys.exc_info()[1]
        return error if error is not None and is_handled_in_task(error, sys._getframe(2)) else None

    def _finish(self, has_left: bool) -> None:
        """The last message was sent, or ends a response whose client had left before."""
        if self._is_sent or self._is_over:
            return
        self._is_sent = True
        self.is_aborted = has_left and self._status < SERVER_ERROR
        if self._status < SERVER_ERROR and (sys.exc_info()[1] is None or self._being_handled() is None):
            self._end(None)
        elif self.transaction.id:
            # A framework answers an exception first, and may raise it again then: it belongs to this request. Spans do not.
            self.transaction.is_closed = True

    def end_sent(self) -> None:
        """
        End the request if its last message has been sent: what the application does from now on is not part of it.

        Called by the core when a transaction begins in the request. It is still open only after a response that reports an error.
        """
        if self._is_sent and not self._is_over:
            self._end(None)

    def _leave_open(self, inside: Span, error: BaseException | None) -> None:
        """End the transaction where another one is current, such as a detached one, which stays current until it ends."""
        web = self.transaction
        detached = context.lead_past(inside, web, web)
        web.end(error)
        if detached is not None:
            detached.own_before = web  # what follows its end finds its request

    def _end(self, error: BaseException | None) -> None:
        self._is_over = True
        web = self.transaction
        if web.id:
            web.is_closed = False
        if self.is_aborted:
            web.tag(ABORTED, True)
        elif self._status >= SERVER_ERROR:
            web.tag("error", True)
        if self._needs_name and not self.is_named and error is None and self._status < SERVER_ERROR and web.id:
            web.ignore(NO_ROUTE)
        inside = context.current.get()
        if web.id and inside is not None and inside.transaction is not web:
            self._leave_open(inside, error)
        elif error is None and not web.stop_ns:
            web.__exit__(None, None, None)  # as `end`, without the cases that it also covers
        else:
            web.end(error)
        if web.id and web.ignored is None and context.current.get() is None:
            context.current.set(web)  # so that what the application does from now on finds its request


def request_around(span: Span | None) -> AsgiRequest | None:
    """Return the innermost request that a span, or what was current after its end, is in; None: in none that is still running."""
    found = context.follower_of(span)
    return found if type(found) is AsgiRequest else None
