"""
Serve the shop and its supplier on free ports: ``python -m scout_demo.shop FOLDER``. The first line on stdout is the shop's port.

Its jobs are published to the Redis whose URL is in ``RQ_REDIS_URL``, as for the command ``rq worker``; without it, to none.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from threading import Thread
from types import FrameType

from werkzeug.serving import make_server

from scout_demo.shop.models import open_shop
from scout_demo.shop.pages import build_shop
from scout_demo.shop.queues import Queues
from scout_demo.shop.supplier import supplier


def main(folder: Path) -> None:
    """Serve until SIGTERM."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    logging.getLogger("scout_demo.shop.pages").setLevel(logging.CRITICAL)
    second = make_server("127.0.0.1", 0, supplier, threaded=True)
    engine = open_shop(folder)
    queues = Queues(os.environ.get("RQ_REDIS_URL"))
    shop = build_shop(engine, f"http://127.0.0.1:{second.server_port}", queues)
    first = make_server("127.0.0.1", 0, shop, threaded=True)

    def stop(number: int, frame: FrameType | None) -> None:
        Thread(target=first.shutdown).start()  # shutdown waits for the loop that this handler interrupts

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group, but our parent stops us
    Thread(target=second.serve_forever, daemon=True).start()
    sys.stdout.write(f"{first.server_port}\n")
    sys.stdout.flush()
    first.serve_forever()
    second.shutdown()
    engine.dispose()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
