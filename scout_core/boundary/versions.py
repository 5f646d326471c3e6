"""
Check whether a plugin supports the installed version of its library. Source: the plugin's extra ``instruments``.

Ranges such as ``>=2.2,<4`` are compared here, all others by ``packaging``: importing it takes longer than the rest of the start.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping
from typing import Final

from attrs import frozen

_NUMBERS: Final = r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,5}"
_BOUNDS: Final = rf"(?:<=?|>=?|==|!=)\ *{_NUMBERS}\ *"
_RANGE: Final = rf"{_BOUNDS}(?:,\ *{_BOUNDS})*"
_PLAIN: Final = re.compile(rf"([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\ *(?:({_RANGE})|\(\ *({_RANGE})\))?", re.ASCII)
_BOUND: Final = re.compile(rf"(<=?|>=?|==|!=)({_NUMBERS})(?=,|$)")
_RELEASE: Final = re.compile(_NUMBERS)
_COMPARE: Final = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


@frozen
class Support:
    """Whether the libraries of one plugin are installed, and in which versions."""

    target: str
    """``flask 3.1.3 (>=2.2,<4)``; empty for a plugin without a library."""
    problem: str | None = None
    """Why the installed version cannot be instrumented."""
    absent: bool = False
    """None of its libraries is installed."""


def check_support(requirements: Iterable[str], installed: Mapping[str, str]) -> Support:
    """
    Compare the installed versions with the requirements.

    Args:
        requirements: of the extra, such as ``flask>=2.2,<4``. Several are alternatives: one that is installed is enough.
        installed: canonical distribution name to version.
    """
    found, wanted, problems = [], [], []
    for text in requirements:
        try:
            requirement = _plain_range(text) or _any_range(text)
        except ValueError:
            problems.append(f"its metadata has an invalid requirement: {text!r}")
            continue
        if requirement is None:
            continue
        name, specifier = requirement
        spelled = f"{name} ({specifier})" if specifier else name
        wanted.append(spelled)
        version = installed.get(canonicalize_name(name))
        if version is None:
            continue
        found.append(spelled.replace(name, f"{name} {version}", 1))
        if not _is_within(version, specifier):
            problems.append(f"{name} {version} is outside {specifier}")
    if problems:
        return Support(target=", ".join(found or wanted), problem="; ".join(problems))
    return Support(target=", ".join(found or wanted), absent=bool(wanted) and not found)


def canonicalize_name(name: str) -> str:
    """Return a distribution's name as PEP 503 compares names."""
    plain = name.replace("_", "-").replace(".", "-").lower()
    return re.sub("-+", "-", plain) if "--" in plain else plain  # a regular expression takes three times as long


def _plain_range(requirement: str) -> tuple[str, str] | None:
    """Name and range of a simple requirement, as nearly all are; None for any other."""
    match = _PLAIN.fullmatch(requirement)
    if match is None:
        return None
    parts = ["".join(part.split()) for part in (match[2] or match[3] or "").split(",") if part.strip()]
    return match[1], _ordered(dict.fromkeys(parts))


def _any_range(requirement: str) -> tuple[str, str] | None:
    """
    Name and range of any requirement that the standard allows; None when its marker excludes this Python or platform.

    Raises:
        ValueError: it is invalid.
    """
    from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
    from packaging.requirements import Requirement

    try:
        read = Requirement(requirement)
        if read.marker is not None and not read.marker.evaluate({"extra": "instruments"}):
            return None
    except (UndefinedComparison, UndefinedEnvironmentName) as error:
        raise ValueError(str(error)) from error
    return read.name, _ordered(str(read.specifier).split(",")) if read.specifier else ""


def _is_within(version: str, specifier: str) -> bool:
    if not specifier:
        return True
    bounds = _BOUND.findall(specifier)
    if _RELEASE.fullmatch(version) and specifier == ",".join(map("".join, bounds)):
        own = _release(version)
        return all(_COMPARE[operator](own, _release(bound)) for operator, bound in bounds)
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    try:
        return SpecifierSet(specifier).contains(Version(version), prereleases=True)
    except InvalidVersion:
        return True  # a custom build, such as 2024-custom: trying is better than refusing


def _release(version: str) -> list[int]:
    """The numbers of a version, without zeros at the end: ``3.0`` equals ``3``."""
    numbers = [int(number) for number in version.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers


def _ordered(parts: Iterable[str]) -> str:
    """The bounds in one order, the lower one first: ``>=2,<4``."""
    return ",".join(sorted((part.strip() for part in parts), key=lambda part: (part[0] not in "~=>", part)))
