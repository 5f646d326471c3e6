"""URLs of pages. The selected application and time range are carried from page to page."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from attrs import field, frozen

from scout_core.sending.protocol import API

CARRIED = ("app", "range", "from", "to")


@frozen
class Links:
    """Links from one page."""

    path: str
    query: dict[str, str] = field(factory=dict)
    """Query of the page itself, each key once."""

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
        return _url(path, {**more, **self.selection})

    def endpoint(self, name: str) -> str:
        """Return the link to an endpoint or job."""
        return self.page("/endpoint", name=name)

    def trace(self, id: str) -> str:
        """Return the link to a trace."""
        return self.page(f"/trace/{quote(id, safe='')}")

    def json(self, path: str) -> str:
        """Return the link to the data of this page."""
        return _url(f"{API}{path}", self.query)

    def this_page(self, **changes: str | None) -> str:
        """Return this page with changes to its query; None removes a key."""
        merged: Mapping[str, str | None] = {**self.query, **changes}
        return _url(self.path, {key: value for key, value in merged.items() if value is not None})

    def with_range(self, key: str) -> str:
        """Return this page with another named range."""
        return self.this_page(**{"range": key, "from": None, "to": None})

    def with_app(self, app: str | None) -> str:
        """Return this page for another app, or for all; parameters that belong to the current app are dropped."""
        query = {key: value for key, value in self.selection.items() if key != "app"}
        path = self.path if self.path.count("/") == 1 and self.path != "/endpoint" else "/"
        return _url(path, query if app is None else {"app": app, **query})

    @property
    def unzoomed(self) -> str:
        """This page with the range that it had before the zoom."""
        return self.this_page(**{"from": None, "to": None})


def _url(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query, quote_via=quote)}" if query else path
