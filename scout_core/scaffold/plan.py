"""What a new plugin is called, what it wraps, and the versions that it goes with."""

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
"""Kind of plugin to what it wraps unless it is told: what every Python has, so that its tests are real from the first minute."""

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_DISTRIBUTION: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


@frozen(kw_only=True)
class Plan:
    """A plugin that is to be."""

    name: str
    """As in ``scout-<name>``."""
    kind: str
    target: str
    """As ``wrap`` takes it; empty where nothing is wrapped."""
    library: str | None
    """Distribution that the target is in; None for the standard library's."""
    oldest: str | None
    """Version of the library."""
    requirement: str | None
    """On the library, as ``mailqueue>=2.1,<4``."""
    core: str
    """Requirement on the core."""

    @property
    def is_sample(self) -> bool:
        """Whether it wraps what the sample of its kind does, so that the sample's tests are its own."""
        return self.target == KINDS[self.kind]

    @property
    def module(self) -> str:
        """Name of its package, without ``scout_``."""
        return self.name.replace("-", "_")


def make_plan(
    name: str, kind: str, *, target: str | None = None, library: str | None = None, oldest: str | None = None
) -> Plan:
    """
    Decide what was left open.

    Args:
        name: of the plugin; ``scout-`` before it is understood.
        kind: one of ``KINDS``.
        target: ``module:Class.method``.
        library: distribution that has the target; found where it is installed.
        oldest: version of it that is supported; that which is installed unless it is told.

    Raises:
        ValueError: something does not go together; the message says what to give instead.
    """
    name = _checked_name(name)
    if not KINDS[kind]:
        given = [option for option, value in _options(target, library, oldest) if value]
        if given:
            raise ValueError(f"{', '.join(given)}: a plugin of the kind {kind} wraps no library")
        return Plan(name=name, kind=kind, target="", library=None, oldest=None, requirement=None, core=core_range())
    if target is None:
        if library or oldest:
            raise ValueError(f"tell what to wrap: --target, such as {library or 'mailqueue'}.client:Client.send")
        target = KINDS[kind]
    module = _checked_target(target).partition(":")[0].partition(".")[0]
    library = library or _provider(module)
    if library is None:
        if oldest:
            raise ValueError(f"--oldest: {module!r} comes with Python and has no version of its own")
        return Plan(name=name, kind=kind, target=target, library=None, oldest=None, requirement=None, core=core_range())
    if not _DISTRIBUTION.fullmatch(library):
        raise ValueError(f"--library: {library!r} is no name of a distribution")
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
    """The releases that a plugin which works with this one can expect to work with: ``scout-core>=0.1,<0.2``."""
    running = Version(version)
    lowest = running if running.is_prerelease else f"{running.major}.{running.minor}"  # >=0.2 leaves out 0.2rc1
    return f"scout-core>={lowest},<{_limit(running)}"


def _limit(version: Version) -> str:
    return f"0.{version.minor + 1}" if version.major == 0 else str(version.major + 1)


def _options(target: str | None, library: str | None, oldest: str | None) -> list[tuple[str, str | None]]:
    return [("--target", target), ("--library", library), ("--oldest", oldest)]


def _checked_name(given: str) -> str:
    name = given.removeprefix("scout-")
    if not _NAME.fullmatch(name):
        near = canonicalize_name(re.sub(r"[^A-Za-z0-9._-]", "", given)).strip("-").removeprefix("scout-")
        hint = f"; write {near!r}" if _NAME.fullmatch(near) else ""
        raise ValueError(f"{given!r} is no name for a plugin: lower-case letters, digits and single hyphens{hint}")
    if name == "core" or any(entry.name == name for entry in _own_plugins()):
        raise ValueError(f"{name!r} is taken: scout-core itself brings a plugin of that name")
    return name


def _own_plugins() -> metadata.EntryPoints | tuple[()]:
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
    """The distribution that has a module."""
    if module in sys.stdlib_module_names:
        return None
    named = ((canonicalize_name(_told(one, "Name")), one) for one in metadata.distributions())
    names = [name for name, distribution in named if name and _holds(name, distribution, module)]
    if not names:
        raise ValueError(
            f"no distribution that is installed here has the module {module!r}: install it first, "
            "or name it with --library, and with --oldest its oldest version that is supported"
        )
    return canonicalize_name(module) if canonicalize_name(module) in names else names[0]


def _holds(name: str, distribution: metadata.Distribution, module: str) -> bool:
    """By its list of files, or, where that tells of none, as for one that is being developed, by its name."""
    # Not packages_distributions: in Python 3.10 that knows only what has a top_level.txt.
    if name == canonicalize_name(module):
        return True
    return any(path.parts[0].partition(".")[0] == module for path in distribution.files or ())


def _told(distribution: metadata.Distribution, key: str) -> str:
    """A line of its metadata; empty for one that is half removed."""
    facts = distribution.metadata
    return facts[key] if key in facts else ""  # noqa: SIM401  # its type has no get() before Python 3.12


def _versions(library: str, oldest: str | None) -> tuple[str, str]:
    """The lowest version that is supported, and the first that is not."""
    try:
        installed = Version(Version(_told(metadata.distribution(library), "Version")).base_version)
    except (metadata.PackageNotFoundError, InvalidVersion):
        installed = None
    try:
        lowest = Version(oldest) if oldest else installed
    except InvalidVersion:
        raise ValueError(f"--oldest: {oldest!r} is no version") from None
    if lowest is None:
        raise ValueError(
            f"{library} is not installed here: install it first, or tell with --oldest the oldest version that is supported"
        )
    if installed and installed < lowest:
        raise ValueError(f"--oldest: {lowest} is newer than the {library} {installed} that is installed here")
    return str(lowest), _limit(installed or lowest)
