"""What runs now, as a dashboard on this machine tells it: read with the token that it keeps in the state directory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from scout_core.config.config import Config
from scout_core.sending.rendezvous import CollectorAddress, locate, read_private

LOGIN_FILE: Final = "dashboard-login-token"
"""As the dashboard's README has it: whoever can read this file may ask everything that the pages show."""
PATIENCE: Final = 3.0
MOST_BYTES: Final = 16 * 1024 * 1024


@frozen(kw_only=True)
class LivePlugin:
    """One plugin in one process that reports."""

    app: str
    host: str
    pid: int
    seen: float
    """When it reported last, in Unix seconds."""
    state: str
    reason: str
    calls: int
    errors: int
    last_error: str | None
    functions: tuple[str, ...]
    """Each with how often it was called, and how long it takes."""

    def told(self) -> str:
        """One line on the whole, one for each function, and one on what went wrong."""
        why = f": {self.reason}" if self.reason else ""
        line = f"{self.pid} ({self.app} on {self.host}) {self.state}{why}; {self.calls} calls, {self.errors} errors"
        return "\n".join(filter(None, (line, *self.functions, self.last_error)))


class NoDashboard(Exception):
    """There is none to ask, or it does not answer; says which."""


def live_plugins(config: Config, name: str) -> list[LivePlugin]:
    """How a plugin is in every process that reported in the last day, newest first; empty without a dashboard."""
    try:
        facts = ask(config, "/api/v1/plugins")
        return [
            LivePlugin(
                app=str(process["app"]),
                host=str(process["host"]),
                pid=int(process["pid"]),
                seen=float(process["seen"]),
                state=str(plugin["state"]),
                reason=str(plugin["reason"]),
                calls=int(plugin["calls"]),
                errors=int(plugin["errors"]),
                last_error=plugin["last_error"],
                functions=tuple(_function(function) for function in plugin.get("functions", ()) if function["calls"]),
            )
            for process in facts["processes"]
            for plugin in process["plugins"]
            if plugin["name"] == name
        ]
    except (NoDashboard, KeyError, TypeError, ValueError):  # none, or one of another version
        return []


def _function(facts: Mapping[str, Any]) -> str:  # Any: JSON
    p95 = facts.get("p95")
    took = f", 95 of 100 within {p95 * 1e6:.0f} µs" if p95 is not None else ""
    worry = "".join(f"; {facts[key]}" for key in ("slow", "off") if facts.get(key))
    return f"{facts['place']}: {facts['calls']} calls{took}{worry}"


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
                raise NoDashboard(f"{address.url} answered {response.status}: {_said(facts)}")
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


def _said(facts: object) -> str:
    return str(facts.get("error"))[:200] if isinstance(facts, dict) else "no reason given"
