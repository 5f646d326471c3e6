"""Programs on the same machine that have no token and try to use up the collector's connections."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

SCRIPT = "/static/vendor/uplot/uPlot.iife.min.js"


class Stranger(Thread):
    """Keeps a number of connections open until it is stopped; opens a new one for each that is closed."""

    def __init__(self, port: int, connections: int, sent: bytes, *, window: int | None = None) -> None:
        """
        Args:
            sent: written to each new connection, whose answer is never read.
            window: size of the receive buffer in bytes; None for the default.
        """
        super().__init__(daemon=True)
        self._port, self._connections, self._sent, self._window = port, connections, sent, window
        self._stop_now, self.is_full, self.opened = Event(), Event(), 0
        self._open: dict[int, socket.socket] = {}
        self._poll = select.poll()

    def run(self) -> None:
        """Keep the connections open."""
        try:
            while not self._stop_now.is_set():
                for _ in range(self._connections - len(self._open)):
                    self._connect()
                self.is_full.set()
                for number, _ in self._poll.poll(20):
                    self._poll.unregister(number)
                    self._open.pop(number).close()
        finally:
            for connection in self._open.values():
                connection.close()

    def stop(self) -> None:
        """Close all connections."""
        self._stop_now.set()
        self.join(30)

    def _connect(self) -> None:
        connection = socket.socket()
        if self._window:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._window)
        connection.settimeout(5)
        with suppress(OSError):  # refused, or closed before everything is written
            connection.connect(("127.0.0.1", self._port))
            connection.setblocking(False)
            connection.send(self._sent)
        self.opened += 1
        self._open[connection.fileno()] = connection
        self._poll.register(connection, select.POLLHUP | select.POLLERR | select.POLLRDHUP)


@contextmanager
def stranger(port: int, connections: int, sent: bytes = b"", *, window: int | None = None) -> Iterator[Stranger]:
    """Run a stranger for the duration of a ``with`` block, which begins when all connections were opened once."""
    running = Stranger(port, connections, sent, window=window)
    running.start()
    try:
        assert running.is_full.wait(60)
        yield running
    finally:
        running.stop()


def unread(port: int) -> bytes:
    """Return 90 pipelined requests for a script of 51 kB."""
    return f"GET {SCRIPT} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode() * 90
