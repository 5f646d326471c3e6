"""A WSGI application with a path for each kind of body."""

from __future__ import annotations

import io
from wsgiref.util import FileWrapper

from scout_core import span

TEXT = b"line\n" * 20_000
"""Larger than the buffers of a server."""


PATHS = ("/generator", "/chunks", "/list", "/tuple", "/file", "/memory", "/written", "/nothing")


class StockError(Exception):
    """The application's own error."""


class Chunks:
    """An iterable of the application, with a length and a close."""

    def __init__(self, *chunks, fails=False):
        self.chunks = chunks
        self.closed = 0
        self.fails = fails

    def __len__(self):
        return len(self.chunks)

    def __iter__(self):
        for chunk in self.chunks:
            with span("Piece/Make"):
                yield chunk

    def close(self):
        self.closed += 1
        if self.fails:
            raise StockError


def shop(folder):
    """Return the application; ``folder`` gets its file."""
    (folder / "text.txt").write_bytes(TEXT)
    chunks = []

    def pieces(number=3, more=b""):
        for count in range(number):
            with span("Piece/Make"):
                piece = f"piece {count}\n".encode()
            yield piece + more

    def failing():
        yield b"a\n"
        raise StockError

    def app(environ, start_response):
        path, wrapper = environ["PATH_INFO"], environ.get("wsgi.file_wrapper", FileWrapper)
        write = start_response("204 No Content" if path == "/nothing" else "200 OK", [("Content-Type", "text/plain")])
        if path == "/chunks" or environ["REQUEST_METHOD"] == "HEAD":
            chunks.append(Chunks() if environ["REQUEST_METHOD"] == "HEAD" else Chunks(b"one ", b"two"))
            return chunks[-1]
        if path in ("/file", "/memory"):
            file = io.BytesIO(TEXT) if path == "/memory" else (folder / "text.txt").open("rb")
            return wrapper(file, 8192)
        if path == "/written":
            write(b"written ")
            return []
        bodies = {"/list": [b"a", b"b"], "/tuple": (b"a",), "/nothing": [], "/broken": failing()}
        # large pieces: a server's thread that writes small ones holds the lock that its other thread needs to see the client go
        return bodies.get(path) or (pieces(10**5, TEXT) if path == "/endless" else pieces())

    app.chunks = chunks
    return app


def named(environ):
    return f"Controller{environ['PATH_INFO']}"
