"""Find installed plugins by their metadata, without importing one and without ``importlib.metadata``.

Reading the few files by hand takes a hundredth of the time that importing the standard library's reader takes.
Source of the formats: PEP 376 and 566, and the entry points specification.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from functools import partial

from attrs import frozen

from scout_core.boundary.index import Listing, cache_folder, is_settled, read_index, state_of, write_index
from scout_core.boundary.versions import normalised
from scout_core.hookspecs import PROJECT

_SECTION = f"[{PROJECT}]"
_OURS = normalised(PROJECT)
_CHUNK = 8192
_LARGEST = 1_000_000
_ON_CORE = re.compile(r"scout[-_.]+core(?![\w.-])", re.IGNORECASE)
_OF_EXTRA = re.compile(r"""extra\s*==\s*(["'])instruments\1""")


@frozen(kw_only=True)
class Found:
    """One entry point of the group ``scout_core``."""

    name: str
    module: str
    distribution: str
    version: str
    instruments: tuple[str, ...]
    """Requirements of the extra ``instruments``."""
    core: tuple[str, ...]
    """Requirements on scout-core, as ``scout-core>=0.1,<0.2``."""
    where: str
    """Folder of the metadata."""
    problem: str = ""
    """Why it must not be loaded; empty when its metadata is in order."""


@frozen
class Environment:
    """What is installed."""

    plugins: tuple[Found, ...]
    """By name; of those that share one, ours come first, then in the order of their distributions."""
    installed: dict[str, str]
    """Normalised distribution name to version."""
    problems: tuple[str, ...]
    """Metadata that could not be used, one sentence each."""


def find_plugins(path: Iterable[str], *, cache: str | None = None) -> Environment:
    """
    Look through the folders of ``sys.path``. Of two installations of one distribution the first counts, as for imports.

    Args:
        path: folders; zip files, what does not exist and what is no text are passed over.
        cache: folder of the index; None: the user's own.
    """
    installed: dict[str, str] = {}
    plugins: list[Found] = []
    problems: list[str] = []
    for folder, listing in _listings(path, cache or cache_folder()).items():
        for base in listing.names:
            name, _, rest = base.rpartition(".")[0].partition("-")
            key = normalised(name)
            if key in installed:
                continue
            installed[key] = rest.partition("-")[0]  # an egg-info tells the Python version too
            if base not in listing.telling:
                continue
            metadata = os.path.join(folder, base)
            try:
                plugins.extend(_read(metadata))
            except (OSError, ValueError) as error:  # ValueError: a NUL in the folder's name
                problems.append(_unreadable(metadata, error))
    plugins.sort(key=lambda found: (found.name, normalised(found.distribution) != _OURS, found.distribution))
    return Environment(tuple(plugins), installed, tuple(problems))


def _listings(path: Iterable[str], cache: str | None) -> dict[str, Listing]:
    """What each folder holds, by the index where that still holds."""
    index = read_index(cache) if cache else {}
    listings: dict[str, Listing] = {}
    fresh: dict[str, Listing] = {}
    for folder in dict.fromkeys(folder or "." for folder in path if isinstance(folder, str)):
        state = state_of(folder)  # before looking: what is put there meanwhile makes another state
        if state is None:
            continue
        place = os.path.abspath(folder)
        listing = index.get(place)
        if listing is None or listing.state != state:
            listing = _look(folder, state)
            if listing.names and is_settled(state):  # to list a folder that has none is as quick as to know it
                fresh[place] = listing
        listings[folder] = listing
    if fresh and cache:
        write_index(cache, {**fresh, **{place: one for place, one in index.items() if place not in fresh}})
    return listings


def _look(folder: str, state: tuple[int, ...]) -> Listing:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith((".dist-info", ".egg-info")))
    except OSError:
        names = []
    return Listing(state, tuple(names), frozenset(name for name in names if _is_telling(folder, name)))


def _is_telling(folder: str, name: str) -> bool:
    """Whether its metadata is to be read: it has plugins, cannot be read, or may get plugins without a trace."""
    if name.endswith(".egg-info"):  # rewritten in place by ``setup.py develop``
        return True
    try:
        content = _bytes(os.path.join(folder, name, "entry_points.txt"))
    except OSError:
        return True
    return content is not None and _SECTION.encode() in content


def _read(metadata: str) -> Iterator[Found]:
    """
    Its plugins. What makes no sense is a plugin that must not be loaded, called after its distribution where nothing names it.

    Raises:
        OSError: nobody knows whether it has any.
    """
    content = _bytes(os.path.join(metadata, "entry_points.txt"))
    if content is None or _SECTION.encode() not in content:
        return
    headers, problem = _facts(metadata)
    names = dict(reversed(headers))  # the first of each
    folder, _, version = os.path.basename(metadata).rpartition(".")[0].partition("-")
    distribution = names.get("name") or normalised(folder)
    requirements = [value for key, value in headers if key == "requires-dist"]
    found = partial(
        Found,
        distribution=distribution,
        version=names.get("version") or version.partition("-")[0],
        instruments=tuple(_of_extra(requirements)),
        core=tuple(item for item in requirements if _ON_CORE.match(item) and "extra" not in item.partition(";")[2]),
        where=metadata,
    )
    try:
        for name, module in _entries(_decoded(content)):
            yield found(name=name, module=module, problem=problem or _misnamed(name, module))
    except ValueError as error:
        yield found(name=distribution, module="", problem=_unreadable(metadata, error))


def _facts(metadata: str) -> tuple[list[tuple[str, str]], str]:
    """The fields of the metadata, and what is wrong with them."""
    try:
        content = _bytes(os.path.join(metadata, "METADATA"), end=b"\n\n")
        if content is None:
            content = _bytes(os.path.join(metadata, "PKG-INFO"), end=b"\n\n")
        if not content:
            raise ValueError("METADATA is missing or empty")
        headers = _headers(_decoded(content))
        if "name" not in dict(headers):  # zeros, as a crash leaves them, would otherwise be a plugin for every version
            raise ValueError("METADATA has no Name")
        return headers, ""
    except (OSError, ValueError) as error:
        return [], _unreadable(metadata, error)


def _misnamed(name: str, module: str) -> str:
    if _is_module(module):
        return ""
    meant = module.partition(":")[0]
    return f"its entry point is {module!r}, which is no module; write: {name} = {meant if _is_module(meant) else 'package.module'}"


def _is_module(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _unreadable(metadata: str, error: Exception) -> str:
    name = os.path.basename(metadata).partition("-")[0]
    return f"metadata in {metadata} cannot be read: {error}; try: pip install --force-reinstall {normalised(name)}"


def _decoded(content: bytes) -> str:
    return content.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _bytes(path: str, end: bytes | None = None) -> bytes | None:
    """
    At most a million of them.

    Args:
        path: of a file; None when there is none.
        end: what follows this is not wanted: long descriptions stand below the metadata.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # half the time of open()
    except FileNotFoundError:
        return None
    except NotADirectoryError:  # an egg-info that is a plain file
        return None
    try:
        content = os.read(handle, _CHUNK)
        while len(content) < _LARGEST and (end is None or end not in content) and (more := os.read(handle, _CHUNK)):
            content += more
    finally:
        os.close(handle)
    return content if end is None else content.partition(end)[0]


def _headers(text: str) -> list[tuple[str, str]]:
    """The fields above the first blank line; continuation lines are of no interest here."""
    found = []
    for line in text.split("\n"):  # splitlines() would also split at characters that a summary may hold
        if not line:
            break
        key, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            found.append((key.strip().lower(), value.strip()))
    return found


def _entries(text: str) -> Iterator[tuple[str, str]]:
    section = ""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line
        elif section == _SECTION and line and not line.startswith(("#", ";")):
            name, equals, value = line.partition("=")
            if not equals or not name.strip() or not value.strip():
                raise ValueError(f"an entry point that is not 'name = module': {line!r}")
            yield name.strip(), value.partition("[")[0].strip()


def _of_extra(requirements: Iterable[str]) -> Iterator[str]:
    for requirement in requirements:
        text, _, marker = requirement.partition(";")
        if _OF_EXTRA.search(marker):
            yield requirement.strip() if " and " in marker else text.strip()
