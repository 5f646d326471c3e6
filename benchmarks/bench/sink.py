"""The server that an agent sends to: a process on loopback that decodes all data and counts it.

Started as ``python -m bench.sink <decoder>``. The first line on stdout has the port; for each line on stdin it prints its
counts, as JSON.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Lock, Thread
from typing import Any, NamedTuple

from bench.arguments import arguments

GZIP = b"\x1f\x8b"


class Counted(NamedTuple):
    """Contents of one payload."""

    transactions: int
    spans: int
    """Including the transactions."""
    dropped: int = 0
    """Transactions that the agent has dropped since it started, as it reports."""


class Sink:
    """Counts payloads. Thread-safe."""

    def __init__(self, decode: Callable[[bytes], Counted]) -> None:
        self._decode = decode
        self._lock = Lock()
        self.counts = {"payloads": 0, "bytes": 0, "transactions": 0, "spans": 0, "dropped": 0, "errors": 0}
        self.last_error = ""

    def take(self, body: bytes) -> None:
        """Decode and count a payload, or count an error."""
        try:
            counted = self._decode(body)
        except Exception as error:  # noqa: BLE001  # whatever a decoder raises makes the run fail
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
        """Return all counts so far."""
        with self._lock:
            return {**self.counts, "last_error": self.last_error}


def decode_scout_core(body: bytes) -> Counted:
    """Count a report. A transaction is counted among the kinds of its name, so their sum is the number of all spans."""
    from scout_core.sending.wire import decode

    report = decode(body)
    return Counted(
        transactions=sum(metrics.count for metrics in report.transactions),
        spans=sum(kind.count for metrics in report.transactions for kind in metrics.kinds.values()),
        dropped=max(sum(counters.dropped.values()) for counters in report.counters.values()),
    )


def decode_scout_apm(body: bytes) -> Counted:
    """Count a message to the core agent: a batch is a request."""
    message = json.loads(body)
    commands = message.get("BatchCommand", {}).get("commands", [])
    return Counted(
        transactions=sum("FinishRequest" in command for command in commands),
        spans=sum("StopSpan" in command for command in commands),
    )


def decode_opentelemetry(body: bytes) -> Counted:
    """Count an OTLP request. A span without a parent is a transaction."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # type: ignore[import-not-found]
        ExportTraceServiceRequest,
    )

    request = ExportTraceServiceRequest.FromString(body)
    spans = [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
    return Counted(transactions=sum(not span.parent_span_id for span in spans), spans=len(spans))


def decode_sentry(body: bytes) -> Counted:
    """Count an envelope: a line of JSON, then for each item its header and its content."""
    lines = unpacked(body).split(b"\n")
    kinds = [json.loads(line).get("type") for line in lines[1::2] if line]
    events = [json.loads(line) for kind, line in zip(kinds, lines[2::2], strict=False) if kind == "transaction"]
    return Counted(transactions=len(events), spans=sum(1 + len(event["spans"]) for event in events))


def decode_elastic(body: bytes) -> Counted:
    """Count events, one line of JSON each."""
    kinds = [next(iter(json.loads(line))) for line in unpacked(body).splitlines()]
    transactions = kinds.count("transaction")
    return Counted(transactions=transactions, spans=transactions + kinds.count("span"))


def decode_datadog(body: bytes) -> Counted:
    """Count the spans of all traces; one without a parent is a transaction."""
    import msgpack  # type: ignore[import-not-found]

    spans = [span for trace in msgpack.unpackb(body, strict_map_key=False) for span in trace]
    return Counted(transactions=sum(not span.get("parent_id") for span in spans), spans=len(spans))


def unpacked(body: bytes) -> bytes:
    """Return the content of a body that may be compressed."""
    return gzip.decompress(body) if body.startswith(GZIP) else body


def http_server(sink: Sink) -> ThreadingHTTPServer:
    """Create a server that accepts POST and answers as a collector of scout-core does, which suits all agents."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.read()
            self.answer(
                b'{"accepted": true, "rate_by_service": {}}'
            )  # for scout-core, and for Datadog; others ignore it
            if body:  # some begin by asking whether anyone is there
                sink.take(body)

        def do_PUT(self) -> None:
            self.do_POST()

        def do_GET(self) -> None:
            self.answer(b"{}")

        def answer(self, body: bytes) -> None:
            self.send_response(202)  # as the collector of scout-core; the others accept any 2xx
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def read(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers["Content-Length"]))
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)

        def log_message(self, *args: object) -> None:
            """Do nothing: stderr is for errors."""

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


def framed_server(sink: Sink) -> ThreadingTCPServer:
    """Create a server that reads messages as the core agent does, four bytes of length and then JSON, and answers each."""

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
    "sentry": (http_server, decode_sentry),
    "elastic": (http_server, decode_elastic),
    "datadog": (http_server, decode_datadog),
    "new_relic": (http_server, lambda body: Counted(0, 0)),
}


def main(decoder: str) -> None:
    """Serve until stdin is closed."""
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
    main(*arguments(__doc__))
