"""Deploys: an application changed to a revision that it had not run before."""

from __future__ import annotations

from typing import Final

from scout_dashboard.queries.metrics import Facts
from scout_dashboard.ranges import Range
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.revisions import changes

_MOST: Final = 100
_HASH: Final = 32
"""Hexadecimal digits of a hash, at least: a shorter one is shown whole."""
_SHOWN_OF_HASH: Final = 12
_SHOWN: Final = 40


def deploys(reader: Reader, when: Range) -> Facts:
    """Return the deploys of the range as ``deploys``, oldest first, at most the last 100, and their number as ``deploy_count``."""
    found = changes(reader, when)
    rows = [
        {"app": change.app, "revision": change.name, "short": _short(change.name), "at": change.since}
        for change in found[-_MOST:]
    ]
    return {"deploy_count": len(found), "deploys": rows}


def _short(revision: str) -> str:
    """Return what is shown of a revision: the first digits of a hash, and the beginning of anything else."""
    is_hash = len(revision) >= _HASH and not revision.strip("0123456789abcdef")
    most = _SHOWN_OF_HASH if is_hash else _SHOWN
    return revision if len(revision) <= most else revision[:most] + ("" if is_hash else "…")
