"""Limits of what one report may hold, above what an agent sends by default: more is summed up or left out, and counted."""

from scout_dashboard.caps.reports import cap

__all__ = ["cap"]
