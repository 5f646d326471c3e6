"""Deploys: an application changed to a revision that it had not run before, or somebody marked one."""

from __future__ import annotations

from typing import Final

from attrs import evolve, frozen

from scout_dashboard.queries.metrics import Facts
from scout_dashboard.ranges import Range
from scout_dashboard.store.markers import NEAR, is_same, markers
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.revisions import changes

_MOST: Final = 100
_HASH: Final = 32
"""Hexadecimal digits of a hash, at least: a shorter one is shown whole."""
_SHOWN_OF_HASH: Final = 12
_SHOWN: Final = 40


@frozen(order=True)
class Deploy:
    """A deploy of an application."""

    at: float
    app: str
    revision: str
    by_hand: bool
    """Somebody marked it; otherwise processes reported another revision."""

    def facts(self) -> Facts:
        """Return it as JSON."""
        return {
            "app": self.app,
            "revision": self.revision,
            "short": _short(self.revision),
            "at": self.at,
            "by_hand": self.by_hand,
        }


def deploys(reader: Reader, when: Range) -> Facts:
    """Return the deploys of the range as ``deploys``, oldest first, at most the last 100, and their number as ``deploy_count``."""
    found = list_deploys(reader, when)
    return {"deploy_count": len(found), "deploys": [deploy.facts() for deploy in found[-_MOST:]]}


def list_deploys(reader: Reader, when: Range) -> list[Deploy]:
    """Return the deploys of the range, oldest first; one that was marked by hand and reported, too, is the reported one."""
    around = evolve(when, start=max(0, when.start - int(NEAR)), end=when.end + int(NEAR))
    reported = [Deploy(change.since, change.app, change.name, False) for change in changes(reader, around)]
    marked = [
        Deploy(marker.at, marker.app, marker.name, True) for marker in markers(reader, when.app, when.start, when.end)
    ]
    only_marked = [deploy for deploy in marked if not any(_is_same(deploy, other) for other in reported)]
    return sorted(deploy for deploy in [*reported, *only_marked] if when.start <= deploy.at < when.end)


def _is_same(deploy: Deploy, other: Deploy) -> bool:
    return deploy.app == other.app and abs(deploy.at - other.at) <= NEAR and is_same(deploy.revision, other.revision)


def _short(revision: str) -> str:
    """Return what is shown of a revision: the first digits of a hash, and the beginning of anything else."""
    is_hash = len(revision) >= _HASH and not revision.strip("0123456789abcdef")
    most = _SHOWN_OF_HASH if is_hash else _SHOWN
    return revision if len(revision) <= most else revision[:most] + ("" if is_hash else "…")
