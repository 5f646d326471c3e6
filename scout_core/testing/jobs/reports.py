"""An exporter for the worker processes of the jobs suite: it appends how many jobs of each name have ended to a file."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scout_core.hookspecs import hookimpl
from scout_core.testing.jobs.tasks import FOLDER

if TYPE_CHECKING:
    from scout_core.measuring.report import Report

FILE: Final = "reports.jsonl"


class Lines:
    """Appends a line for each report: operation to number."""

    name = "job-reports"

    def export(self, report: Report) -> None:
        """Append a report, in a single write."""
        counts = {metrics.name: metrics.count for metrics in report.transactions}
        if counts:
            with (Path(os.environ[FOLDER]) / FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps(counts) + "\n")


@hookimpl
def register_exporters() -> list[Lines]:
    """Return the exporter."""
    return [Lines()]


def reported(folder: Path) -> Counter[str]:
    """Return how many jobs of each name have been reported until now."""
    file = folder / FILE
    counts = Counter[str]()
    if file.exists():
        text = file.read_text(encoding="utf-8")
        for line in text[: text.rfind("\n") + 1].splitlines():  # the last one may not be complete yet
            counts.update(json.loads(line))
    return counts
