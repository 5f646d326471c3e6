"""
Print what a run of nox came to.

Failed tests, those that passed when they were tried again, and closing lines by session; and the minutes of each, slowest first.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

SESSION = re.compile(r"nox > Running session (.+)")
CLOSING = re.compile(r"\b(passed|failed|skipped|errors?)\b.* in [0-9.]+s")
FAILED = re.compile(r"(^(?:FAILED|ERROR) \S+::.{0,400}|PASSED WHEN TRIED AGAIN .{0,400})")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def closing_lines(log: Iterable[str]) -> Iterator[str]:
    """Each session's name, and below it the failed tests and the lines with which pytest ended."""
    for line in log:
        text = COLOUR.sub("", line).strip()
        if session := SESSION.search(text):
            yield session[1]
        elif CLOSING.search(text):
            yield f"    {text.strip('= ')}"
        elif failed := FAILED.search(text):
            yield f"    {failed[0]}"


def minutes(sessions: Iterable[dict[str, Any]]) -> Iterator[str]:  # Any: JSON
    """A row for each session, slowest first, and their sum."""
    rows = sorted(sessions, key=lambda session: -session["duration"])
    for session in rows:
        yield f"{session['duration'] / 60:6.1f}  {session['signatures'][0]}  {session['result']}"
    yield f"{sum(session['duration'] for session in rows) / 60:6.1f}  in {len(rows)} sessions"


def main() -> int:
    """Print both; 1 when nox ended before it could write its report."""
    parser = argparse.ArgumentParser(prog=".ci/summary.py", description=__doc__)
    parser.add_argument("log", type=Path, help="what nox printed")
    parser.add_argument("report", type=Path, help="the report of nox, in JSON")
    asked = parser.parse_args()
    lines = ["", "pytest at the end of each session:"]
    with asked.log.open(encoding="utf-8", errors="replace") as file:
        lines += closing_lines(file)
    text = asked.report.read_text(encoding="utf-8")
    if text:
        lines += ["", "minutes  session", *minutes(json.loads(text)["sessions"])]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if text else 1


if __name__ == "__main__":
    sys.exit(main())
