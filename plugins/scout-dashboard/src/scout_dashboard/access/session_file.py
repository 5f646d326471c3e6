"""The file of sessions: read with every value checked, and set aside when it is damaged."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, Final

from attrs import asdict, frozen

from scout_core.private_files import read_private

FILE_NAME: Final = "dashboard-sessions"
_DAMAGED: Final = ".damaged"
_VERSION: Final = 1
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_LONGEST_NAME: Final = 80


@frozen
class Session:
    """One browser that is logged in."""

    digest: str
    """SHA-256 of its secret, which cannot be recovered from it."""
    created: float
    """Unix time, like ``used``."""
    used: float
    browser: str

    @property
    def id(self) -> str:
        """Names the session on pages and in addresses."""
        return self.digest[:16]


def read_file(path: Path) -> tuple[list[Session], str]:
    """Return the sessions, the latest use first, and why the file cannot be used; empty when it can, or does not exist."""
    try:
        text = read_private(path)
        if text is None:
            if not os.path.lexists(path):
                return [], ""
            return [], _set_aside(path, "is not a file that only you can read")
        sessions = [_session(facts) for facts in _facts(text)]
    except OSError as error:
        return [], _set_aside(path, f"cannot be read ({error.strerror})")
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return [], _set_aside(path, "is damaged")
    return sorted(sessions, key=lambda session: session.used, reverse=True), ""


def as_text(sessions: list[Session]) -> str:
    """Return the content of the file."""
    return json.dumps({"version": _VERSION, "sessions": [asdict(session) for session in sessions]})


def _facts(text: str) -> list[Any]:  # Any: JSON
    content = json.loads(text)
    if content["version"] != _VERSION or not isinstance(content["sessions"], list):
        raise ValueError
    return list(content["sessions"])


def _session(facts: Any) -> Session:  # Any: JSON
    digest, browser = facts["digest"], facts["browser"]
    created, used = float(facts["created"]), float(facts["used"])
    if not (isinstance(digest, str) and _DIGEST.fullmatch(digest) and isinstance(browser, str)):
        raise ValueError
    if not (0 <= created < 1e11 and 0 <= used < 1e11):  # neither infinite nor not a number
        raise ValueError
    return Session(digest, created=created, used=used, browser=browser[:_LONGEST_NAME])


def _set_aside(path: Path, reason: str) -> str:
    aside = path.with_name(path.name + _DAMAGED)
    try:
        os.replace(path, aside)
    except OSError as error:
        return f"{path} {reason} and cannot be renamed ({error.strerror}): browsers must log in again; remove it"
    return f"{path} {reason}: browsers must log in again; it was renamed to {aside.name}"
