"""The plugins of this project, for ``scout-core doctor --suggest``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from attrs import frozen

from scout_core.boundary.versions import canonicalize_name, check_support

# Each distribution with the libraries that it supports; docs/generate.py writes this from the plugins' project files.
# <!-- generated: known -->

KNOWN: Final[dict[str, tuple[str, ...]]] = {
    "scout-flask": ("flask>=2.2,<4",),
    "scout-jinja2": ("jinja2>=3.0,<4",),
    "scout-sqlalchemy": ("sqlalchemy>=1.4,<2.2",),
    "scout-urllib3": ("urllib3>=1.26,<3",),
}

# <!-- end -->


@frozen
class Suggestion:
    """A plugin for an installed library that has none."""

    library: str
    """With version and supported range: ``flask 3.1.3 (>=2.2,<4)``."""
    distribution: str
    """Name of the plugin's distribution."""
    problem: str = ""
    """Why the plugin does not support the installed version; empty when it does."""


def suggestions(installed: Mapping[str, str]) -> Iterator[Suggestion]:
    """
    Yield the plugins that are missing.

    Args:
        installed: canonical distribution name to version.
    """
    for distribution, requirements in KNOWN.items():
        if canonicalize_name(distribution) in installed:
            continue
        support = check_support(requirements, installed)
        if not support.absent:
            yield Suggestion(support.target, distribution, support.problem or "")
