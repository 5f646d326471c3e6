"""Measurements of what scout-core costs, against the same application without it."""
