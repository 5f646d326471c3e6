"""Send reports to the collector: the one that announced itself on this machine, or the one that ``collector_url`` names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from scout_core import hookimpl
from scout_core.errors import RejectedReport
from scout_core.sending.rendezvous import CollectorAddress, locate

if TYPE_CHECKING:
    from scout_core import Config, Exporter, Report

TIMEOUT = 5.0
"""Seconds for each step of the exchange."""
MAX_ANSWER = 65_536


@hookimpl
def register_exporters(config: Config) -> Iterable[Exporter]:
    """One exporter, whether a collector is there yet or not: it looks for one at each report."""
    return [CollectorExporter(config)]


class CollectorExporter:
    """Posts each report over HTTP."""

    name = "collector"

    def __init__(self, config: Config) -> None:
        self._config = config

    def export(self, report: Report) -> float | None:
        """Post it; the collector answers how soon it would like the next one."""
        import json
        from http.client import HTTPConnection, HTTPException, HTTPSConnection
        from urllib.parse import urlsplit

        from scout_core.sending.wire import CONTENT_TYPE, encode

        address = self._address()
        parts = urlsplit(address.url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT)
        try:
            connection.request(
                "POST",
                f"{parts.path.rstrip('/')}/api/v1/reports",
                body=encode(report),
                headers={"Authorization": f"Bearer {address.token}", "Content-Type": CONTENT_TYPE},
            )
            response = connection.getresponse()
            status, body = response.status, response.read(MAX_ANSWER)
        except HTTPException as error:
            raise ConnectionError(f"{address.url} does not answer as a collector: {type(error).__name__}") from error
        finally:
            connection.close()
        try:
            answer = json.loads(body)
        except ValueError:
            answer = {}
        if status >= 500 or status == 429:
            raise ConnectionError(f"{address.url} answered {status}: {_said(answer)}")
        if status >= 300:
            raise RejectedReport(f"{address.url} answered {status}: {_said(answer)}", f"collector answered {status}")
        wish = answer.get("next_report") if isinstance(answer, dict) else None
        return float(wish) if isinstance(wish, (int, float)) else None

    def _address(self) -> CollectorAddress:
        url = self._config.get("collector_url")
        if url:
            return CollectorAddress(url=url, token=self._config.get("collector_token"), pid=0)
        address = locate(self._config.state_dir)
        if address is None:
            raise RejectedReport(
                f"no collector has announced itself in {self._config.state_dir}; start one with: scout-core up",
                "no collector",
            )
        return address


def _said(answer: object) -> str:
    return str(answer.get("error"))[:200] if isinstance(answer, dict) and answer.get("error") else "no reason given"
