"""Who may do what: tokens, one-time login links, sessions of browsers, and the addresses that they use."""

from scout_dashboard.access.access import INGEST_FILE, SECURITY_HEADERS, Access, read_access

__all__ = ["INGEST_FILE", "SECURITY_HEADERS", "Access", "read_access"]
