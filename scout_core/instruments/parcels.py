"""
A function for ``wrap.around`` with which a worker sends what its children record, where each is forked for one job.

The child writes into a file in memory that it has inherited, which the parent reads when the child has ended. One that is killed leaves
nothing, or an incomplete text, which is not counted.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import IO, Any, Final

from scout_core.log import Log
from scout_core.recording import context
from scout_core.running import hold, in_children, receive
from scout_core.threads import NoThread, start_thread

log = Log("scout_core")

_open: Final[list[Parcel]] = []
"""The files of this process, innermost last."""


class Parcel:
    """The file for one child."""

    def __init__(self) -> None:
        from scout_core.sending import handing  # noqa: F401  # before the fork, once for all children

        self.pid: Final = os.getpid()
        self.file: Final = _file()
        self.thread: threading.Thread | None = None
        """Records what children have written; None: it has not been started."""
        self.is_recorded: Final = threading.Event()

    def put(self, packed: bytes) -> bool:
        """Write what a child has recorded; whether the parent, which still waits for it, will read it."""
        if os.getppid() != self.pid:
            return False
        try:
            self.file.write(f"{len(packed)}\n".encode() + packed)
        except OSError:
            return False
        return True

    def take(self) -> list[bytes]:
        """Return what children have written completely."""
        taken = []
        self.file.seek(0)
        while (line := self.file.readline()).strip().isdigit():
            packed = self.file.read(int(line))
            if len(packed) == int(line):
                taken.append(packed)
        return taken

    def hand_over(self) -> None:
        """Record in this process what children have written, once; if a signal handler interrupts it, call it again."""
        if self not in _open:  # in a child that returns from the call, or for the second time
            return
        if self.thread is None and isinstance(start_thread(self._record, "scout-parcel", self._keep), NoThread):
            self._record()
        self.is_recorded.wait()
        if self.thread is not None:
            self.thread.join()

    def _keep(self, thread: threading.Thread | None) -> None:
        self.thread = thread

    def _record(self) -> None:
        """On a thread of its own, because signal handlers of the application, which may raise, run on the main thread only."""
        try:
            for packed in self.take():
                receive(packed)
        except OSError as error:
            log.warning("what a child process has recorded is lost: %s", error)
        finally:
            _open.remove(self)
            self.file.close()
            self.is_recorded.set()


# Any: a call of the library.
def send_for_child(wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """
    Send, in this process, what a child records that is forked during the call: for the call that forks one for a job and waits for it.

    ``wrap.around("rq.worker:Worker.execute_job", send_for_child)``. Wrap what the child itself calls with ``end_child``.
    """
    parcel = _new_parcel() if context.tracer is not None else None
    if parcel is None:
        return wrapped(*args, **kwargs)
    try:
        return wrapped(*args, **kwargs)
    finally:
        try:
            parcel.hand_over()
        except BaseException:  # a signal handler has raised, as that of a worker which is asked to stop
            parcel.hand_over()
            raise


def _new_parcel() -> Parcel | None:
    """Open a file for the next child; None: there is no room, and the child sends its report itself."""
    try:
        parcel = Parcel()
    except OSError as error:
        log.info("a child process sends its own report: %s", error)
        return None
    _open.append(parcel)
    return parcel


def _file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):  # Linux
        return os.fdopen(os.memfd_create("scout-core"), "w+b", buffering=0)
    from tempfile import TemporaryFile

    return TemporaryFile(buffering=0)


def _in_child() -> None:
    """In a forked child: hand over what it records, if it was forked by a call that waits for it."""
    if _open and _open[-1].pid == os.getppid():
        hold(_open[-1].put)
    _open.clear()


in_children.append(_in_child)
