"""``POST /api/v1/reports``: takes what agents send, or says in a word why not; never reads more than it has to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from attrs import asdict, define
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from scout_core.errors import RejectedReport
from scout_core.sending.protocol import Accepted, Failure
from scout_core.sending.wire import ANOTHER_SCHEMA, CONTENT_TYPE
from scout_dashboard.access import Access
from scout_dashboard.errors import StoreError, StoreFull
from scout_dashboard.tally import Tally
from scout_dashboard.writer import Writer

MOST_BYTES: Final = 8 * 1024 * 1024
READ_SECONDS: Final = 10.0
_LET_THROUGH_SECONDS: Final = 2.0
_MOST_BYTES_AT_ONCE: Final = 64 * 1024 * 1024
"""Of all requests that are being read or wait to be stored."""


class Refused(Exception):
    """A request that is answered with a reason."""

    def __init__(self, status: int, reason: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason


@define
class Intake:
    """The endpoint, and how many bytes it holds."""

    access: Access
    writer: Writer
    tally: Tally
    read_seconds: float = READ_SECONDS
    held: int = 0

    async def __call__(self, request: Request) -> Response:
        """202 when the report is stored; 4xx when it never will be; 5xx when it may come again."""
        body = bytearray()
        try:
            return await self._answer(request, body)
        except Refused as refusal:
            self.tally.rejected(refusal.reason)
            return _said(refusal.status, str(refusal))
        except RejectedReport as error:
            self.tally.rejected(error.reason if error.reason == ANOTHER_SCHEMA else "malformed")
            return _said(400, str(error))
        except StoreFull as error:
            self.tally.failed("store full", str(error))
            return _said(507, str(error))
        except StoreError as error:
            self.tally.failed("store not usable", str(error))
            return _said(503, str(error))
        except ClientDisconnect:
            self.tally.rejected("truncated")
            return _said(400, "the body ended too early")  # nobody is there to read it
        finally:
            self.held -= len(body)

    async def _answer(self, request: Request, body: bytearray) -> Response:
        try:
            await asyncio.wait_for(self._read(request, body), self.read_seconds)
        except asyncio.TimeoutError:
            raise Refused(408, "too slow", f"the body did not arrive within {self.read_seconds:g} s") from None
        is_new = await self.writer.take(bytes(body))
        accepted = Accepted(accepted=True, duplicate=not is_new, next_report=self.tally.next_report())
        return JSONResponse(asdict(accepted), status_code=202)

    async def _read(self, request: Request, body: bytearray) -> None:
        """
        Read the body, or find a reason not to.

        A body that is refused is still let through, for a while and without being kept: whoever sends it reads the answer
        only after that, and would take a connection that is closed on it for one that failed.
        """
        chunks = request.stream()
        refusal = self._refusal(request) or await self._keep(chunks, body)
        if refusal is not None:
            with suppress(asyncio.TimeoutError, ClientDisconnect):
                await asyncio.wait_for(_let_through(chunks), _LET_THROUGH_SECONDS)
            raise Refused(*refusal)

    async def _keep(self, chunks: AsyncIterator[bytes], body: bytearray) -> tuple[int, str, str] | None:
        async for chunk in chunks:
            if len(body) + len(chunk) > MOST_BYTES:
                return _TOO_LARGE
            if self.held + len(chunk) > _MOST_BYTES_AT_ONCE:
                return _BUSY
            body += chunk
            self.held += len(chunk)
        return None

    def _refusal(self, request: Request) -> tuple[int, str, str] | None:
        headers = request.headers
        if not self.access.may_report([value.encode("latin-1") for value in headers.getlist("authorization")]):
            return _NOT_ALLOWED
        if headers.get("content-type", "").partition(";")[0].strip().lower() != CONTENT_TYPE:
            return _WRONG_TYPE
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            return _ENCODED
        length = headers.get("content-length", "")
        return _TOO_LARGE if length.isdigit() and int(length[:20]) > MOST_BYTES else None


_NOT_ALLOWED: Final = (
    401,
    "unauthorized",
    "the token is missing or wrong: agents find it in the state directory of the collector",
)
_WRONG_TYPE: Final = (415, "wrong content type", f"a report is {CONTENT_TYPE}")
_ENCODED: Final = (415, "wrong content type", "a report is sent as it is, without Content-Encoding")
_TOO_LARGE: Final = (413, "too large", f"a report has at most {MOST_BYTES} bytes")
_BUSY: Final = (503, "busy", "too many reports at once: try again")


async def _let_through(chunks: AsyncIterator[bytes]) -> None:
    dropped = 0
    async for chunk in chunks:
        dropped += len(chunk)
        if dropped > MOST_BYTES:
            return


def _said(status: int, text: str) -> Response:
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "5"}}.get(status)
    return JSONResponse(asdict(Failure(error=text)), status_code=status, headers=headers)
