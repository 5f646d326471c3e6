"""
The sessions of browsers that are logged in: in memory, and hashed in a private file, so that they survive a restart.

A session ends 12 hours after its last use, 7 days after it began, and when its reader logs it out.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Final

from attrs import evolve

from scout_core.log import Log
from scout_core.private_files import write_private
from scout_dashboard.access.session_file import FILE_NAME, Session, as_text, read_file

COOKIE: Final = "scout_session"
IDLE_SECONDS: Final = 12 * 3_600
LONGEST_SECONDS: Final = 7 * 86_400
MOST_SESSIONS: Final = 100
"""The session that was not used for the longest time ends when another one begins."""
_SAVE_SECONDS: Final = 60
"""Between two writes because of the time of last use."""
_CLOCK_TOLERANCE: Final = 60

log = Log("scout_core.dashboard")


class Sessions:
    """The sessions of one collector. Thread-safe; methods that write the file may block."""

    def __init__(
        self, path: Path, sessions: Iterable[Session] = (), *, clock: Callable[[], float] = time.time, problem: str = ""
    ) -> None:
        self.problem = problem
        """Why the file was not read, or cannot be written; empty while there is no problem."""
        self._path = path
        self._clock = clock
        self._sessions = {session.digest: session for session in sessions}
        self._saved = clock()
        self._has_new_uses = False
        self._lock = Lock()
        self._file_lock = Lock()

    def begin(self, browser: str) -> str:
        """Begin a session, and return its secret, which is kept only by the browser; writes the file."""
        secret, now = secrets.token_urlsafe(32), self._clock()
        digest = _digest(secret)
        with self._lock:
            self._drop_expired(now)
            while len(self._sessions) >= MOST_SESSIONS:
                del self._sessions[min(self._sessions.values(), key=lambda session: session.used).digest]
            self._sessions[digest] = Session(digest, created=now, used=now, browser=browser)
        self.save()
        return secret

    def find(self, given: Iterable[str]) -> Session | None:
        """
        Return the session of a request, which is used now.

        Args:
            given: all cookies of the name. Another port may have set some, so each of them may be the session.
        """
        now = self._clock()
        with self._lock:
            for secret in given:
                session = self._sessions.get(_digest(secret))
                if session is not None and _is_valid(session, now):
                    self._sessions[session.digest] = used = evolve(session, used=now)
                    self._has_new_uses = True
                    return used
        return None

    def is_valid(self, secret: str) -> bool:
        """Return whether this is the secret of a session, which is not used by that."""
        with self._lock:
            session = self._sessions.get(_digest(secret))
            return session is not None and _is_valid(session, self._clock())

    def end(self, id: str) -> bool:
        """End the session with this id; return whether there was one; writes the file."""
        with self._lock:
            ended = [session.digest for session in self._sessions.values() if session.id == id]
            for digest in ended:
                del self._sessions[digest]
        self.save()
        return bool(ended)

    def end_all(self) -> None:
        """End all sessions; writes the file."""
        with self._lock:
            self._sessions.clear()
        self.save()

    def current(self) -> list[Session]:
        """Return the sessions that have not ended, the latest use first."""
        with self._lock:
            self._drop_expired(self._clock())
            return sorted(self._sessions.values(), key=lambda session: session.used, reverse=True)

    @property
    def is_save_due(self) -> bool:
        """Whether the times of last use in the file are too old."""
        return self._has_new_uses and not 0 <= self._clock() - self._saved < _SAVE_SECONDS

    def save(self) -> None:
        """Write the file; a failure is logged and becomes the problem."""
        with self._file_lock:  # taken first: an earlier state cannot replace a later one
            self._saved, self._has_new_uses = self._clock(), False
            try:
                write_private(self._path, as_text(self.current()))
            except OSError as error:
                problem = (
                    f"cannot write {self._path}: {error.strerror}; until this is fixed, a restart of the dashboard "
                    "restores the sessions of its last start"
                )
                if problem != self.problem:
                    log.warning("%s", problem)
                self.problem = problem
            else:
                self.problem = ""

    def _drop_expired(self, now: float) -> None:
        for session in list(self._sessions.values()):
            if not _is_valid(session, now):
                del self._sessions[session.digest]


def read_sessions(folder: Path, *, clock: Callable[[], float]) -> Sessions:
    """Read the sessions of a state directory; a damaged file is renamed, and its sessions have ended."""
    path = folder / FILE_NAME
    sessions, problem = read_file(path)
    if problem:
        log.warning("%s", problem)
    return Sessions(path, sessions[:MOST_SESSIONS], clock=clock, problem=problem)


def _is_valid(session: Session, now: float) -> bool:
    """Return whether a session has not expired; one from the future began before the clock was set back."""
    return -_CLOCK_TOLERANCE <= now - session.created < LONGEST_SECONDS and now - session.used < IDLE_SECONDS


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
