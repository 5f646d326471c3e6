"""The work of an application's views while the web suite runs, and what they have noticed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from threading import Condition
from typing import Final

from scout_core.operations import CONTROLLER
from scout_core.recording.context import current_transaction
from scout_core.recording.span import Span

HOME: Final = "home"
PARTS: Final = ("one\n", "two\n", "three\n")
"""The parts of a streamed response."""
LATE_NAME: Final = f"{CONTROLLER}/renamed.by.view"
LONGEST: Final = 20.0
"""Seconds that requests wait for each other, and for the end of what was begun."""


class ShopError(Exception):
    """Raised by a view; nothing in the application handles it."""


class SoldOut(Exception):
    """Raised by a view; the application has a handler for it, which answers 409."""


class Shop:
    """
    The behaviour behind the routes of ``WebSuite``, without a framework: each view of the application calls the function of its name.

    Views that are ``async`` may call those that end in ``_async``.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._inside = 0
        self._awaits_others = False
        self._changed = Condition()
        self.made = 0
        """Parts of streamed responses that were made."""
        self.ended = 0
        """Streamed responses that have ended, were closed or failed."""

    def home(self) -> str:
        """Return the body of ``/``."""
        return HOME

    def article(self, number: int) -> str:
        """Return the body of ``/article/<number>``, after a span."""
        with Span("Article/Find", number=number):
            if self._awaits_others:
                self._wait()
            with Span("Article/Read", number=number):
                return f"article {number}"

    async def article_async(self, number: int) -> str:
        """Return the same for an ``async`` view."""
        with Span("Article/Find", number=number):
            if self._awaits_others:
                with self._changed:
                    self._inside += 1
                until = time.monotonic() + LONGEST
                while self._inside < self._at_once and time.monotonic() < until:  # noqa: ASYNC110  # several event loops may be used
                    await asyncio.sleep(0.001)
            with Span("Article/Read", number=number):
                await asyncio.sleep(0)
                return f"article {number}"

    def broken(self) -> str:
        """
        Fail, in ``/broken``.

        Raises:
            ShopError: always.
        """
        raise ShopError("the shop is broken")

    def sold_out(self) -> str:
        """
        Fail, in ``/sold_out``, in a way that the application handles.

        Raises:
            SoldOut: always.
        """
        raise SoldOut("nothing is left")

    def late(self) -> str:
        """Return the body of ``/late``, after the view has renamed the transaction."""
        web = current_transaction()
        if web is not None:
            web.rename(LATE_NAME)
        with Span("Article/Find"):
            return "late"

    def stream(self) -> Iterator[str]:
        """Yield the parts of ``/stream``; each is made within a span."""
        return self._parts(len(PARTS), fails=False)

    def stream_async(self) -> AsyncIterator[str]:
        """Yield the same for an ``async`` view."""
        return self._parts_async(len(PARTS), fails=False)

    def broken_stream(self) -> Iterator[str]:
        """Yield a part of ``/broken_stream``, and raise ``ShopError``."""
        return self._parts(1, fails=True)

    def broken_stream_async(self) -> AsyncIterator[str]:
        """Yield the same for an ``async`` view."""
        return self._parts_async(1, fails=True)

    def endless(self) -> Iterator[str]:
        """Yield the parts of ``/endless``, until the client has left."""
        return self._parts(10**9, fails=False, pause=0.0005)

    def endless_async(self) -> AsyncIterator[str]:
        """Yield the same for an ``async`` view."""
        return self._parts_async(10**9, fails=False)

    def await_others(self) -> None:
        """Let each request for an article wait until others are in the same view: from now on."""
        self._awaits_others = True

    def _wait(self) -> None:
        with self._changed:
            self._inside += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._inside >= self._at_once, LONGEST)

    def _parts(self, number: int, *, fails: bool, pause: float = 0.0) -> Iterator[str]:
        try:
            for count in range(number):
                with Span("Part/Make"):
                    self.made += 1
                yield PARTS[count % len(PARTS)]
                if pause:  # a server whose threads are all busy may not notice that the client has left
                    time.sleep(pause)
            if fails:
                raise ShopError("the stream is broken")
        finally:
            self.ended += 1

    async def _parts_async(self, number: int, *, fails: bool) -> AsyncIterator[str]:
        try:
            for count in range(number):
                with Span("Part/Make"):
                    self.made += 1
                    await asyncio.sleep(0)
                yield PARTS[count % len(PARTS)]
            if fails:
                raise ShopError("the stream is broken")
        finally:
            self.ended += 1
