"""Send reports to the collector: the one that announced itself on this machine, or the one that ``collector_url`` names."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from scout_core import hookimpl
from scout_core.errors import NoReceiver, RejectedReport
from scout_core.sending.exporter import Delivery, import_in_steps
from scout_core.sending.intake import CONTENT_TYPE, MAX_REPORT_BYTES, REPORTS, error_text, read_accepted, read_limit
from scout_core.sending.rendezvous import CollectorAddress, locate

if TYPE_CHECKING:
    from scout_core import Config, Exporter, Report

TOO_LARGE: Final = 413
_MODULES: Final = (
    "encodings.idna", "json", "email.parser", "http.client", "scout_core.builtin.posting", "scout_core.sending.wire",
)  # fmt: skip
"""Needed to send, in small steps: Python imports the first when it looks up a host, the others import each other."""
NO_COLLECTOR: Final = "no collector"
"""The reason under which reports are counted while no collector has announced itself."""


@hookimpl
def register_exporters(config: Config) -> Iterable[Exporter]:
    """One exporter, whether a collector is there yet or not: it looks for one at each report."""
    return [CollectorExporter(config)]


class CollectorExporter:
    """Posts each report over HTTP."""

    name = "collector"

    def __init__(self, config: Config) -> None:
        self._config = config
        self._limits: dict[str, int] = {}
        """URL to the largest report that the collector has answered to accept."""

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
        if status >= 500 or status == 429:
            raise ConnectionError(f"{address.url} answered {status}: {error_text(answer)}")
        if status != 202:  # also 200: a server that answers so is not a collector, and the report is lost
            raise RejectedReport(
                f"{address.url} answered {status}: {error_text(answer)}", f"collector answered {status}"
            )
        accepted = read_accepted(answer)
        if accepted is None:
            raise ConnectionError(f"{address.url} sent an incomplete answer, or is not a collector")
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

        from scout_core.builtin.posting import post

        headers = {"Authorization": f"Bearer {address.token}", "Content-Type": CONTENT_TYPE}
        status, text = post(address.url, REPORTS, headers=headers, body=body)
        try:
            return status, json.loads(text)
        except (ValueError, RecursionError):
            return status, None

    def _address(self) -> CollectorAddress:
        url = self._config.get("collector_url")
        if url:
            return CollectorAddress(url=url, token=self._config.get("collector_token"), pid=0)
        address = locate(self._config.state_dir)
        if address is None:
            raise NoReceiver(
                f"no collector has announced itself in {self._config.state_dir}; start one with: scout-core up",
                NO_COLLECTOR,
            )
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
