"""State that the operating system keeps for the process: environment, signals, files, limits, working directory."""

from __future__ import annotations

import locale
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from typing import Final

from scout_core.testing.rules.interpreter_state import Facts, Same


def environment() -> Facts:
    """Variables of the environment."""
    yield "os.environ", Same(os.environ)
    for name, value in tuple(os.environ.items()):
        yield f"the environment variable {name}", value


def signals() -> Facts:
    """Handlers, the mask, timers, and the descriptor that is written to."""
    for number in signal.valid_signals():
        yield f"the handler of {_signal(number)}", _comparable(signal.getsignal(number))
    yield "the mask of signals", tuple(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
    timers = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
    yield "the interval timers", tuple(signal.getitimer(timer)[0] > 0 for timer in timers)
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor)
    yield "the wakeup descriptor of signals", descriptor


def _comparable(handler: object) -> object:
    return handler if isinstance(handler, int) else Same(handler)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal without a name
        return f"signal {number}"


def place() -> Facts:
    """The directory, user and group with which it runs."""
    yield "the working directory", _directory()
    mask = os.umask(0o077)
    os.umask(mask)
    yield "the umask", mask
    if hasattr(os, "getresuid"):
        yield "the user or group", (os.getresuid(), os.getresgid(), tuple(os.getgroups()))
    yield "the process group", (os.getpgrp(), os.getsid(0))
    yield "the priority", os.getpriority(os.PRIO_PROCESS, 0)
    if hasattr(os, "sched_getaffinity"):
        yield "the CPU affinity", tuple(sorted(os.sched_getaffinity(0)))
    for name in dir(resource):
        if name.startswith("RLIMIT_"):
            yield f"the limit {name}", resource.getrlimit(getattr(resource, name))
    yield "the command line (sys.argv)", tuple(map(repr, sys.argv))
    if hasattr(sys, "getdlopenflags"):
        yield "the flags of dlopen", sys.getdlopenflags()


def _directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def language() -> Facts:
    """The locale and the time zone."""
    yield "the locale", locale.setlocale(locale.LC_ALL)
    yield "the time zone", (time.timezone, time.altzone, time.tzname)


def descriptors() -> Facts:
    """Open files and sockets, and what standard input and output are."""
    for number in _open():
        try:
            facts = os.fstat(number)
            is_blocking = os.get_blocking(number)
        except OSError:  # the descriptor of the listing itself
            continue
        if number <= 2:
            name = ("standard input", "standard output", "standard error")[number]
            yield f"the file that is {name}", (facts.st_dev, facts.st_ino, is_blocking)
        else:
            yield f"the open file, pipe or socket {number}", (facts.st_dev, facts.st_ino)


def _open() -> Iterator[int]:
    for folder in ("/proc/self/fd", "/dev/fd"):
        if os.path.isdir(folder):
            return map(int, os.listdir(folder))
    return iter(range(256))


READERS: Final = (environment, signals, place, language, descriptors)
