"""Connections that carry the login token: only the collector that is announced may get it."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

import pytest
from attrs import evolve

from scout_core.sending.asking import connection_to
from scout_core.sending.rendezvous import CollectorAddress


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)
        yield listening


@pytest.fixture
def path():
    with tempfile.TemporaryDirectory(prefix="s") as folder:  # the path of a socket is short
        yield Path(folder, "s")


def address(port, path=None):
    url = f"http://127.0.0.1:{port.getsockname()[1]}"
    return CollectorAddress(url=url, token="ingest", pid=1, private_socket=None if path is None else str(path))


def received(listening, announced):
    """Return the first line of a request that was sent to the announced collector."""
    connection = connection_to(announced, timeout=20)
    try:
        connection.request("GET", "/api", headers={"Authorization": "Bearer secret"})
        with listening.accept()[0] as accepted:
            return accepted.recv(9)
    finally:
        connection.close()


def nobody_asks(listening):
    listening.setblocking(False)
    with pytest.raises(BlockingIOError):
        listening.accept()


def test_the_private_socket_is_used_where_there_is_one(port, path):
    with socket.socket(socket.AF_UNIX) as private:
        private.bind(str(path))
        private.listen()

        assert b"GET /api " == received(private, address(port, path))
    nobody_asks(port)


def test_a_collector_without_one_is_asked_at_its_port(port):
    assert b"GET /api " == received(port, address(port))


def removed(path):
    """Leave nothing."""


def left(path):
    """Leave the socket of a collector that was killed."""
    with socket.socket(socket.AF_UNIX) as private:
        private.bind(str(path))


def replaced(path):
    path.write_text("no socket")


@pytest.mark.parametrize("remains", [removed, left, replaced])
def test_another_program_at_the_port_of_a_collector_that_has_ended_is_not_asked(port, path, remains):
    remains(path)
    with pytest.raises(ConnectionError, match=f"it has ended, or its socket was removed: nobody listens at {path}"):
        connection_to(address(port, path), timeout=20)
    nobody_asks(port)


@pytest.mark.parametrize("with_socket", [False, True])
def test_another_program_at_the_port_of_a_collector_that_lost_its_lock_is_not_asked(port, path, with_socket):
    with socket.socket(socket.AF_UNIX) as private:
        private.bind(str(path))
        private.listen()
        announced = evolve(address(port, path if with_socket else None), has_ended=True)
        with pytest.raises(
            ConnectionError, match=r"it has ended: no process has its lock, announcement\.lock, any more"
        ):
            connection_to(announced, timeout=20)
        nobody_asks(private)
    nobody_asks(port)


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1:7600", "https://127.0.0.1:7600", "http://localhost:7600", "file:///x", ""]
)
def test_other_machines_and_other_protocols_are_refused(url):
    with pytest.raises(ValueError, match="is not on this machine"):
        connection_to(CollectorAddress(url=url, token="ingest", pid=1), timeout=20)


@pytest.mark.parametrize("path", ["\0", "x" * 5000, "/nowhere/s"])
def test_a_path_that_cannot_be_used_is_no_collector(port, path):
    with pytest.raises(ConnectionError, match="it has ended"):
        connection_to(address(port, path), timeout=20)
