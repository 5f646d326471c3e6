"""The queries behind the pages and the API."""

from scout_dashboard.queries.queries import Queries

__all__ = ["Queries"]
