"""Deploys: an application changed to a revision that it had not run before."""

from __future__ import annotations

from typing import Final

from scout_dashboard.queries.metrics import Facts
from scout_dashboard.ranges import Range
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.revisions import changes

_MOST: Final = 100


def deploys(reader: Reader, when: Range) -> Facts:
    """Return the deploys of the range as ``deploys``, oldest first, at most the last 100, and their number as ``deploy_count``."""
    found = changes(reader, when)
    rows = [{"app": change.app, "revision": change.name, "at": change.since} for change in found[-_MOST:]]
    return {"deploy_count": len(found), "deploys": rows}
