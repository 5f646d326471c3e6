"""Requests to a dashboard on this machine, with the token that it keeps in the state directory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from scout_core.config.config import Config
from scout_core.errors import ScoutError
from scout_core.sending.protocol import error_text
from scout_core.sending.rendezvous import CollectorAddress, UnreadableAnnouncement, describe_absence, locate

TIMEOUT_SECONDS: Final = 3.0
MAX_BYTES: Final = 16 * 1024 * 1024


class DashboardError(Exception):
    """There is no dashboard, or it did not answer; the message names the reason."""

    def __init__(self, message: str, *, is_not_found: bool = False) -> None:
        super().__init__(message)
        self.is_not_found = is_not_found
        """It answered that it does not have what was requested."""


def ask(config: Config, path: str) -> Mapping[str, Any]:  # Any: JSON
    """
    Return the dashboard's answer to a GET request.

    Raises:
        DashboardError: no dashboard is announced, or it did not answer the request.
    """
    import json
    from http.client import HTTPException

    from scout_core.sending.asking import connection_to, read_login_token

    address = locate_dashboard(config)
    try:
        token = read_login_token(config.state_dir)
    except ScoutError as error:
        raise DashboardError(str(error)) from error
    try:
        connection = connection_to(address, timeout=TIMEOUT_SECONDS)
    except (OSError, ValueError) as error:
        raise DashboardError(f"{address.url} does not answer: {error}; start it: scout-core up") from error
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        with connection.getresponse() as response:
            facts = json.loads(response.read(MAX_BYTES))
            if response.status != 200:
                message = f"{address.url} answered {response.status}: {error_text(facts)}"
                raise DashboardError(message, is_not_found=response.status == 404)
    except (OSError, HTTPException, ValueError, RecursionError) as error:
        raise DashboardError(f"{address.url} does not answer: {error}") from error
    finally:
        connection.close()
    if not isinstance(facts, dict):
        raise DashboardError(f"{address.url} answered with JSON of an unexpected shape")
    return facts


def locate_dashboard(config: Config) -> CollectorAddress:
    """
    Return the address of the dashboard.

    Raises:
        DashboardError: no dashboard is announced, or its announcement cannot be used.
    """
    try:
        address = locate(config.state_dir)
    except (OSError, UnreadableAnnouncement) as error:
        raise DashboardError(f"cannot read the announcement of a collector: {error}") from error
    if address is None:
        raise DashboardError(describe_absence(config.state_dir))
    return address
