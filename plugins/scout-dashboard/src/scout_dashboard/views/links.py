"""Addresses of pages. What the reader chose (app, time) goes along from page to page."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from attrs import field, frozen

from scout_core.sending.protocol import API

CARRIED = ("app", "range", "from", "to")


@frozen
class Links:
    """Addresses as seen from one page."""

    path: str
    query: dict[str, str] = field(factory=dict)
    """Of the page itself; each key once."""

    @property
    def choice(self) -> dict[str, str]:
        """What every link takes along."""
        return {key: self.query[key] for key in CARRIED if key in self.query}

    @property
    def is_zoomed(self) -> bool:
        """Whether the page shows two fixed points in time."""
        return "from" in self.query or "to" in self.query

    def page(self, path: str, **more: str) -> str:
        """Another page."""
        return _address(path, {**more, **self.choice})

    def endpoint(self, name: str) -> str:
        """The page of one endpoint or job."""
        return self.page("/endpoint", name=name)

    def trace(self, id: str) -> str:
        """The page of one trace."""
        return self.page(f"/trace/{quote(id, safe='')}")

    def json(self, path: str) -> str:
        """The data of this page."""
        return _address(f"{API}{path}", self.query)

    def here(self, **changes: str | None) -> str:
        """This page with some of its query changed; None takes a key away."""
        merged: Mapping[str, str | None] = {**self.query, **changes}
        return _address(self.path, {key: value for key, value in merged.items() if value is not None})

    def over(self, key: str) -> str:
        """This page over another relative range."""
        return self.here(**{"range": key, "from": None, "to": None})

    def of_app(self, app: str | None) -> str:
        """This page for another app, or for all; what belongs to the former app is not taken along."""
        query = {key: value for key, value in self.choice.items() if key != "app"}
        path = self.path if self.path.count("/") == 1 and self.path != "/endpoint" else "/"
        return _address(path, query if app is None else {"app": app, **query})

    @property
    def unzoomed(self) -> str:
        """This page over the range that it had before the zoom."""
        return self.here(**{"from": None, "to": None})


def _address(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query, quote_via=quote)}" if query else path
