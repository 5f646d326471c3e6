"""A visitor without a browser: logs in, fetches, and reads HTML strictly."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from attrs import Factory, define, field

from scout_dashboard.collector import Collector

VOID = frozenset({"meta", "link", "input", "br", "hr", "img", "wbr"})
WITHIN_WORDS = frozenset({"b", "i", "wbr", "span", "a", "code", "time", "abbr"})
"""Elements that may begin and end within a word; at all others a word ends."""


@define
class Element:
    """One start tag."""

    tag: str
    attributes: dict[str, str]


class Reader(HTMLParser):
    """Elements and text of a page; complains of every tag that is not closed where it must be."""

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
        """All of it, white space as single spaces."""
        return " ".join("".join(self.texts).split())


def read(html: str) -> Reader:
    """The page, read to its end."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


@define
class Visitor:
    """Keeps the session of one collector."""

    collector: Collector
    _headers: dict[str, str] = field(default=Factory(dict))

    def log_in(self) -> None:
        """Follow the link that the command prints."""
        parts = urlsplit(self.collector.login_url)
        status, headers, _ = self.ask(f"{parts.path}?{parts.query}")
        assert 303 == status
        self._headers = {"Cookie": headers["set-cookie"].partition(";")[0]}

    def ask(self, path: str) -> tuple[int, dict[str, str], str]:
        """Status, headers with small letters, body."""
        connection = HTTPConnection("127.0.0.1", self.collector.port, timeout=20)
        try:
            connection.request("GET", path, headers=self._headers)
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, headers, answer.read().decode("utf-8")
        finally:
            connection.close()

    def page(self, path: str) -> Reader:
        """A page that must be there."""
        status, _, html = self.ask(path)
        assert 200 == status, html
        return read(html)

    def facts(self, path: str) -> Any:  # Any: JSON
        """The JSON beside it."""
        status, _, body = self.ask(f"/api/v1{path}")
        assert 200 == status, body
        return json.loads(body)


def visitor_of(collector: Collector) -> Visitor:
    """One who has logged in."""
    visitor = Visitor(collector)
    visitor.log_in()
    return visitor
