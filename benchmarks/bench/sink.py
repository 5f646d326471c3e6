"""Where an agent's data goes: a server on loopback in a process of its own, which decodes all of it and counts.

Started as ``python -m bench.sink <decoder>``. Its first line on stdout is the port; for each line on stdin it answers what it
has counted, as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Lock, Thread
from typing import Any, NamedTuple


class Counted(NamedTuple):
    """What one payload held."""

    transactions: int
    spans: int
    """The transactions themselves included."""
    dropped: int = 0
    """Transactions that the agent says to have left out, since it started."""


class Sink:
    """Counts payloads. Several threads feed it."""

    def __init__(self, decode: Callable[[bytes], Counted]) -> None:
        self._decode = decode
        self._lock = Lock()
        self.counts = {"payloads": 0, "bytes": 0, "transactions": 0, "spans": 0, "dropped": 0, "errors": 0}
        self.last_error = ""

    def take(self, body: bytes) -> None:
        """Decode and count one payload; one that cannot be decoded is an error."""
        try:
            counted = self._decode(body)
        except Exception as error:  # noqa: BLE001  # whatever somebody's decoder raises: it is told, and fails the run
            with self._lock:
                self.counts["errors"] += 1
                self.last_error = f"{type(error).__name__}: {error}"
            return
        with self._lock:
            self.counts["payloads"] += 1
            self.counts["bytes"] += len(body)
            self.counts["transactions"] += counted.transactions
            self.counts["spans"] += counted.spans
            self.counts["dropped"] = max(self.counts["dropped"], counted.dropped)

    def answer(self) -> dict[str, Any]:  # Any: numbers and one text
        """All counts so far."""
        with self._lock:
            return {**self.counts, "last_error": self.last_error}


def decode_scout_core(body: bytes) -> Counted:
    """A report: each name's own transaction is among its kinds, so the kinds add up to all spans."""
    from scout_core.sending.wire import decode

    report = decode(body)
    return Counted(
        transactions=sum(metrics.count for metrics in report.transactions),
        spans=sum(kind.count for metrics in report.transactions for kind in metrics.kinds.values()),
        dropped=max(sum(counters.dropped.values()) for counters in report.counters.values()),
    )


def decode_scout_apm(body: bytes) -> Counted:
    """One message to the core agent: a batch is one request."""
    message = json.loads(body)
    commands = message.get("BatchCommand", {}).get("commands", [])
    return Counted(
        transactions=sum("FinishRequest" in command for command in commands),
        spans=sum("StopSpan" in command for command in commands),
    )


def decode_opentelemetry(body: bytes) -> Counted:
    """An OTLP request: a span without parent is the root of a transaction."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # type: ignore[import-not-found]
        ExportTraceServiceRequest,
    )

    request = ExportTraceServiceRequest.FromString(body)
    spans = [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
    return Counted(transactions=sum(not span.parent_span_id for span in spans), spans=len(spans))


def http_server(sink: Sink) -> ThreadingHTTPServer:
    """Takes POSTs, answers as a collector of scout-core does; others do not look."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = b'{"accepted": true}'
            self.send_response(202)  # as the collector of scout-core; the others take any 2xx
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            sink.take(body)

        def log_message(self, *args: object) -> None:
            """Nothing: stderr is for errors."""

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


def framed_server(sink: Sink) -> ThreadingTCPServer:
    """Takes messages as the core agent does: four bytes of length, then JSON, and answers each."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            while True:
                size = int.from_bytes(self.rfile.read(4), "big")
                if not size:
                    return
                body = self.rfile.read(size)
                self.wfile.write(b"\0\0\0\2{}")
                sink.take(body)

    server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server


DECODERS = {
    "scout_core": (http_server, decode_scout_core),
    "scout_apm": (framed_server, decode_scout_apm),
    "opentelemetry": (http_server, decode_opentelemetry),
}


def main(decoder: str) -> None:
    """Serve until stdin ends."""
    make_server, decode = DECODERS[decoder]
    sink = Sink(decode)
    server = make_server(sink)
    Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(json.dumps({"port": server.server_address[1]}) + "\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(sink.answer()) + "\n")
        sys.stdout.flush()
    server.shutdown()
    server.server_close()


if __name__ == "__main__":
    main(*sys.argv[1:])
