"""The suite for HTTP clients on urllib3, and on requests, which uses it."""

from __future__ import annotations

from collections.abc import Iterator

import requests
import urllib3
from urllib3._collections import HTTPHeaderDict  # urllib3 < 2 does not export it

from scout_core.testing.http_clients import HttpClientSuite


class TestUrllib3(HttpClientSuite):
    refused = urllib3.exceptions.HTTPError

    def call(self, method: str, url: str, headers: object = None) -> tuple[int, bytes]:
        with urllib3.PoolManager(retries=urllib3.Retry(connect=0, read=0, redirect=5)) as http:
            answer = http.request(method, url, headers=headers)
            return answer.status, answer.data

    def call_with_retries(self, url: str) -> tuple[int, bytes]:
        with urllib3.PoolManager(retries=urllib3.Retry(2, status_forcelist=[503], backoff_factor=0)) as http:
            answer = http.request("GET", url)
            return answer.status, answer.data

    def call_with_default_headers(self, url: str, headers: dict[str, str]) -> tuple[int, bytes]:
        parts = urllib3.util.parse_url(url)
        with urllib3.HTTPConnectionPool(parts.host or "", parts.port, headers=headers) as pool:
            answer = pool.urlopen("GET", parts.request_uri)
            return answer.status, answer.data

    def stream(self, url: str) -> Iterator[bytes]:
        with urllib3.PoolManager() as http, http.request("GET", url, preload_content=False) as answer:
            yield from answer.stream(100)

    def kinds_of_headers(self, headers: dict[str, str]) -> list[object]:
        return [headers, HTTPHeaderDict(headers)]


class TestRequests(HttpClientSuite):
    refused = requests.ConnectionError

    def call(self, method: str, url: str, headers: object = None) -> tuple[int, bytes]:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(method, url, headers=headers, allow_redirects=True)
            return answer.status_code, answer.content

    def call_with_retries(self, url: str) -> tuple[int, bytes]:
        with requests.Session() as session:
            session.trust_env = False
            retries = urllib3.Retry(2, status_forcelist=[503], backoff_factor=0)
            session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retries))
            answer = session.get(url)
            return answer.status_code, answer.content

    def call_with_default_headers(self, url: str, headers: dict[str, str]) -> tuple[int, bytes]:
        with requests.Session() as session:
            session.trust_env = False
            session.headers.update(headers)
            answer = session.get(url)
            return answer.status_code, answer.content

    def stream(self, url: str) -> Iterator[bytes]:
        with requests.Session() as session:
            session.trust_env = False
            with session.get(url, stream=True) as answer:
                yield from answer.iter_content(None)

    def kinds_of_headers(self, headers: dict[str, str]) -> list[object]:
        return [headers, requests.structures.CaseInsensitiveDict(headers)]
