"""Decide the name of a new plugin, its target, and the versions that it supports."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from typing import Final

from attrs import frozen
from packaging.version import InvalidVersion, Version

from scout_core.agent import VERSION
from scout_core.boundary.versions import canonicalize_name

KINDS: Final = {
    "library": "json:dumps",
    "framework": "socketserver:BaseServer.finish_request",
    "policy": "",
    "exporter": "",
}
"""Kind of plugin to its default target: a standard-library function, so that the generated tests make real calls."""

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_DISTRIBUTION: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


@frozen(kw_only=True)
class Plan:
    """The decisions from which a plugin is generated."""

    name: str
    """As in ``scout-<name>``."""
    kind: str
    target: str
    """As ``wrap`` takes it; empty for a kind that wraps nothing."""
    library: str | None
    """Distribution that contains the target; None for the standard library."""
    oldest: str | None
    """Oldest supported version of the library."""
    requirement: str | None
    """Requirement on the library, such as ``mailqueue>=2.1,<4``."""
    core: str
    """Requirement on the core, such as ``scout-core>=0.1,<0.2``."""

    @property
    def is_sample(self) -> bool:
        """Whether it wraps the default target of its kind, for which the template has tests."""
        return self.target == KINDS[self.kind]

    @property
    def module(self) -> str:
        """Name of the import package without ``scout_``."""
        return self.name.replace("-", "_")


def make_plan(
    name: str, kind: str, *, target: str | None = None, library: str | None = None, oldest: str | None = None
) -> Plan:
    """
    Fill in what the author did not specify.

    Args:
        name: name of the plugin, with or without ``scout-``.
        kind: one of ``KINDS``.
        target: ``module:Class.method``.
        library: distribution that contains the target. None searches the installed distributions.
        oldest: oldest supported version of the library. None means the installed version.

    Raises:
        ValueError: an argument is invalid, or does not fit the others.
    """
    name = _checked_name(name)
    if not KINDS[kind]:
        given = [option for option, value in _options(target, library, oldest) if value]
        if given:
            raise ValueError(
                f"{', '.join(given)}: not supported for a plugin of kind {kind!r}, which does not wrap a library"
            )
        return Plan(name=name, kind=kind, target="", library=None, oldest=None, requirement=None, core=core_range())
    if target is None:
        if library or oldest:
            raise ValueError(
                f"--target is missing: the function to wrap, such as {library or 'mailqueue'}.client:Client.send"
            )
        target = KINDS[kind]
    module = _checked_target(target).partition(":")[0].partition(".")[0]
    library = library or _provider(module)
    if library is None:
        if oldest:
            raise ValueError(
                f"--oldest: not supported for {module!r}, which is part of Python and has no version of its own"
            )
        return Plan(name=name, kind=kind, target=target, library=None, oldest=None, requirement=None, core=core_range())
    if not _DISTRIBUTION.fullmatch(library):
        raise ValueError(f"--library: {library!r} is not the name of a distribution")
    lowest, limit = _versions(library, oldest)
    return Plan(
        name=name,
        kind=kind,
        target=target,
        library=library,
        oldest=lowest,
        requirement=f"{library}>={lowest},<{limit}",
        core=core_range(),
    )


def core_range(version: str = VERSION) -> str:
    """Return the requirement for releases compatible with a version: ``scout-core>=0.1,<0.2``."""
    running = Version(version)
    lowest = running if running.is_prerelease else f"{running.major}.{running.minor}"  # >=0.2 excludes 0.2rc1
    return f"scout-core>={lowest},<{_next_breaking(running)}"


def _next_breaking(version: Version) -> str:
    """Return the first later version that may break users: ``0.2`` after 0.1, ``2`` after 1.4."""
    return f"0.{version.minor + 1}" if version.major == 0 else str(version.major + 1)


def _options(target: str | None, library: str | None, oldest: str | None) -> list[tuple[str, str | None]]:
    return [("--target", target), ("--library", library), ("--oldest", oldest)]


def _checked_name(given: str) -> str:
    name = given.removeprefix("scout-")
    if not _NAME.fullmatch(name):
        corrected = canonicalize_name(re.sub(r"[^A-Za-z0-9._-]", "", given)).strip("-").removeprefix("scout-")
        hint = f"; try {corrected!r}" if _NAME.fullmatch(corrected) else ""
        raise ValueError(f"invalid plugin name {given!r}; expected lower-case letters, digits and single hyphens{hint}")
    if name == "core" or any(entry.name == name for entry in _core_plugins()):
        raise ValueError(f"the name {name!r} is taken by scout-core itself; choose another name")
    return name


def _core_plugins() -> metadata.EntryPoints | tuple[()]:
    try:
        return metadata.distribution("scout-core").entry_points.select(group="scout_core")
    except metadata.PackageNotFoundError:  # run from an unpacked archive
        return ()


def _checked_target(target: str) -> str:
    module, colon, path = target.partition(":")
    parts = [*module.split("."), *path.split(".")]
    if not colon or not all(part.isidentifier() for part in parts):
        raise ValueError(f"--target: invalid target {target!r}; expected 'module:Class.method' or 'module:function'")
    return target


def _provider(module: str) -> str | None:
    """Return the installed distribution that contains a module; None for the standard library."""
    if module in sys.stdlib_module_names:
        return None
    installed = ((canonicalize_name(_metadata_value(found, "Name")), found) for found in metadata.distributions())
    names = [name for name, distribution in installed if name and _contains(name, distribution, module)]
    if not names:
        raise ValueError(
            f"--target: no installed distribution contains the module {module!r}; install it, "
            "or name it with --library and its oldest supported version with --oldest"
        )
    return canonicalize_name(module) if canonicalize_name(module) in names else names[0]


def _contains(name: str, distribution: metadata.Distribution, module: str) -> bool:
    """Whether a distribution contains a module: by its name (an editable installation lists no files) or its files."""
    # packages_distributions() of Python 3.10 finds only distributions with a top_level.txt.
    if name == canonicalize_name(module):
        return True
    return any(path.parts[0].partition(".")[0] == module for path in distribution.files or ())


def _metadata_value(distribution: metadata.Distribution, key: str) -> str:
    """Return a field of the metadata; empty when it is missing, as after an incomplete removal."""
    fields = distribution.metadata
    return fields[key] if key in fields else ""  # noqa: SIM401  # its type has no get() before Python 3.12


def _versions(library: str, oldest: str | None) -> tuple[str, str]:
    """Return the oldest supported version, and the first unsupported one after it."""
    try:
        installed = Version(Version(_metadata_value(metadata.distribution(library), "Version")).base_version)
    except (metadata.PackageNotFoundError, InvalidVersion):
        installed = None
    try:
        lowest = Version(oldest) if oldest else installed
    except InvalidVersion:
        raise ValueError(f"--oldest: invalid version {oldest!r}; expected a version such as 2.1") from None
    if lowest is None:
        raise ValueError(f"{library} is not installed; install it, or give its oldest supported version with --oldest")
    if installed and installed < lowest:
        raise ValueError(f"--oldest: {lowest} is newer than the installed {library} {installed}")
    return str(lowest), _next_breaking(installed or lowest)
