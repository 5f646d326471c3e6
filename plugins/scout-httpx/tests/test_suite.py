"""The suite for HTTP clients on both clients of HTTPX."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx

from scout_core.testing.http_clients import HttpClientSuite

NO_RETRIES = {"retries": "not with HTTPX, which retries connections only; test_httpx.py has a transport that retries"}


class TestClient(HttpClientSuite):
    refused = httpx.ConnectError
    skip = NO_RETRIES

    def call(self, method: str, url: str, headers: object = None) -> tuple[int, bytes]:
        with httpx.Client(trust_env=False, follow_redirects=True) as http:
            answer = http.request(method, url, headers=headers)
            return answer.status_code, answer.content

    def call_with_default_headers(self, url: str, headers: dict[str, str]) -> tuple[int, bytes]:
        with httpx.Client(trust_env=False, headers=headers) as http:
            answer = http.get(url)
            return answer.status_code, answer.content

    def stream(self, url: str) -> Iterator[bytes]:
        with httpx.Client(trust_env=False) as http, http.stream("GET", url) as answer:
            yield from answer.iter_bytes()

    def kinds_of_headers(self, headers: dict[str, str]) -> list[object]:
        pairs = list(headers.items())
        raw = [(name.encode(), value.encode()) for name, value in pairs]
        return [headers, pairs, raw, httpx.Headers(headers)]


class TestAsyncClient(TestClient):
    async def call(self, method: str, url: str, headers: object = None) -> tuple[int, bytes]:
        async with httpx.AsyncClient(trust_env=False, follow_redirects=True) as http:
            answer = await http.request(method, url, headers=headers)
            return answer.status_code, answer.content

    async def call_with_default_headers(self, url: str, headers: dict[str, str]) -> tuple[int, bytes]:
        async with httpx.AsyncClient(trust_env=False, headers=headers) as http:
            answer = await http.get(url)
            return answer.status_code, answer.content

    async def stream(self, url: str) -> AsyncIterator[bytes]:
        async with httpx.AsyncClient(trust_env=False) as http, http.stream("GET", url) as answer:
            async for part in answer.aiter_bytes():
                yield part
