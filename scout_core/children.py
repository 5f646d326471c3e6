"""A child process with a deadline: the lines that it answers with, the output of the code that runs in it, and how it ended."""

from __future__ import annotations

import json
import os
import selectors
import signal
from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Any, Final

from attrs import define, field

MOST_OUTPUT: Final = 64 * 1024
"""Bytes of its output that are kept; the rest is read and discarded, so that the child is not held up."""
_LOOK: Final = 0.05
"""Seconds between two looks at whether it still runs: a process that it has started may keep the pipes open."""
_MOST_ANSWER: Final = 64 * 1024 * 1024
_MOST_WAIT: Final = 5.0
"""Seconds to wait for a child that was killed; one that waits for a disk cannot be."""


@define
class Child:
    """A running child; it leads a process group of its own."""

    pid: int
    poll: Callable[[], int | None]
    """The exit code, negative for a signal; None while it runs."""
    answers: int
    """Descriptor from which its answers are read, one JSON object a line."""
    output: int
    """Descriptor from which its standard output and standard error are read."""
    ended: str = field(default="", init=False)
    """How it ended, a clause: ``the process ended with 3``; empty while it runs, and when it has answered completely."""
    has_timed_out: bool = field(default=False, init=False)
    printed: bytearray = field(factory=bytearray, init=False)

    def lines(self, seconds: float, *, is_last: Callable[[Any], bool]) -> Iterator[Any]:  # Any: JSON
        """
        Yield its answers as they arrive; end the child and everything in its group after the last one.

        Args:
            seconds: the longest time between two answers.
            is_last: whether an answer is the last one. When the child ends or does not answer before, ``ended`` is set.
        """
        pending = b""
        try:
            for part in self._parts(seconds):
                *complete, pending = (pending + part).split(b"\n")
                for line in complete:
                    answer = _read(line)
                    if answer is not None:
                        yield answer
                        if is_last(answer):
                            return
                if len(pending) > _MOST_ANSWER:
                    break
            self.ended = self.ended or self._ending()
        finally:
            self._close()

    def _parts(self, seconds: float) -> Iterator[bytes]:
        """Yield what it writes; stop when it has ended, or has written no answer for so many seconds."""
        with selectors.DefaultSelector() as selector:
            for descriptor in (self.answers, self.output):
                os.set_blocking(descriptor, False)
                selector.register(descriptor, selectors.EVENT_READ)
            deadline = monotonic() + seconds
            while True:
                has_ended = self.poll() is not None
                ready = selector.select(0 if has_ended else _LOOK)
                for key, _ in ready:
                    part = os.read(key.fd, 65536)
                    if not part:
                        selector.unregister(key.fd)
                    elif key.fd == self.output:
                        self.printed += part[: MOST_OUTPUT - len(self.printed)]
                    else:
                        yield part
                        deadline = monotonic() + seconds
                if has_ended and not any(key.fd == self.answers for key, _ in ready):
                    return
                if monotonic() > deadline:
                    self.has_timed_out = True
                    self.ended = f"it timed out after {seconds:g} s"
                    return

    def _ending(self) -> str:
        code = self.poll()
        if code is None:
            return "it wrote invalid output instead of its answer"
        if code >= 0:
            return f"the process ended with {code}"
        try:
            return f"the process was ended by {signal.Signals(-code).name}"
        except ValueError:  # a real-time signal without a name
            return f"the process was ended by signal {-code}"

    def _close(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # PermissionError: macOS, when only zombies are left
            pass
        deadline = monotonic() + _MOST_WAIT
        while self.poll() is None and monotonic() < deadline:
            sleep(0.001)
        self._read_rest()
        os.close(self.answers)
        os.close(self.output)

    def _read_rest(self) -> None:
        """Read what it printed before its last answer, which may have arrived first."""
        try:
            while len(self.printed) < MOST_OUTPUT and (part := os.read(self.output, 65536)):
                self.printed += part[: MOST_OUTPUT - len(self.printed)]
        except BlockingIOError:  # a process that it has started keeps the pipe open
            pass


def _read(line: bytes) -> Any:  # Any: JSON
    """Return the object in a line; None for anything else: code in the child may write to any descriptor."""
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None
