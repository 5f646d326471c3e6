"""The rule about what a plugin's distribution says of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions, packages_distributions

from packaging.requirements import InvalidRequirement, Requirement

from scout_core.boundary.versions import canonicalize_name
from scout_core.hookspecs import PROJECT
from scout_core.testing.problems import Problem
from scout_core.testing.targets import Target

_CORE = "scout-core"


def check_metadata(module: str, targets: tuple[Target, ...]) -> Iterator[Problem]:
    """An entry point, a range of the core, and the extra ``instruments``."""
    distribution = next((one for one in distributions() if _is_of(one, module)), None)
    if distribution is None:
        yield _problem(
            f"no installed distribution has an entry point of the group {PROJECT} with the value {module}",
            f"write [project.entry-points.{PROJECT}] into its pyproject.toml and install it, as with pip install -e",
        )
        return
    try:
        requirements = [Requirement(text) for text in distribution.requires or ()]
    except InvalidRequirement as error:
        yield _problem(f"a requirement cannot be read: {error}", "write it as PEP 508 has it")
        return
    plain = {canonicalize_name(one.name): one for one in requirements if not _extra(one)}
    instruments = {canonicalize_name(one.name): one for one in requirements if _extra(one) == "instruments"}
    if canonicalize_name(str(distribution.metadata["Name"])) != _CORE:
        yield from _range_of_core(plain.get(_CORE))
    yield from _supported(plain, instruments, _libraries(targets))


def _is_of(distribution: Distribution, module: str) -> bool:
    return any(
        point.group == PROJECT and point.value.partition(":")[0].strip() == module
        for point in distribution.entry_points
    )


def _extra(requirement: Requirement) -> str:
    """The extra that a requirement belongs to; empty for one that always holds."""
    if requirement.marker is None or "extra" not in str(requirement.marker):
        return ""
    return "instruments" if requirement.marker.evaluate({"extra": "instruments"}) else "another"


def _range_of_core(requirement: Requirement | None) -> Iterator[Problem]:
    bounds = list(requirement.specifier) if requirement else []
    operators = {one.operator for one in bounds}
    if any(one.operator in ("==", "===") and not one.version.endswith(".*") for one in bounds):
        seen = f"it pins the core: {requirement}"
    elif not ({">=", ">", "~=", "=="} & operators and {"<", "<=", "~=", "=="} & operators):
        seen = f"it gives no range of the core: {requirement or 'no requirement at all'}"
    else:
        return
    yield _problem(seen, f"require a range with both ends, as {_CORE}>=0.1,<0.2")


def _supported(
    plain: dict[str, Requirement], instruments: dict[str, Requirement], libraries: dict[str, set[str]]
) -> Iterator[Problem]:
    for package, names in libraries.items():
        if (names and not names & instruments.keys()) or not instruments:
            yield _problem(
                f"the extra instruments does not name {' or '.join(sorted(names)) or package}",
                f'write [project.optional-dependencies] instruments = ["{min(names, default=package)}>=…"]',
            )
    for name, requirement in instruments.items():
        if not {one.operator for one in requirement.specifier} & {">=", ">", "~=", "=="}:
            yield _problem(
                f"the extra instruments has no lower bound: {requirement.name}", "name the oldest that is tested"
            )
        if name in plain:
            yield _problem(
                f"{requirement.name} is a dependency, so installing the plugin may change the user's version of it",
                "name it in the extra instruments alone",
            )


def _libraries(targets: tuple[Target, ...]) -> dict[str, set[str]]:
    """Top-level package of the targets to the distributions that have it; none of the standard library."""
    packages = {target.package for target in targets} - set(sys.stdlib_module_names)
    owners = packages_distributions() if packages else {}
    return {package: {canonicalize_name(name) for name in owners.get(package, ())} for package in sorted(packages)}


def _problem(seen: str, advice: str) -> Problem:
    return Problem("metadata", seen, advice)
