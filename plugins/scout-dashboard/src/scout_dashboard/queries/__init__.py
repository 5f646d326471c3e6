"""What every page shows and the API tells: one function each."""

from scout_dashboard.queries.queries import Queries

__all__ = ["Queries"]
