"""``scout-core open`` in its own process, against a running collector."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from visitor import Visitor, read

from scout_core.sending.protocol import LOGIN_FILE, LinkAnswer
from scout_core.sending.rendezvous import CollectorAddress, announce, locate
from scout_dashboard.collector import Collector
from scout_dashboard.opening import link_at

NOTE = "The link works once, within 5 minutes.\n"


def run_open(tmp_path: Path, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """Return exit code, standard output and error, on a machine without a desktop."""
    hidden = ("SCOUT_", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    done = subprocess.run(
        [sys.executable, "-m", "scout_core", "open", *arguments],
        cwd=tmp_path,
        env={**clean, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def path_of(link: str) -> str:
    return urlsplit(link.strip()).path


@pytest.mark.skipif(sys.platform == "darwin", reason="not on macOS: its default is the other address")
def test_it_prints_a_link_that_logs_in_once(collector, tmp_path):
    code, link, err = run_open(tmp_path, "--state-dir", str(tmp_path / "state"))
    visitor = Visitor(collector)

    assert (0, NOTE) == (code, err)
    assert link.startswith(f"{collector.access.addresses.by_name}/login/")
    assert [303, 410] == [visitor.ask(path_of(link), method="POST")[0] for _ in range(2)]


def test_it_finds_the_collector_as_an_agent_does(collector, tmp_path):
    code, link, _ = run_open(tmp_path, SCOUT_STATE_DIR=str(tmp_path / "state"))

    assert 0 == code
    assert 200 == Visitor(collector).ask(path_of(link).replace(f"/{collector.access.addresses.secret}", ""))[0]


@pytest.mark.parametrize("arguments, variables", [(("--address", "ip"), {}), ((), {"SCOUT_DASHBOARD_ADDRESS": "ip"})])
def test_it_can_print_a_link_with_the_ip_address(collector, tmp_path, arguments, variables):
    code, link, _ = run_open(tmp_path, *arguments, SCOUT_STATE_DIR=str(tmp_path / "state"), **variables)

    assert 0 == code
    assert link.startswith(f"{collector.url}/{collector.access.addresses.secret}/login/")


@pytest.mark.parametrize("arguments, is_opened", [((), True), (("--print",), False)])
def test_it_opens_the_browser_unless_the_link_is_only_printed(collector, tmp_path, arguments, is_opened):
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}\n')
    browser.chmod(0o700)
    variables = {"SCOUT_STATE_DIR": str(tmp_path / "state"), "BROWSER": f"{browser} %s"}
    code, link, err = run_open(tmp_path, *arguments, **variables)

    assert (0, NOTE) == (code, err)
    assert ([link.strip()] if is_opened else []) == [path.read_text() for path in (opened,) if path.exists()]


def test_without_a_collector_it_names_the_command_that_starts_one(tmp_path):
    code, out, err = run_open(tmp_path, "--state-dir", str(tmp_path / "state"))

    assert (1, "") == (code, out)
    assert (
        f"scout-core: no collector has announced itself in {tmp_path / 'state'}; start one with: scout-core up\n" == err
    )


def test_a_collector_that_has_ended_without_withdrawing_is_an_error(tmp_path):
    state = tmp_path / "state"
    with Collector.running(state_dir=state) as collector:
        address = CollectorAddress(url=collector.url, token=collector.token, pid=1)
    announce(state, address)

    code, out, err = run_open(tmp_path, "--state-dir", str(state))

    assert (1, "") == (code, out)
    assert err.startswith(f"scout-core: the dashboard at {address.url} does not answer: ")
    assert err.endswith("; start it: scout-core up\n")


def test_another_program_at_the_port_of_a_killed_collector_does_not_get_the_token(tmp_path):
    state = tmp_path / "state"
    with Collector.running(state_dir=state) as collector:
        ended = locate(state)
    assert ended is not None
    with socket.create_server(("127.0.0.1", collector.port)) as other:
        other.setblocking(False)
        announce(state, ended)
        code, out, err = run_open(tmp_path, "--state-dir", str(state))

        assert (1, "") == (code, out)
        assert "does not answer: it has ended: no process has its lock" in err
        with pytest.raises(BlockingIOError):
            other.accept()


@pytest.mark.parametrize("url", ["http://[::1", "http://127.0.0.1:99999"])
def test_an_announcement_that_cannot_be_used_is_one_line_that_names_it(tmp_path, url):
    state = tmp_path / "state"
    announce(state, CollectorAddress(url=url, token="x", pid=1))

    code, out, err = run_open(tmp_path, "--state-dir", str(state))

    assert (1, "") == (code, out)
    assert err.startswith(
        f"scout-core: {state / 'collector.json'} is not an announcement of a collector: its url is '{url}'"
    )
    assert [True] == [line.endswith("; restart it: scout-core up") for line in err.splitlines()]


def test_another_login_token_is_refused(collector, tmp_path):
    (tmp_path / "state" / LOGIN_FILE).write_text("x" * 43)

    code, out, err = run_open(tmp_path, "--state-dir", str(tmp_path / "state"))

    assert (1, "") == (code, out)
    assert f"scout-core: the dashboard at {collector.url} answered 401: send the token in the file {LOGIN_FILE}" in err


def test_the_login_token_stays_on_this_machine(collector, tmp_path):
    announce(tmp_path / "state", CollectorAddress(url="http://192.0.2.1:7600", token="x", pid=1))

    code, out, err = run_open(tmp_path, "--state-dir", str(tmp_path / "state"))

    assert (1, "") == (code, out)
    assert "its url is 'http://192.0.2.1:7600', not such as http://127.0.0.1:7600 on this machine; restart it" in err


def test_the_refusal_without_a_login_names_the_command(collector):
    page = read(Visitor(collector).ask("/")[2])

    assert "Please log in" in page.text
    assert "scout-core open" in page.text


def test_on_macos_the_default_is_the_address_that_safari_finds(monkeypatch):
    links = LinkAnswer(by_name="name", by_ip="ip", valid_seconds=300)
    chosen = {}
    for platform in ("linux", "darwin"):
        monkeypatch.setattr(sys, "platform", platform)
        chosen[platform] = [link_at(address, links) for address in ("", "name", "ip")]

    assert {"linux": ["name", "name", "ip"], "darwin": ["ip", "name", "ip"]} == chosen
