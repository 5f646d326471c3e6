"""Send reports to the collector: the one that announced itself on this machine, or the one that ``collector_url`` names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from scout_core import hookimpl
from scout_core.errors import NoReceiver, RejectedReport
from scout_core.sending.exporter import importing
from scout_core.sending.protocol import REPORTS, error_text, read_accepted
from scout_core.sending.rendezvous import CollectorAddress, locate

if TYPE_CHECKING:
    from scout_core import Config, Exporter, Report

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

    def export(self, report: Report) -> float | None:
        """Post it; the collector answers how soon it would like the next one."""
        address = self._address()
        with importing:
            import encodings.idna  # noqa: F401  # Python imports it when it first looks up a host
            import json

            from scout_core.builtin.posting import post
            from scout_core.sending.wire import CONTENT_TYPE, encode

        try:
            body = encode(report)
        except MemoryError:
            raise  # there may be enough of it later
        except Exception as error:  # whatever a plugin has put into it, it will be there the next time
            raise RejectedReport(
                f"the report cannot be encoded: {type(error).__name__}", "cannot be encoded"
            ) from error
        headers = {"Authorization": f"Bearer {address.token}", "Content-Type": CONTENT_TYPE}
        status, text = post(address.url, REPORTS, headers=headers, body=body)
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            answer = None
        if status >= 500 or status == 429:
            raise ConnectionError(f"{address.url} answered {status}: {error_text(answer)}")
        if status != 202:  # also 200: a server that answers so is not a collector, and the report is lost
            raise RejectedReport(
                f"{address.url} answered {status}: {error_text(answer)}", f"collector answered {status}"
            )
        accepted = read_accepted(answer)
        if accepted is None:
            raise ConnectionError(f"{address.url} sent an incomplete answer, or is not a collector")
        return accepted.next_report

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
