"""The rule about the metadata of a plugin's distribution."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions, packages_distributions

from packaging.requirements import InvalidRequirement, Requirement

from scout_core.boundary.versions import canonicalize_name
from scout_core.hookspecs import PROJECT
from scout_core.testing.rules.problems import Violation
from scout_core.testing.rules.targets import Target

_CORE = "scout-core"


def check_metadata(module: str, targets: tuple[Target, ...]) -> Iterator[Violation]:
    """Check the entry point, the range of the core, and the extra ``instruments``."""
    distribution = next((candidate for candidate in distributions() if _is_of(candidate, module)), None)
    if distribution is None:
        yield _problem(
            f"no installed distribution has an entry point of the group {PROJECT} with the value {module}",
            f"add [project.entry-points.{PROJECT}] to its pyproject.toml and install it, for example with pip install -e",
        )
        return
    try:
        requirements = [Requirement(text) for text in distribution.requires or ()]
    except InvalidRequirement as error:
        yield _problem(f"invalid requirement: {error}", "use the syntax of PEP 508")
        return
    plain, instruments = (
        {
            canonicalize_name(requirement.name): requirement
            for requirement in requirements
            if _extra(requirement) == extra
        }
        for extra in ("", "instruments")
    )
    own = canonicalize_name(str(distribution.metadata["Name"]))
    if own != _CORE:
        yield from _range_of_core(plain.get(_CORE))
    libraries = {package: names for package, names in _libraries(targets).items() if own not in names}
    yield from _supported(plain, instruments, libraries)


def _is_of(distribution: Distribution, module: str) -> bool:
    return any(
        point.group == PROJECT and point.value.partition(":")[0].strip() == module
        for point in distribution.entry_points
    )


def _extra(requirement: Requirement) -> str:
    """Return the extra that a requirement belongs to; empty for an unconditional one."""
    if requirement.marker is None or "extra" not in str(requirement.marker):
        return ""
    return "instruments" if requirement.marker.evaluate({"extra": "instruments"}) else "another"


def _range_of_core(requirement: Requirement | None) -> Iterator[Violation]:
    bounds = list(requirement.specifier) if requirement else []
    operators = {bound.operator for bound in bounds}
    if any(bound.operator in ("==", "===") and not bound.version.endswith(".*") for bound in bounds):
        evidence = f"it pins the core: {requirement}"
    elif not ({">=", ">", "~=", "=="} & operators and {"<", "<=", "~=", "=="} & operators):
        evidence = f"it has no range of the core: {requirement or 'no requirement'}"
    else:
        return
    yield _problem(evidence, f"require a range with both ends, such as {_CORE}>=0.1,<0.2")


def _supported(
    plain: dict[str, Requirement], instruments: dict[str, Requirement], libraries: dict[str, set[str]]
) -> Iterator[Violation]:
    for package, names in libraries.items():
        if (names and not names & instruments.keys()) or not instruments:
            yield _problem(
                f"the extra instruments does not name {' or '.join(sorted(names)) or package}",
                f'add [project.optional-dependencies] instruments = ["{min(names, default=package)}>=…"]',
            )
    for name, requirement in instruments.items():
        if not {bound.operator for bound in requirement.specifier} & {">=", ">", "~=", "=="}:
            yield _problem(
                f"the extra instruments has no lower bound: {requirement.name}", "add the oldest version that is tested"
            )
        if name in plain:
            yield _problem(
                f"{requirement.name} is a dependency, so installing the plugin may change the user's version of it",
                "list it in the extra instruments only",
            )


def _libraries(targets: tuple[Target, ...]) -> dict[str, set[str]]:
    """Map each top-level package of the targets, except the standard library, to the distributions that have it."""
    packages = {target.package for target in targets} - set(sys.stdlib_module_names)
    owners = packages_distributions() if packages else {}
    return {package: {canonicalize_name(name) for name in owners.get(package, ())} for package in sorted(packages)}


def _problem(evidence: str, advice: str) -> Violation:
    return Violation("metadata", evidence, advice)
