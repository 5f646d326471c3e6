"""Runs a worker as ``rq worker`` does, whose command does not start with Click 8 before RQ 1.8.1."""

from __future__ import annotations

import argparse
import importlib

from rq import Queue
from rq_queues import connect

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["worker"])
    parser.add_argument("--burst", action="store_true")
    parser.add_argument("--worker-class", default="rq.worker.Worker")
    parser.add_argument("--url")
    parser.add_argument("queue")
    options = parser.parse_args()
    module, _, name = options.worker_class.rpartition(".")
    connection = connect(options.url)
    worker = getattr(importlib.import_module(module), name)
    worker([Queue(options.queue, connection=connection)], connection=connection).work(burst=options.burst)
