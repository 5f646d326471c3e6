"""The number of files that this process may open, and how many connections that leaves room for."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from attrs import field, frozen

_OWN_FILES: Final = 80
"""Standard streams, the listening sockets, the file that is written, connections that are being accepted, and a reserve."""
_FILES_OF_A_DAY: Final = 3
"""SQLite opens the file of a day, its log and the index of the log; the reader keeps them open."""
_FILES_OF_A_CONNECTION: Final = 2
"""The connection, and a static file that is sent."""
_LEAST: Final = 8

_NOFILE: Final = resource.RLIMIT_NOFILE
_UNLIMITED: Final = resource.RLIM_INFINITY


@frozen
class Caps:
    """The numbers of connections that are served at the same time."""

    tcp: int = 400
    """Anyone on this machine can open these."""
    private: int = 200
    """Those of the private socket, which only processes of the same user can open."""


WANTED: Final = Caps()


@frozen
class OpenFiles:
    """The limit of this process."""

    limit: int | None
    """The number of files; None means unlimited."""
    caps: Caps
    _soft: int = field(repr=False)
    _inherited: int = field(repr=False)

    @contextmanager
    def inherited(self) -> Iterator[None]:
        """Restore the limit for the duration of a ``with`` block, in which a child process that has to inherit it starts."""
        _set(self._inherited)
        try:
            yield
        finally:
            _set(self._soft)


@contextmanager
def raised_limit(days: int) -> Iterator[OpenFiles]:
    """
    Raise the limit as far as needed and allowed for the duration of a ``with`` block, and derive the caps from it.

    Args:
        days: for which the store has files, metrics and traces counted separately.
    """
    own = _OWN_FILES + _FILES_OF_A_DAY * days
    needed = own + _FILES_OF_A_CONNECTION * WANTED.tcp + WANTED.private
    inherited, hard = resource.getrlimit(_NOFILE)
    if inherited != _UNLIMITED and inherited < needed:
        _set(needed if hard == _UNLIMITED else min(needed, hard))
    soft = resource.getrlimit(_NOFILE)[0]
    share = 1.0 if soft == _UNLIMITED else max(0, soft - own) / (needed - own)
    caps = Caps(tcp=_part(WANTED.tcp, share), private=_part(WANTED.private, share))
    try:
        yield OpenFiles(None if soft == _UNLIMITED else soft, caps, soft, inherited)
    finally:
        _set(inherited)


def _set(soft: int) -> None:
    with suppress(ValueError, OSError):  # the kernel of macOS has another limit, below the hard one
        resource.setrlimit(_NOFILE, (soft, resource.getrlimit(_NOFILE)[1]))


def _part(wanted: int, share: float) -> int:
    return min(wanted, max(_LEAST, int(wanted * share)))
