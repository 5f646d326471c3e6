"""``POST /api/v1/reports``: accepts agents' reports or refuses them with a reason, and never reads more than necessary."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from attrs import asdict, define
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from scout_core.errors import RejectedReport
from scout_core.sending.intake import SENT_HEADER
from scout_core.sending.protocol import MAX_REPORT_BYTES, Accepted, Failure
from scout_core.sending.wire import ANOTHER_SCHEMA, CONTENT_TYPE
from scout_dashboard.clocks import read_sent
from scout_dashboard.errors import StoreError, StoreFull
from scout_dashboard.tally import Tally
from scout_dashboard.writer import Writer

MAX_BYTES: Final = MAX_REPORT_BYTES
READ_SECONDS: Final = 10.0
_DRAIN_SECONDS: Final = 2.0
_MAX_BUFFERED_BYTES: Final = 64 * 1024 * 1024
"""Total of all requests that are being read or wait to be stored."""


class Refused(Exception):
    """The request is refused with a status and a reason."""

    def __init__(self, status: int, reason: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason


@define
class Intake:
    """The endpoint, with the number of bytes that it buffers."""

    writer: Writer
    tally: Tally
    read_seconds: float = READ_SECONDS
    max_bytes: int = MAX_BYTES
    """The largest report that is accepted."""
    buffered_bytes: int = 0

    async def __call__(self, request: Request) -> Response:
        """Answer 202 for a stored report, 4xx when retrying is pointless, and 5xx when the agent should retry."""
        body = bytearray()
        try:
            return await self._answer(request, body)
        except Refused as refusal:
            self.tally.count_rejected(refusal.reason)
            return _failure(refusal.status, str(refusal), max_bytes=self.max_bytes if refusal.status == 413 else None)
        except RejectedReport as error:
            self.tally.count_invalid(error.reason if error.reason == ANOTHER_SCHEMA else "malformed", str(error))
            return _failure(400, str(error))
        except StoreFull as error:
            self.tally.count_failed("store full", str(error))
            return _failure(507, str(error))
        except StoreError as error:
            self.tally.count_failed("store unusable", str(error))
            return _failure(503, str(error))
        except ClientDisconnect:
            self.tally.count_rejected("truncated")
            return _failure(400, "incomplete body")  # the client has disconnected and cannot read it
        finally:
            self.buffered_bytes -= len(body)

    async def _answer(self, request: Request, body: bytearray) -> Response:
        arrived, sent = time.time(), read_sent(request.headers.get(SENT_HEADER))
        try:
            await asyncio.wait_for(self._read(request, body), self.read_seconds)
        except asyncio.TimeoutError:
            raise Refused(
                408, "too slow", f"timed out: the body did not arrive within {self.read_seconds:g} s"
            ) from None
        is_new = await self.writer.take(bytes(body), arrived=arrived, sent=sent)
        accepted = Accepted(
            accepted=True,
            duplicate=not is_new,
            next_report=self.tally.next_report(),
            max_report_bytes=self.max_bytes,
        )
        return JSONResponse(asdict(accepted), status_code=202)

    async def _read(self, request: Request, body: bytearray) -> None:
        """
        Read the body, or refuse the request.

        The body of a refused request is still received, for a limited time, and discarded: the client reads the response
        only after sending the body, and would report a closed connection as a network error.
        """
        chunks = request.stream()
        refusal = self._refusal(request) or await self._buffer(chunks, body)
        if refusal is not None:
            with suppress(asyncio.TimeoutError, ClientDisconnect):
                await asyncio.wait_for(_drain(chunks), _DRAIN_SECONDS)
            raise Refused(*refusal)

    async def _buffer(self, chunks: AsyncIterator[bytes], body: bytearray) -> tuple[int, str, str] | None:
        async for chunk in chunks:
            if len(body) + len(chunk) > self.max_bytes:
                return self._too_large()
            if self.buffered_bytes + len(chunk) > _MAX_BUFFERED_BYTES:
                return _BUSY
            body += chunk
            self.buffered_bytes += len(chunk)
        return None

    def _refusal(self, request: Request) -> tuple[int, str, str] | None:
        headers = request.headers
        if headers.get("content-type", "").partition(";")[0].strip().lower() != CONTENT_TYPE:
            return _WRONG_TYPE
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            return _ENCODED
        length = headers.get("content-length", "")
        return self._too_large() if length.isdigit() and int(length[:20]) > self.max_bytes else None

    def _too_large(self) -> tuple[int, str, str]:
        return 413, "too large", f"the report is larger than {self.max_bytes} bytes"


_WRONG_TYPE: Final = (415, "wrong content type", f"unsupported content type; expected {CONTENT_TYPE}")
_ENCODED: Final = (415, "wrong content type", "Content-Encoding is not supported; send the report uncompressed")
_BUSY: Final = (503, "busy", "too many reports at the same time; retry later")


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    dropped = 0
    async for chunk in chunks:
        dropped += len(chunk)
        if dropped > MAX_BYTES:
            return


def _failure(status: int, text: str, *, max_bytes: int | None = None) -> Response:
    headers = {503: {"Retry-After": "5"}}.get(status)
    return JSONResponse(Failure(error=text, max_report_bytes=max_bytes).facts(), status_code=status, headers=headers)
