"""The addresses that a collector listens on: both loopback addresses, as a browser may try either."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from scout_dashboard.collector import Collector
from scout_dashboard.errors import PortInUse
from scout_dashboard.listening import bind_both


def has_both_addresses() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not has_both_addresses(), reason="not on this system: the address ::1")


def status_at(host: str, port: int) -> bytes:
    with socket.create_connection((host, port), timeout=20) as connection:
        connection.sendall(
            f"GET /static/icon.svg HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode()
        )
        return connection.recv(12)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_it_answers_on_both_loopback_addresses(tmp_path: Path, host):
    collector = Collector(state_dir=tmp_path, host=host, port=0)
    try:
        answers = [status_at(address, collector.port) for address in ("127.0.0.1", "::1")]
    finally:
        collector.stop()

    assert [b"HTTP/1.1 200"] * 2 == answers


@pytest.mark.parametrize(
    "family, taken, host", [(socket.AF_INET6, "::1", "127.0.0.1"), (socket.AF_INET, "127.0.0.1", "::1")]
)
def test_a_port_that_another_program_has_on_the_other_address_is_in_use(tmp_path: Path, family, taken, host):
    with socket.create_server((taken, 0), family=family) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} is in use by another program"):
            Collector(state_dir=tmp_path, host=host, port=port)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_small_parts_of_a_response_are_sent_at_once(host):
    async def accepted_option() -> int:
        loop = asyncio.get_running_loop()
        listening.setblocking(False)
        with socket.create_connection(listening.getsockname()[:2], timeout=20):
            accepted, _ = await loop.sock_accept(listening)
            transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, accepted)
            option = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            transport.abort()
            await asyncio.sleep(0)
            return int(option)

    with ExitStack() as stack:
        listening, *_ = [stack.enter_context(opened) for opened in bind_both(host, 0)]
        assert asyncio.run(accepted_option())
