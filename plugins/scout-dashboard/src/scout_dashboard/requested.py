"""Values that were requested of a dashboard that another process has started, and those that it has instead."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from attrs import frozen

from scout_dashboard.locks import Holder


@frozen
class Conflict:
    """A value that a running dashboard does not have."""

    option: str
    """``data-dir``"""
    value: object
    instead: str
    """A clause: ``its data is in /var/lib/shop``."""


@frozen(kw_only=True)
class Requested:
    """Requested values; None, or 0 as a port, where any will do."""

    port: int | None = None
    host: str | None = None
    data_dir: Path | None = None
    retention_days: int | None = None
    trace_retention_days: int | None = None

    def conflicts(self, holder: Holder) -> Iterator[Conflict]:
        """Yield those that the dashboard of this holder does not have."""
        address = urlsplit(holder.url)
        if self.port and self.port != address.port:
            yield Conflict("port", self.port, f"it listens on port {address.port}")
        if self.host is not None and ("::1" in self.host) != (address.hostname == "::1"):
            yield Conflict("host", self.host, f"it listens on {address.hostname}")
        if self.data_dir is not None and os.path.realpath(self.data_dir) != os.path.realpath(holder.data_dir):
            yield Conflict("data-dir", self.data_dir, f"its data is in {holder.data_dir}")
        if self.retention_days not in (None, holder.retention_days):
            yield Conflict("retention-days", self.retention_days, f"it keeps metrics for {holder.retention_days} days")
        if self.trace_retention_days not in (None, holder.trace_retention_days):
            instead = f"it keeps traces for {holder.trace_retention_days} days"
            yield Conflict("trace-retention-days", self.trace_retention_days, instead)
