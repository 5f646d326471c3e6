"""The collector: store, server and announcement, started and stopped together."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Final, ParamSpec, TypeVar

import uvicorn

from scout_core.private_files import private_directory
from scout_core.sending.protocol import login_url
from scout_core.sending.rendezvous import CollectorAddress, announce, withdraw
from scout_dashboard.access import Access, read_access
from scout_dashboard.errors import CollectorError, PortInUse
from scout_dashboard.intake import MAX_BYTES, READ_SECONDS
from scout_dashboard.options import RETENTION_DAYS, TRACE_RETENTION_DAYS
from scout_dashboard.queries import Queries
from scout_dashboard.server import Protocol, build_app
from scout_dashboard.store import Store
from scout_dashboard.store.files import default_data_directory
from scout_dashboard.tally import Tally
from scout_dashboard.writer import Writer

P = ParamSpec("P")
T = TypeVar("T")

PORT: Final = 7600
_HOSTS: Final = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "::1", "[::1]": "::1"}
_START_SECONDS: Final = 10.0
_GRACE_SECONDS: Final = 1
"""Time limit for responses that are in progress at shutdown."""
_STOP_SECONDS: Final = 2.0
_TIDY_SECONDS: Final = 3_600


class Collector:
    """Serves from construction until ``stop``, in its own thread."""

    def __init__(
        self,
        *,
        state_dir: Path,
        data_dir: Path | None = None,
        host: str = "127.0.0.1",
        port: int = PORT,
        retention_days: int = RETENTION_DAYS,
        trace_retention_days: int = TRACE_RETENTION_DAYS,
        read_seconds: float = READ_SECONDS,
        max_report_bytes: int = MAX_BYTES,
    ) -> None:
        """
        Args:
            state_dir: where agents find the collector, and where its secrets are.
            data_dir: None means ``data`` in the state directory.
            host: ``127.0.0.1`` or ``::1``.
            port: 0 means any free port.
            read_seconds: time limit for receiving a request.
            max_report_bytes: the largest report that is accepted; agents leave traces out that do not fit.

        Raises:
            CollectorError: it cannot listen on this address.
            StoreError: the data directory cannot be used.
            ScoutError: the state directory is not private.
        """
        address = _loopback_address(host)
        with ExitStack() as undo:
            self.state_dir = private_directory(state_dir)
            self.store = Store(
                data_dir or default_data_directory(state_dir),
                retention_days=retention_days,
                trace_retention_days=trace_retention_days,
            )
            undo.callback(self.store.close)
            listening = undo.enter_context(_bind(address, port))
            self.port: int = listening.getsockname()[1]
            self.url = f"http://{f'[{address}]' if ':' in address else address}:{self.port}"
            self.access: Access = _with_file_errors(read_access, state_dir, port=self.port)
            self.tally = Tally()
            self.queries = Queries(self.store, self.tally)
            self._writer = Writer(self.store, self.tally)
            undo.callback(self._writer.close)
            self._server = uvicorn.Server(self._server_config(read_seconds, max_report_bytes))
            self._thread = Thread(target=self._server.run, args=([listening],), name="scout-dashboard", daemon=True)
            self._thread.start()
            undo.callback(self._stop_serving)
            self._wait_until_serving()
            self._announcement = CollectorAddress(
                url=self.url, token=self.token, pid=os.getpid(), max_report_bytes=max_report_bytes
            )
            self.store.lock.record_holder(self.url)
            _with_file_errors(announce, self.state_dir, self._announcement)
            undo.callback(withdraw, self.state_dir, self._announcement)
            self._undo = undo.pop_all()

    @classmethod
    @contextmanager
    def running(
        cls,
        *,
        state_dir: Path,
        data_dir: Path | None = None,
        port: int = 0,
        read_seconds: float = READ_SECONDS,
        max_report_bytes: int = MAX_BYTES,
    ) -> Iterator[Collector]:
        """Run a collector for the duration of a ``with`` block, on a free port by default."""
        collector = cls(
            state_dir=state_dir,
            data_dir=data_dir,
            port=port,
            read_seconds=read_seconds,
            max_report_bytes=max_report_bytes,
        )
        try:
            yield collector
        finally:
            collector.stop()

    @property
    def login_url(self) -> str:
        """The link that logs a browser in."""
        return login_url(self.url, self.access.login_token)

    @property
    def token(self) -> str:
        """The token that agents send with each report."""
        return self.access.ingest_token

    def stop(self) -> None:
        """Withdraw the announcement, stop serving and store accepted reports, within two seconds; safe to call twice."""
        self._undo.close()

    def _stop_serving(self) -> None:
        self._server.should_exit = True
        self._thread.join(_STOP_SECONDS)

    def _server_config(self, read_seconds: float, max_report_bytes: int) -> uvicorn.Config:
        protocol = type("Protocol", (Protocol,), {"idle_seconds": read_seconds})
        app = build_app(
            access=self.access,
            writer=self._writer,
            queries=self.queries,
            tally=self.tally,
            read_seconds=read_seconds,
            max_report_bytes=max_report_bytes,
        )
        return uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,  # URLs contain the login token
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            callback_notify=self._writer.tidy,
            timeout_notify=_TIDY_SECONDS,
        )

    def _wait_until_serving(self) -> None:
        deadline = monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or monotonic() > deadline:
                raise CollectorError(f"the server did not start on {self.url}")
            sleep(0.005)


def _with_file_errors(write: Callable[P, T], *values: P.args, **named: P.kwargs) -> T:
    try:
        return write(*values, **named)
    except OSError as error:
        raise CollectorError(f"cannot read or write {error.filename}: {error.strerror}") from error


def _loopback_address(host: str) -> str:
    if host not in _HOSTS:
        raise CollectorError(
            f"cannot listen on {host}: the dashboard serves only this machine; use 127.0.0.1, and from another machine "
            f"forward the port: ssh -L {PORT}:127.0.0.1:{PORT} THIS-MACHINE"
        )
    return _HOSTS[host]


def _bind(address: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # reuse a port whose last owner has just exited
    try:
        listening.bind((address, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"port {port} is in use by another program") from error
        raise CollectorError(f"cannot listen on {address} port {port}: {error.strerror}") from error
    return listening
