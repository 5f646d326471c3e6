"""``POST /api/v1/deploys``: marks a deploy by hand, with the token of agents."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from attrs import asdict, frozen
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from scout_core.sending.protocol import CONTENT_TYPE, Failure
from scout_dashboard.errors import BadQuery, NotFound, StoreError, StoreFull
from scout_dashboard.marking import GivenMarker
from scout_dashboard.writer import Writer

_MOST_BYTES: Final = 10_000
_FIELDS: Final = {"revision": "a text", "at": "a Unix time in seconds, or null", "app": "a text, or null"}


@frozen
class MarkerIntake:
    """The endpoint."""

    writer: Writer
    read_seconds: float

    async def __call__(self, request: Request) -> Response:
        """Answer 201 for a new marker, 200 for one that is known, 4xx when retrying is pointless, and 5xx otherwise."""
        try:
            answer = await self.writer.mark(_read(await asyncio.wait_for(_body(request), self.read_seconds)))
        except asyncio.TimeoutError:
            return _failure(408, f"timed out: the body did not arrive within {self.read_seconds:g} s")
        except ClientDisconnect:
            return _failure(400, "incomplete body")
        except BadQuery as error:
            return _failure(400, str(error))
        except NotFound as error:
            return _failure(404, str(error))
        except StoreFull as error:
            return _failure(507, str(error))
        except StoreError as error:
            return _failure(503, str(error))
        return JSONResponse(asdict(answer), status_code=201 if answer.is_new else 200)


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise BadQuery(f"the body is larger than {_MOST_BYTES} bytes; send only {', '.join(_FIELDS)}")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise BadQuery(f"unsupported content type; expected {CONTENT_TYPE}")
    return body


def _read(body: bytes) -> GivenMarker:
    facts: Any  # JSON
    try:
        facts = json.loads(body)
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise BadQuery(f"the body is not a JSON object with {', '.join(_FIELDS)}")
    for name in facts.keys() - _FIELDS.keys():
        raise BadQuery(f"unknown field {name[:50]!r}; expected {', '.join(_FIELDS)}")
    revision: Any = facts.get("revision")
    at, app = facts.get("at"), facts.get("app")
    is_valid = {
        "revision": isinstance(revision, str),
        "at": at is None or (isinstance(at, (int, float)) and not isinstance(at, bool) and abs(at) < 1e15),
        "app": app is None or isinstance(app, str),
    }
    for name, valid in is_valid.items():
        if not valid:
            raise BadQuery(f"invalid field {name!r}; expected {_FIELDS[name]}")
    return GivenMarker(revision=revision, at=at, app=app)


def _failure(status: int, text: str) -> Response:
    return JSONResponse(Failure(error=text).facts(), status_code=status)
