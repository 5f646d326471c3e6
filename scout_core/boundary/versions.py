"""Whether the installed version of a library is one that a plugin supports. Source: the extra ``instruments``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from attrs import frozen


@frozen
class Support:
    """How the libraries of one plugin stand."""

    target: str
    """``flask 3.1.3 (>=2.2,<4)``; empty for a plugin that has no library."""
    problem: str | None = None
    """Why it cannot instrument what is installed."""
    absent: bool = False
    """None of its libraries is installed."""


def check_support(requirements: Iterable[str], installed: Mapping[str, str]) -> Support:
    """
    Compare.

    Args:
        requirements: of the extra, as in ``flask>=2.2,<4``. Alternatives may stand side by side: one that is installed suffices.
        installed: normalised distribution name to version.
    """
    from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.version import InvalidVersion, Version

    targets, problems = [], []
    wanted = []
    for text in requirements:
        try:
            requirement = Requirement(text)
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": "instruments"}):
                continue
        except (InvalidRequirement, UndefinedComparison, UndefinedEnvironmentName):
            problems.append(f"its metadata has a requirement that cannot be read: {text!r}")
            continue
        spelled = (
            f"{requirement.name} ({_ordered(str(requirement.specifier))})"
            if requirement.specifier
            else requirement.name
        )
        wanted.append(spelled)
        version = installed.get(normalised(requirement.name))
        if version is None:
            continue
        targets.append(spelled.replace(requirement.name, f"{requirement.name} {version}", 1))
        try:
            is_supported = requirement.specifier.contains(Version(version), prereleases=True)
        except InvalidVersion:
            is_supported = True  # a development build of the user's own: trying is better than refusing
        if not is_supported:
            problems.append(f"{requirement.name} {version} is outside {_ordered(str(requirement.specifier))}")
    if problems:
        return Support(target=", ".join(targets or wanted), problem="; ".join(problems))
    return Support(target=", ".join(targets or wanted), absent=bool(wanted) and not targets)


def normalised(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _ordered(specifier: str) -> str:
    """``>=2,<4`` however it was written: the lower bound first."""
    return ",".join(
        sorted((part.strip() for part in specifier.split(",")), key=lambda part: (part[0] not in "~=>", part))
    )
