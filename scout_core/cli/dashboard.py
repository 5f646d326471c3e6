"""What a dashboard on this machine answers: asked with the token that it keeps in the state directory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from scout_core.config.config import Config
from scout_core.sending.protocol import LOGIN_FILE, error_text
from scout_core.sending.rendezvous import CollectorAddress, locate, read_private

PATIENCE: Final = 3.0
MOST_BYTES: Final = 16 * 1024 * 1024


class NoDashboard(Exception):
    """There is none to ask, or it does not answer; says which."""

    def __init__(self, message: str, *, is_not_found: bool = False) -> None:
        super().__init__(message)
        self.is_not_found = is_not_found
        """It answered, and has not what was asked for."""


def ask(config: Config, path: str) -> Mapping[str, Any]:  # Any: JSON
    """
    What the dashboard answers.

    Raises:
        NoDashboard: nobody announced one, it does not answer, or not with what was asked for.
    """
    import json
    from http.client import HTTPConnection, HTTPException
    from urllib.parse import urlsplit

    address = dashboard(config)
    token = (read_private(config.state_dir / LOGIN_FILE) or "").strip()
    if not token:
        raise NoDashboard(f"{address.url} has no login token in {config.state_dir}")
    parts = urlsplit(address.url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        with connection.getresponse() as response:
            facts = json.loads(response.read(MOST_BYTES))
            if response.status != 200:
                told = f"{address.url} answered {response.status}: {error_text(facts)}"
                raise NoDashboard(told, is_not_found=response.status == 404)
    except (OSError, HTTPException, ValueError, RecursionError) as error:
        raise NoDashboard(f"{address.url} does not answer: {error}") from error
    finally:
        connection.close()
    if not isinstance(facts, dict):
        raise NoDashboard(f"{address.url} answered with something else")
    return facts


def dashboard(config: Config) -> CollectorAddress:
    """
    Where it listens.

    Raises:
        NoDashboard: none has announced itself, or what is announced is not on this machine.
    """
    address = locate(config.state_dir)
    if address is None:
        raise NoDashboard(f"no collector has announced itself in {config.state_dir}; start one with: scout-core up")
    if not address.url.startswith(("http://127.0.0.1:", "http://[::1]:")):  # the token is for this machine alone
        raise NoDashboard(f"{address.url} is not on this machine")
    return address
