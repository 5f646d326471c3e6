"""Plugins of this project that an environment may lack, for ``scout-core doctor --suggest``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from attrs import frozen

from scout_core.boundary.versions import canonicalize_name, check_support

KNOWN: Final = """
<!-- generated: known -->

scout-flask: flask>=2.2,<4
scout-jinja2: jinja2>=3.0,<4
scout-sqlalchemy: sqlalchemy>=1.4,<2.2
scout-urllib3: urllib3>=1.26,<3

<!-- end -->
"""
"""Distribution, then the libraries that it supports; written by ``docs/generate.py`` from the plugins' own project files."""


@frozen
class Suggestion:
    """A library that is installed and has no plugin."""

    library: str
    """With version and range: ``flask 3.1.3 (>=2.2,<4)``."""
    distribution: str
    """Of the plugin."""
    problem: str = ""
    """Why the plugin would be of no use; empty when it would be."""


def known() -> dict[str, tuple[str, ...]]:
    """Distribution of a plugin to the requirements that tell its libraries."""
    rows = (line.partition(": ") for line in KNOWN.splitlines() if ": " in line and not line.startswith("<"))
    return {name: tuple(libraries.split(" and ")) for name, _, libraries in rows}


def suggestions(installed: Mapping[str, str]) -> Iterator[Suggestion]:
    """
    What could be installed.

    Args:
        installed: canonical distribution name to version.
    """
    for distribution, requirements in known().items():
        if canonicalize_name(distribution) in installed:
            continue
        support = check_support(requirements, installed)
        if not support.absent:
            yield Suggestion(support.target, distribution, support.problem or "")
