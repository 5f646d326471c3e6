"""Agents of the same user report through a socket that nobody else can open, and over TCP if the collector has none."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from sample_reports import report
from separate import separate
from visitor import visitor_of
from wire_client import head, parse

from scout_core.builtin.collector import CollectorExporter
from scout_core.cli.dashboard import DashboardError, ask
from scout_core.config.config import read_config
from scout_core.errors import ScoutError
from scout_core.sending.protocol import HEALTH
from scout_core.sending.rendezvous import locate
from scout_dashboard import open_files
from scout_dashboard.collector import Collector
from scout_dashboard.open_files import Caps
from scout_dashboard.opening import find_dashboard, request_links
from scout_dashboard.private_socket import FILE_NAME

PATIENCE = 60.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory with a short path: pytest's own may be too long for a socket."""
    made = Path(tempfile.mkdtemp(dir="/tmp")).resolve()
    yield made
    shutil.rmtree(made)


def exporter(state_dir: Path) -> CollectorExporter:
    return CollectorExporter(read_config({"state_dir": str(state_dir)}, environment={}))


def delivered(collector: Collector, number: int) -> str | None:
    """Return where a report arrived."""
    sender = exporter(collector.state_dir)
    sender.export(report(end=time.time(), number=number))
    assert number == collector.queries.health()["collector"]["reports"]
    return sender.reached


def shown(collector: Collector) -> tuple[str | None, str]:
    facts = visitor_of(collector).facts("/health")["collector"]
    return facts["private_socket"], facts["private_problem"]


def test_a_report_arrives_through_the_private_socket(folder):
    with Collector.running(state_dir=folder) as collector:
        path = folder / FILE_NAME
        mode = path.lstat().st_mode

        assert str(path) == delivered(collector, 1)
        assert (True, 0o600) == (stat.S_ISSOCK(mode), stat.S_IMODE(mode))
        assert (str(path), "") == shown(collector)
        assert f"Agents of this user report through {path}" in visitor_of(collector).page("/health").text
    assert not path.exists()


def test_the_mode_does_not_depend_on_the_umask(folder):
    before = os.umask(0)
    try:
        with Collector.running(state_dir=folder / "state"):
            assert 0o600 == stat.S_IMODE((folder / "state" / FILE_NAME).lstat().st_mode)
    finally:
        os.umask(before)


@pytest.mark.parametrize("token, status", [("wrong" * 10, 401), ("", 401)])
def test_the_token_is_required(folder, token, status):
    with Collector.running(state_dir=folder) as collector, socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(str(folder / FILE_NAME))
        connection.sendall(head(collector, "Content-Length: 0", token=token))
        received = b""
        while part := connection.recv(65_536):
            received += part

        assert status == parse(received).status


@pytest.mark.parametrize("what", ["missing", "refuses", "file"])
def test_reports_wait_when_the_announced_socket_cannot_be_used(folder, what):
    """The port may be another program's by now, so it gets neither the report nor the token."""
    with Collector.running(state_dir=folder) as collector:
        path = folder / FILE_NAME
        path.unlink()
        if what == "refuses":
            leave_socket(path)
        elif what == "file":
            path.write_text("")

        with pytest.raises(
            ConnectionError,
            match=f"it has ended, or its socket was removed: nobody listens at {path}; start one: scout-core up",
        ):
            delivered(collector, 1)
        assert 0 == collector.queries.health()["collector"]["reports"]


@pytest.mark.parametrize("has_socket", [True, False])
def test_another_program_at_the_port_of_a_killed_collector_gets_nothing(folder, has_socket):
    state = folder / "state"
    if not has_socket:
        state.mkdir(mode=0o700)
        (state / FILE_NAME).mkdir()
    with separate(folder) as collector:
        assert has_socket == (collector.address.private_socket is not None)
        sender = exporter(state)
        sender.export(report(end=time.time(), number=1))
        collector.process.kill()
        collector.process.wait(PATIENCE)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", collector.port))
        other.listen()
        with pytest.raises(ConnectionError, match="it has ended"):
            sender.export(report(end=time.time(), number=2))
        with pytest.raises(ScoutError, match="it has ended"):
            request_links(*find_dashboard(state))
        with pytest.raises(DashboardError, match="it has ended"):
            ask(read_config({"state_dir": str(state)}), HEALTH)
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.accept()

    with Collector.running(state_dir=state) as later:
        assert (later.url, False) == (getattr(locate(state), "url", None), getattr(locate(state), "has_ended", None))


def leave_socket(path: Path) -> None:
    """Leave a socket as a killed process does."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))


@pytest.mark.parametrize("what", ["socket", "file", "link", "dangling-link"])
def test_whatever_is_at_its_place_is_replaced_and_a_link_is_not_followed(folder, what):
    state, target = folder / "state", folder / "target"
    state.mkdir(mode=0o700)
    target.write_text("untouched")
    path = state / FILE_NAME
    if what == "socket":
        leave_socket(path)
    elif what == "file":
        path.write_text("something")
    else:
        path.symlink_to(target if what == "link" else folder / "nothing")

    with Collector.running(state_dir=state) as collector:
        assert str(path) == delivered(collector, 1)
        assert stat.S_ISSOCK(path.lstat().st_mode)
    assert ["target"] == sorted(found.name for found in folder.iterdir() if found != state)
    assert "untouched" == target.read_text()
    assert not os.path.lexists(path)


def test_a_directory_at_its_place_is_left_alone_and_health_shows_it(folder):
    path = folder / FILE_NAME
    path.mkdir()
    with Collector.running(state_dir=folder) as collector:
        assert collector.url == delivered(collector, 1)
        found, problem = shown(collector)
        text = visitor_of(collector).page("/health").text

    assert found is None
    assert problem.startswith("no private socket: ")
    assert f"Agents report over TCP; {problem}" in text
    assert [path] == [left for left in folder.iterdir() if left.name.startswith((".", "collector.sock"))]


def test_only_its_owner_removes_it(folder):
    path = folder / FILE_NAME
    with Collector.running(state_dir=folder):
        path.unlink()
        leave_socket(path)
    assert path.exists()


def test_a_path_that_is_too_long_is_replaced_by_a_short_private_directory(folder, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    state = folder / ("long" * 25) / "state"
    with Collector.running(state_dir=state) as collector:
        reached = delivered(collector, 1)
        assert reached is not None
        short = Path(reached).parent
        facts = short.lstat()

        assert folder / f"scout-core-{os.getuid()}" == short
        assert (0o700, os.geteuid()) == (stat.S_IMODE(facts.st_mode), facts.st_uid)
        assert reached == getattr(locate(state), "private_socket", None)
    assert [] == list(short.iterdir())


def test_a_short_directory_that_others_can_write_to_is_not_used(folder, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    shared = folder / f"scout-core-{os.getuid()}"
    shared.mkdir()
    shared.chmod(0o777)
    with Collector.running(state_dir=folder / ("long" * 25)) as collector:
        assert collector.url == delivered(collector, 1)
        assert "others can write to it" in shown(collector)[1]


def test_agents_do_not_wait_for_strangers(folder, monkeypatch):
    monkeypatch.setattr(open_files, "WANTED", Caps(tcp=4, private=4))
    with Collector.running(state_dir=folder, read_seconds=PATIENCE) as collector, ExitStack() as stack:
        for _ in range(60):
            stranger = stack.enter_context(socket.socket())
            stranger.setblocking(False)
            with suppress(BlockingIOError):
                stranger.connect(("127.0.0.1", collector.port))

        assert [str(folder / FILE_NAME)] * 8 == [delivered(collector, number) for number in range(1, 9)]
