"""
The plugins that the metadata of one distribution declares.

Source of the formats: PEP 376, PEP 566 and the entry points specification.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial

from attrs import frozen

from scout_core.boundary.names import why_invalid
from scout_core.boundary.path_entries import Metadata
from scout_core.boundary.versions import canonicalize_name
from scout_core.hookspecs import PROJECT
from scout_core.problems import Problem

_SECTION = f"[{PROJECT}]"
_ON_CORE = re.compile(r"scout[-_.]+core(?![\w.-])", re.IGNORECASE)
_OF_EXTRA = re.compile(r"""extra\s*==\s*(["'])instruments\1""")


@frozen(kw_only=True)
class Found:
    """One entry point in the group ``scout_core``."""

    name: str
    module: str
    distribution: str
    version: str
    instruments: tuple[str, ...]
    """Requirements of the extra ``instruments``."""
    core: tuple[str, ...]
    """Requirements on scout-core, such as ``scout-core>=0.1,<0.2``."""
    where: str
    """Folder of the metadata."""
    problem: Problem | None = None
    """Why it must not be loaded; empty when its metadata is valid."""


def read_plugins(metadata: Metadata) -> Iterator[Found]:
    """
    Yield its plugins. Broken metadata yields one with ``problem`` set, named after the distribution where its name is unknown.

    Raises:
        OSError: the entry points cannot be read, so it may or may not have plugins.
        ValueError: the same, for a damaged archive.
    """
    content = metadata.read("entry_points.txt")
    if content is None or _SECTION.encode() not in content:
        return
    fields, problem = _fields(metadata)
    first = dict(reversed(fields))  # a repeated field: the first one counts
    distribution = first.get("name") or canonicalize_name(metadata.name)
    requirements = [value for key, value in fields if key == "requires-dist"]
    found = partial(
        Found,
        distribution=distribution,
        version=first.get("version") or metadata.version,
        instruments=tuple(_instruments(requirements)),
        core=tuple(item for item in requirements if _ON_CORE.match(item) and "extra" not in item.partition(";")[2]),
        where=metadata.location,
    )
    try:
        for name, module in _entries(_decode(content)):
            yield found(
                name=name, module=module, problem=problem or why_invalid(name, module) or _invalid_module(name, module)
            )
    except ValueError as error:
        yield found(name=distribution, module="", problem=unreadable(metadata.location, error))


def unreadable(location: str, error: Exception) -> Problem:
    """Return the problem with the metadata in this folder; the subject is the name of the distribution."""
    name = canonicalize_name(Metadata(location, lambda _: None).name)
    return Problem("broken-metadata", name, f"cannot read the metadata in {location}: {error}")


def _fields(metadata: Metadata) -> tuple[list[tuple[str, str]], Problem | None]:
    """The fields of the metadata in lower case, and the problem with them."""
    try:
        content = metadata.read("METADATA")
        if content is None:
            content = metadata.read("PKG-INFO")
        if not content:
            raise ValueError("METADATA is missing or empty")
        fields = _headers(_decode(content.partition(b"\n\n")[0]))  # a long description follows the blank line
        if "name" not in dict(
            fields
        ):  # a crash may leave zeros: without a range of versions the plugin would load anywhere
            raise ValueError("METADATA has no Name")
        return fields, None
    except (OSError, ValueError) as error:
        return [], unreadable(metadata.location, error)


def _invalid_module(name: str, module: str) -> Problem | None:
    if _is_module(module):
        return None
    package = module.partition(":")[0]
    correct = package if _is_module(package) else "package.module"
    detail = f"its entry point {module!r} is not a module"
    return Problem("invalid-entry-point", module, detail, f"write: {name} = {correct}")


def _is_module(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _decode(content: bytes) -> str:
    return content.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _headers(text: str) -> list[tuple[str, str]]:
    """The fields above the first blank line, without continuation lines."""
    fields = []
    for line in text.split("\n"):  # splitlines() would also split at separators that a summary may contain
        if not line:
            break
        key, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            fields.append((key.strip().lower(), value.strip()))
    return fields


def _entries(text: str) -> Iterator[tuple[str, str]]:
    section = ""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line
        elif section == _SECTION and line and not line.startswith(("#", ";")):
            name, equals, value = line.partition("=")
            if not equals or not name.strip() or not value.strip():
                raise ValueError(f"invalid entry point {line!r}; expected 'name = module'")
            yield name.strip(), value.partition("[")[0].strip()


def _instruments(requirements: Iterable[str]) -> Iterator[str]:
    """The requirements of the extra, without the marker that only names it."""
    for requirement in requirements:
        text, _, marker = requirement.partition(";")
        if _OF_EXTRA.search(marker):
            yield requirement.strip() if " and " in marker else text.strip()
