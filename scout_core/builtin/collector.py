"""Send reports to the collector: the one that announced itself on this machine, or the one that ``collector_url`` names."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from scout_core import hookimpl
from scout_core.clocks import time
from scout_core.errors import NoReceiver, RejectedReport
from scout_core.sending.exporter import Delivery, import_in_steps
from scout_core.sending.intake import (
    CONTENT_TYPE,
    MAX_REPORT_BYTES,
    REPORTS,
    SENT_HEADER,
    error_text,
    read_accepted,
    read_limit,
)
from scout_core.sending.rendezvous import CollectorAddress, describe_absence, locate

if TYPE_CHECKING:
    from scout_core import Config, Exporter, Report

TOO_LARGE: Final = 413
REPLACED: Final = (401, 421)
"""Answers of a collector that has just taken the place of the announced one: its token and its port differ, and it announces them next."""
_MODULES: Final = (
    "encodings.idna", "json", "email.parser", "http.client", "scout_core.builtin.posting", "scout_core.sending.asking",
    "scout_core.sending.wire",
)  # fmt: skip
"""Needed to send, in small steps: Python imports the first when it looks up a host, the others import each other."""
NO_COLLECTOR: Final = "no collector"
"""The reason under which reports are counted while no collector has announced itself."""


@hookimpl
def register_exporters(config: Config) -> Iterable[Exporter]:
    """One exporter, whether a collector is there yet or not: it looks for one at each report."""
    return [CollectorExporter(config)]


class CollectorExporter:
    """Posts each report over HTTP: through the private socket of the collector, or over TCP if it announces none."""

    name = "collector"

    def __init__(self, config: Config) -> None:
        self._config = config
        self._limits: dict[str, int] = {}
        """URL to the largest report that the collector has answered to accept."""
        self._has_delivered = False
        """To a collector that had announced itself; when it ends, another one is expected."""
        self.reached: str | None = None
        """The place of the latest report: the path of the collector's private socket, or its URL; None before the first."""

    def export(self, report: Report) -> float | Delivery | None:
        """Post as much of it as the collector accepts; it answers how soon it would like the next one."""
        address = self._address()
        import_in_steps(*_MODULES)
        most = address.max_report_bytes or self._limits.get(address.url, MAX_REPORT_BYTES)
        sent = sys.maxsize
        while True:
            body, smaller = _encode(report, most)
            status, answer = self._post(address, body)
            if status != TOO_LARGE or len(body) >= sent:  # there is nothing left to leave out
                break
            sent = len(body)
            limit = read_limit(answer)
            most = limit if limit is not None and limit < sent else sent // 2  # one of a server in between is unknown
        if status >= 500 or status == 429 or (address.pid and status in REPLACED):
            raise ConnectionError(f"{address.url} answered {status}: {error_text(answer)}")
        if status != 202:  # also 200: a server that answers so is not a collector, and the report is lost
            raise RejectedReport(
                f"{address.url} answered {status}: {error_text(answer)}", f"collector answered {status}"
            )
        accepted = read_accepted(answer)
        if accepted is None:
            raise ConnectionError(f"{address.url} sent an incomplete answer, or is not a collector")
        self._has_delivered = True
        if accepted.max_report_bytes is not None:
            self._limits[address.url] = accepted.max_report_bytes
        left_out = {
            part: count - report.left_out.get(part, 0)
            for part, count in smaller.left_out.items()
            if count > report.left_out.get(part, 0)
        }
        return Delivery(next_report=accepted.next_report, left_out=left_out) if left_out else accepted.next_report

    def _post(self, address: CollectorAddress, body: bytes) -> tuple[int, object]:
        """Return the status, and the answer if it is JSON."""
        import json

        from scout_core.builtin.posting import TIMEOUT, post
        from scout_core.sending.asking import private_connection

        headers = {
            "Authorization": f"Bearer {address.token}",
            "Content-Type": CONTENT_TYPE,
            SENT_HEADER: f"{time():.3f}",
        }
        try:
            connected = private_connection(address, timeout=TIMEOUT)
        except ConnectionError as error:  # its port may be another program's by now, which gets nothing
            detail = f"the collector announced in {self._config.state_dir} does not answer: {error}; start one: scout-core up"
            raise ConnectionError(detail) from error
        self.reached = address.url if connected is None else address.private_socket
        status, text = post(address.url, REPORTS, headers=headers, body=body, connected=connected)
        try:
            return status, json.loads(text)
        except (ValueError, RecursionError):
            return status, None

    def _address(self) -> CollectorAddress:
        url = self._config.get("collector_url")
        if url:
            return CollectorAddress(url=url, token=self._config.get("collector_token"), pid=0)
        address = locate(self._config.state_dir)
        if address is None and self._has_delivered:
            raise ConnectionError(
                f"the collector that had announced itself in {self._config.state_dir} has ended; start another one with: scout-core up"
            )
        if address is None:
            raise NoReceiver(describe_absence(self._config.state_dir), NO_COLLECTOR)
        return address


def _encode(report: Report, most: int) -> tuple[bytes, Report]:
    from scout_core.sending.wire import encode_within

    try:
        return encode_within(report, most)
    except MemoryError:
        raise  # there may be enough of it later
    except Exception as error:  # whatever a plugin has put into it, it will be there the next time
        text = f"the report cannot be encoded: {type(error).__name__}"
        raise RejectedReport(text, "cannot be encoded") from error
