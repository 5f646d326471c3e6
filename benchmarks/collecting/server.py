"""
Run a collector in a process of its own until its input is closed. Arguments: the state directory and the data directory.

The first line that it prints is JSON: its address, its token, and the headers of a reader with a session.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.arguments import arguments


def main() -> None:
    """Serve."""
    state_dir, data_dir = map(Path, arguments(__doc__))
    from scout_dashboard.access.sessions import COOKIE
    from scout_dashboard.collector import Collector

    with Collector.running(state_dir=state_dir, data_dir=data_dir) as collector:
        access = collector.access
        headers = {
            "Host": access.addresses.by_name.removeprefix("http://"),
            "Cookie": f"{COOKIE}={access.sessions.begin('benchmark')}",
            "Authorization": f"Bearer {access.login_token}",
        }
        facts = {"url": collector.url, "token": collector.token, "headers": headers}
        print(json.dumps(facts), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
