"""URLs of pages. The selected application and time range are carried from page to page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from attrs import field, frozen
from starlette.requests import Request

CARRIED = ("app", "range", "from", "to")
JSON = "/json"
"""Followed by the path of a page: its data, for a reader who is logged in. The API is for programs, which have a token."""
STATIC = "/static/"


@frozen
class Links:
    """Links from one page."""

    path: str
    query: dict[str, str] = field(factory=dict)
    """Query of the page itself, each key once."""
    base: str = ""
    """Precedes every path: empty, or the secret path of the pages."""

    @property
    def selection(self) -> dict[str, str]:
        """The part of the query that every link carries."""
        return {key: self.query[key] for key in CARRIED if key in self.query}

    @property
    def is_zoomed(self) -> bool:
        """Whether the page shows a range between two fixed times."""
        return "from" in self.query or "to" in self.query

    def page(self, path: str, **more: str) -> str:
        """Return the link to another page."""
        return self._url(path, {**more, **self.selection})

    def endpoint(self, name: str) -> str:
        """Return the link to an endpoint or job."""
        return self.page("/endpoint", name=name)

    def error(self, group: str) -> str:
        """Return the link to a group of errors."""
        return self.page("/error", group=group)

    def deploy(self, deploy: Mapping[str, Any]) -> str:
        """Return the link to a deploy, as queries return it; Any: each key has its own type."""
        return self.page("/deploy", app=deploy["app"], revision=deploy["revision"], at=repr(deploy["at"]))

    def operation(self, id: str) -> str:
        """Return the link to an operation."""
        return self.page("/operation", id=id)

    def trace(self, id: str) -> str:
        """Return the link to a trace."""
        return self.page(f"/trace/{quote(id, safe='')}")

    def json(self, path: str) -> str:
        """Return the link to the data of this page."""
        return self._url(f"{JSON}{path}", self.query)

    def plain(self, path: str) -> str:
        """Return the link to an address that does not depend on the selection."""
        return self._url(path, {})

    def file(self, name: str) -> str:
        """Return the link to a static file."""
        return self._url(f"{STATIC}{name}", {})

    def this_page(self, **changes: str | None) -> str:
        """Return this page with changes to its query; None removes a key."""
        merged: Mapping[str, str | None] = {**self.query, **changes}
        return self._url(self.path, {key: value for key, value in merged.items() if value is not None})

    def with_range(self, key: str) -> str:
        """Return this page with another named range."""
        return self.this_page(**{"range": key, "from": None, "to": None})

    def with_app(self, app: str | None) -> str:
        """Return this page for another app, or for all; parameters that belong to the current app are dropped."""
        query = {key: value for key, value in self.selection.items() if key != "app"}
        is_of_one = self.path in ("/endpoint", "/error", "/operation", "/deploy")
        path = self.path if self.path.count("/") == 1 and not is_of_one else "/"
        return self._url(path, query if app is None else {"app": app, **query})

    @property
    def unzoomed(self) -> str:
        """This page with the range that it had before the zoom."""
        return self.this_page(**{"from": None, "to": None})

    def _url(self, path: str, query: Mapping[str, str]) -> str:
        return self.base + (f"{path}?{urlencode(query, quote_via=quote)}" if query else path)


def base_of(request: Request) -> str:
    """Return what precedes the path of a page in this request."""
    return getattr(request.state, "base", "")


def path_of(request: Request) -> str:
    """Return the path of the page, without what precedes it."""
    return request.url.path.removeprefix(base_of(request))
