"""A library for the tests of the module for HTTP clients, in a module of its own: it matters who calls a method."""

from __future__ import annotations

from http.client import HTTPConnection
from urllib.parse import urlsplit


class Response:
    """A response: it is read by calls, and the last one releases its connection."""

    def __init__(self, parts=("a", "b"), error=None) -> None:
        self.parts = list(parts)
        self.error = error
        self.released = 0

    def read(self):
        try:
            if self.error is not None:
                raise self.error
            return self.parts.pop(0)
        finally:
            if not self.parts or self.error:
                self.release()

    def release(self):
        self.released += 1
        return "released"

    def close(self, *, hard=False):
        return "closed hard" if hard else "closed"

    def read_invalid(self):
        """As urllib3 reads the length of a chunk: it closes the response first, and then raises another exception."""
        try:
            try:
                raise ValueError
            except ValueError:
                self.close()
                raise ConnectionResetError from None
        finally:
            self.release()


class Answer:
    """The response of a client, which is read in parts."""

    def __init__(self, connection, answer) -> None:
        self.connection = connection
        self.answer = answer
        self.status = answer.status

    def read(self, size=None):
        try:
            return self.answer.read() if size is None else self.answer.read1(size)
        finally:
            if self.answer.isclosed() or self.is_failing():
                self.release()

    def is_failing(self):
        import sys

        return sys.exc_info()[1] is not None

    def release(self):
        self.connection.close()

    def close(self):
        self.answer.close()
        self.connection.close()


class Client:
    """A client that follows redirects, retries when it is asked to, and has headers for calls without any."""

    def __init__(self, headers=None):
        self.headers = headers

    def request(self, method, url, headers=None, retry=False):
        if headers is None:
            headers = self.headers
        answer = self.hop(method, url, headers)
        if answer.status == 302:
            answer.read()
            parts = urlsplit(url)
            return self.hop(method, f"{parts.scheme}://{parts.netloc}/item", headers)
        if answer.status == 503 and retry:
            answer.read()
            return self.hop(method, url, headers)
        return answer

    def hop(self, method, url, headers):
        parts = urlsplit(url)
        connection = HTTPConnection(parts.hostname, parts.port)
        self.send(connection, method, f"{parts.path}?{parts.query}" if parts.query else parts.path, headers)
        return Answer(connection, connection.getresponse())

    def send(self, connection, method, target, headers):
        headers = {} if headers is None else headers
        agent = headers.get("User-Agent", "library")
        connection.request(method, target, headers={**headers, "X-Library": agent})
