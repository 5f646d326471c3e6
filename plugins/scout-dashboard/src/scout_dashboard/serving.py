"""The server: accepts connections as long as there is room, makes room when there is not, and survives a lack of files."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import uvicorn

from scout_core.log import Log, LogOnce
from scout_core.problems import Problem
from scout_dashboard.connections import Connection, TimeLimits
from scout_dashboard.open_files import Caps
from scout_dashboard.strangers import Strangers
from scout_dashboard.tally import Tally

_REQUEST_SECONDS: Final = 0.1
"""Time for a new connection to send its request, before it can be dropped in favour of another."""
_MOST_STARTING: Final = 16
_LOOK_SECONDS: Final = 0.01
_PAUSE_SECONDS: Final = 1.0
"""After an error: the kernel has no file for the connection, and reports it at once again."""
_ADVICE: Final = {
    "EMFILE": "raise the limit of open files, such as with 'ulimit -n 2048', and restart",
    "ENFILE": "this machine has too many open files; end the programs that have most of them, or raise its limit",
}

_UNEXPECTED: Final = "it is tried again every second; please report this error"
INTERNAL: Final = "internal error"

log = Log("scout_core.dashboard")


class Server(uvicorn.Server):
    """
    uvicorn's, which accepts by itself.

    asyncio accepts all connections that wait before it creates the first, so no cap would keep it from opening too many
    files; it then logs a traceback for each further attempt, 2,048 a second.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        caps: Caps,
        limits: TimeLimits,
        tally: Tally,
        shows_secret: Callable[[bytes], bool],
    ) -> None:
        super().__init__(config)
        self._caps = caps
        self._limits = limits
        self._tally = tally
        self._strangers = Strangers(tally)
        self._shows_secret = shows_secret
        self._accepting: list[asyncio.Task[None]] = []
        self._log = LogOnce(log)
        self._starting: dict[asyncio.Task[object], bool] = {}
        """Connections that were accepted in this step, and whether they are private."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept."""
        asyncio.get_running_loop().set_exception_handler(self._handle_failure)
        await super().startup(sockets=[])
        self._accepting = [asyncio.ensure_future(self._accept(listening)) for listening in sockets or []]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, and end the connections."""
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        await super().shutdown(sockets=sockets)

    async def _accept(self, listening: socket.socket) -> None:
        listening.setblocking(False)
        while True:
            try:
                await self._accept_next(listening)
            except Exception as error:  # noqa: BLE001  # whatever it is, the next connection may be served
                if getattr(error, "errno", None) != errno.ECONNABORTED:
                    self._note(error)
                    await asyncio.sleep(_PAUSE_SECONDS)

    async def _accept_next(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        is_private = listening.family == getattr(socket, "AF_UNIX", None)
        make = partial(
            Connection,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            limits=self._limits,
            tally=self._tally,
            strangers=self._strangers,
            shows_secret=self._shows_secret,
        )
        most = max(1, min(_MOST_STARTING, (self._caps.private if is_private else self._caps.tcp) // 4))
        accepted, _ = await loop.sock_accept(listening)
        try:
            await self._make_room(is_private=is_private)
            starting: asyncio.Task[object] = asyncio.ensure_future(loop.connect_accepted_socket(make, accepted))
        except BaseException:
            accepted.close()
            raise
        self._starting[starting] = is_private
        starting.add_done_callback(partial(self._started, accepted))
        if len(same_kind := self._starting_of(is_private=is_private)) >= most:
            await asyncio.wait(same_kind, return_when=asyncio.FIRST_COMPLETED)

    def _started(self, accepted: socket.socket, starting: asyncio.Task[object]) -> None:
        del self._starting[starting]
        if not starting.cancelled() and (error := starting.exception()) is not None:
            accepted.close()
            self._note_failure(error)

    def _handle_failure(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:  # Any: asyncio's
        """Replace asyncio's handler, which logs a traceback each time."""
        self._note_failure(context.get("exception") or RuntimeError(context.get("message")))

    def _note_failure(self, error: BaseException) -> None:
        """Count a connection that failed here, and log the first of each type of error."""
        self._tally.count_dropped_connection(INTERNAL)
        name = type(error).__name__
        self._log.warning(
            name, "a connection could not be served: %s: %s; the page Health counts further ones", name, error
        )

    async def _make_room(self, *, is_private: bool) -> None:
        """Wait until there is room: by dropping the oldest stranger, or else the trusted connection that is idle the longest."""
        most = self._caps.private if is_private else self._caps.tcp
        clock = asyncio.get_running_loop().time
        while True:
            own = [found for found in self._connections() if found.is_private == is_private and not found.is_dropped]
            if len(own) + len(self._starting_of(is_private=is_private)) < most:
                return
            strangers = [found for found in own if not found.is_trusted]
            oldest = min(strangers, key=lambda found: found.opened, default=None)
            if oldest is None:
                idle = [found for found in own if not found.is_busy]
                oldest = min(idle, key=lambda found: found.idle_since, default=None)
            if oldest is not None and clock() - oldest.opened >= _REQUEST_SECONDS:
                oldest.make_room()
            else:
                await asyncio.sleep(_LOOK_SECONDS)

    def _starting_of(self, *, is_private: bool) -> list[asyncio.Task[object]]:
        return [task for task, kind in self._starting.items() if kind == is_private]

    def _connections(self) -> list[Connection]:
        return [found for found in self.server_state.connections if isinstance(found, Connection)]

    def _note(self, error: Exception) -> None:
        """Count a connection that could not be accepted, and log the first."""
        name, detail, advice = type(error).__name__, f"{type(error).__name__}: {error}", _UNEXPECTED
        if isinstance(error, OSError) and error.errno in errno.errorcode:
            name = errno.errorcode[error.errno or 0]
            detail, advice = str(error.strerror), _ADVICE.get(name, "")
        problem = Problem("not-accepted", name, f"cannot accept connections: {detail}", advice)
        if self._tally.count_not_accepted(problem):
            log.error("%s; %s", problem, "the page Health counts further ones")
