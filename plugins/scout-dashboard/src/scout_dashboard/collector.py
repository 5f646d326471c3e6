"""The collector: store, server and announcement, started and stopped together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from math import ceil
from pathlib import Path
from threading import Thread
from time import monotonic, sleep, time
from typing import Final, ParamSpec, TypeVar

import uvicorn
from attrs import evolve

from scout_core.private_files import irregularity, private_directory
from scout_core.sending.protocol import LinkAnswer
from scout_core.sending.rendezvous import LOCK_NAME, CollectorAddress, announce, discard, withdraw
from scout_dashboard.access import Access, read_access
from scout_dashboard.connections import TimeLimits
from scout_dashboard.errors import AlreadyRunning, CollectorError
from scout_dashboard.intake import MAX_BYTES, READ_SECONDS
from scout_dashboard.listening import PORT, QUEUE, bind_both, loopback_address
from scout_dashboard.locks import FileLock, Holder, LockHeld, UnusableLock
from scout_dashboard.open_files import OpenFiles, raised_limit
from scout_dashboard.options import RETENTION_DAYS, TRACE_RETENTION_DAYS
from scout_dashboard.private_socket import private_socket
from scout_dashboard.queries import Queries
from scout_dashboard.queries.apdex import Thresholds
from scout_dashboard.server import build_app
from scout_dashboard.serving import Server
from scout_dashboard.store import Store
from scout_dashboard.store.files import default_data_directory
from scout_dashboard.tally import Tally
from scout_dashboard.warming import warming
from scout_dashboard.writer import Writer

P = ParamSpec("P")
T = TypeVar("T")

WRITE_SECONDS: Final = 10.0
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
        write_seconds: float = WRITE_SECONDS,
        max_report_bytes: int = MAX_BYTES,
        apdex: Thresholds | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        """
        Args:
            state_dir: where agents find the collector, and where its secrets are.
            data_dir: None means ``data`` in the state directory.
            host: ``127.0.0.1`` or ``::1``.
            port: 0 means any free port.
            read_seconds: time limit for receiving a request.
            write_seconds: time limit in which a client must take some of a response.
            max_report_bytes: the largest report that is accepted; agents leave traces out that do not fit.
            apdex: None means the default threshold for all endpoints.
            clock: Unix time, which decides when login links and sessions expire.

        Raises:
            CollectorError: it cannot listen on this address.
            AlreadyRunning: another collector is running for this state directory, and keeps its announcement.
            StoreError: the data directory cannot be used.
            ScoutError: the state directory is not private.
        """
        address = loopback_address(host)
        with ExitStack() as undo:
            self.state_dir = private_directory(state_dir)
            lock = _lock_announcement(self.state_dir)
            undo.callback(lock.release)
            discard(self.state_dir)
            self.store = Store(
                data_dir or default_data_directory(state_dir),
                retention_days=retention_days,
                trace_retention_days=trace_retention_days,
            )
            undo.callback(self.store.close)
            listening = bind_both(address, port)
            for opened in listening:
                undo.enter_context(opened)
            private = undo.enter_context(private_socket(self.state_dir, queue=QUEUE))
            if private.listening is not None:
                listening.append(private.listening)
            self.port: int = listening[0].getsockname()[1]
            ip = f"[{address}]" if ":" in address else address
            self.url = f"http://{ip}:{self.port}"
            self.access: Access = _with_file_errors(read_access, state_dir, port=self.port, ip=ip, clock=clock)
            undo.callback(self.access.sessions.save)
            self.tally = Tally(private_socket=private.path, private_problem=private.problem)
            self.queries = Queries(self.store, self.tally, apdex)
            self._writer = Writer(self.store, self.tally)
            undo.callback(self._writer.close)
            self.open_files: OpenFiles = undo.enter_context(raised_limit(retention_days + trace_retention_days))
            self._server = Server(
                self._server_config(read_seconds, max_report_bytes),
                caps=self.open_files.caps,
                limits=TimeLimits(request=read_seconds, response=write_seconds),
                tally=self.tally,
                shows_secret=self.access.shows_secret,
            )
            self._thread = Thread(target=self._server.run, args=(listening,), name="scout-dashboard", daemon=True)
            self._thread.start()
            undo.callback(self._stop_serving)
            self._wait_until_serving()
            self._announcement = CollectorAddress(
                url=self.url,
                token=self.token,
                pid=os.getpid(),
                max_report_bytes=max_report_bytes,
                private_socket=private.path,
            )
            _with_file_errors(announce, self.state_dir, self._announcement)
            undo.callback(withdraw, self.state_dir, self._announcement)
            holder = self._holder()
            self.store.lock.describe(holder)
            lock.describe(holder)
            undo.callback(lock.describe, evolve(holder, url=""))  # nobody joins it while it stops
            undo.enter_context(warming(self.queries))
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
        write_seconds: float = WRITE_SECONDS,
        max_report_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time,
    ) -> Iterator[Collector]:
        """Run a collector for the duration of a ``with`` block, on a free port by default."""
        collector = cls(
            state_dir=state_dir,
            data_dir=data_dir,
            port=port,
            read_seconds=read_seconds,
            write_seconds=write_seconds,
            max_report_bytes=max_report_bytes,
            clock=clock,
        )
        try:
            yield collector
        finally:
            collector.stop()

    def new_links(self) -> LinkAnswer:
        """Return a new login link, which works once."""
        return self.access.new_links()

    @property
    def token(self) -> str:
        """The token that agents send with each report."""
        return self.access.ingest_token

    def _holder(self) -> Holder:
        return Holder(
            pid=os.getpid(),
            since=int(time()),
            url=self.url,
            data_dir=str(self.store.directory),
            retention_days=self.store.retention_days,
            trace_retention_days=self.store.trace_retention_days,
        )

    def stop(self) -> None:
        """Withdraw the announcement, stop serving and store accepted reports, within two seconds; safe to call twice."""
        self._undo.close()

    def _stop_serving(self) -> None:
        self._server.should_exit = True
        self._thread.join(_STOP_SECONDS)

    def _server_config(self, read_seconds: float, max_report_bytes: int) -> uvicorn.Config:
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
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,  # URLs contain login links
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=ceil(read_seconds),
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


def _lock_announcement(state_dir: Path) -> FileLock:
    try:
        return FileLock(state_dir / LOCK_NAME)
    except LockHeld as error:
        raise AlreadyRunning(state_dir, error.holder) from error
    except UnusableLock as error:
        raise CollectorError(f"{error}; or choose another directory with --state-dir") from error


def _with_file_errors(write: Callable[P, T], *values: P.args, **named: P.kwargs) -> T:
    try:
        return write(*values, **named)
    except OSError as error:
        path = Path(str(error.filename2 or error.filename or values[0]))  # the last is the state directory
        reason = f"{found}; move it away" if (found := irregularity(path)) else error.strerror
        raise CollectorError(f"cannot read or write {path}: {reason}") from error
