"""A client without a browser: logs in, fetches pages, and parses HTML strictly."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from attrs import define

from scout_dashboard.collector import Collector

VOID = frozenset({"meta", "link", "input", "br", "hr", "img", "wbr"})
WITHIN_WORDS = frozenset({"b", "i", "wbr", "span", "a", "code", "time", "abbr"})
"""Elements that may start and end within a word; all others separate words."""


@define
class Element:
    """A start tag."""

    tag: str
    attributes: dict[str, str]


class Reader(HTMLParser):
    """Elements and text of a page; records every tag that is not closed properly."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.texts: list[str] = []
        self.problems: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.problems.append(f"<{tag}> has an attribute twice: {names}")
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)
        self._separate(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.problems.append(f"</{tag}> at {self.getpos()} closes another element")
        self._separate(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def close(self) -> None:
        super().close()
        self.problems += [f"<{tag}> is never closed" for tag in self._open]
        ids = [element.attributes["id"] for element in self.elements if "id" in element.attributes]
        self.problems += [f"id {id!r} is there twice" for id in set(ids) if ids.count(id) > 1]

    def _separate(self, tag: str) -> None:
        if tag not in WITHIN_WORDS:
            self.texts.append(" ")

    @property
    def text(self) -> str:
        """The text of the page with normalized whitespace."""
        return " ".join("".join(self.texts).split())


def read(html: str) -> Reader:
    """Parse a whole page."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


@define
class Clock:
    """A clock that moves only when a test moves it."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@define
class Visitor:
    """A client with the session of one collector."""

    collector: Collector
    cookie: str = ""
    """Name and value; empty before the login."""

    def log_in(self) -> None:
        """Use a new login link."""
        status, headers, _ = self.ask(urlsplit(self.collector.new_links().by_name).path, method="POST")
        assert 303 == status
        self.cookie = headers["set-cookie"].partition(";")[0]

    def ask(
        self, path: str, *, method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        """
        Return status, headers in lower case, and body.

        Args:
            headers: instead of those that a browser sends: the host name, the cookie, and with a POST the origin.
        """
        origin = self.collector.access.addresses.by_name
        sent = {"Host": urlsplit(origin).netloc} | ({"Cookie": self.cookie} if self.cookie else {})
        sent |= {"Origin": origin} if method == "POST" else {}
        connection = HTTPConnection("127.0.0.1", self.collector.port, timeout=20)
        try:
            connection.request(method, path, headers=sent if headers is None else headers)
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, headers, answer.read().decode("utf-8")
        finally:
            connection.close()

    def page(self, path: str) -> Reader:
        """Return a page that must exist."""
        status, _, html = self.ask(path)
        assert 200 == status, html
        return read(html)

    def facts(self, path: str) -> Any:  # Any: JSON
        """Return the JSON of a page."""
        status, _, body = self.ask(f"/json{path}")
        assert 200 == status, body
        return json.loads(body)


def visitor_of(collector: Collector) -> Visitor:
    """Return a client that has logged in."""
    visitor = Visitor(collector)
    visitor.log_in()
    return visitor
