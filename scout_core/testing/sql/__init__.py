"""The public test suite for drivers of databases."""

from scout_core.testing.sql.suite import SqlSuite

__all__ = ["SqlSuite"]
