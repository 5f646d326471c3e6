"""Every reader of the announcement: with anything else in its place there is one clear error, never a traceback or a wrong address."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from scout_core.builtin.collector import CollectorExporter
from scout_core.cli.dashboard import DashboardError, ask
from scout_core.config.config import Config, read_config
from scout_core.errors import NoReceiver, ScoutError
from scout_core.private_files import write_private
from scout_core.sending.asking import read_login_token
from scout_core.sending.protocol import HEALTH, LOGIN_FILE
from scout_core.sending.rendezvous import FILE_NAME, UnreadableAnnouncement, describe_absence, locate
from tests.workbench import sample_report

GOOD = {"url": "http://127.0.0.1:1", "token": "t" * 43, "pid": 1}


def changed(**facts: object) -> bytes:
    return json.dumps({**GOOD, **facts}).encode()


UNREADABLE = {
    "url: no end of the address": changed(url="http://[::1"),
    "url: port above 65535": changed(url="http://127.0.0.1:99999"),
    "url: port 0": changed(url="http://127.0.0.1:0"),
    "url: port of letters": changed(url="http://127.0.0.1:x"),
    "url: port of other digits": changed(url="http://127.0.0.1:\u0661\u0662"),
    "url: no port": changed(url="http://127.0.0.1"),
    "url: a space": changed(url="http://127.0.0.1:7600 "),
    "url: a null character": changed(url="http://127.0.0.1:76\0"),
    "url: a line end": changed(url="http://127.0.0.1:7600\n"),
    "url: a header": changed(url="http://127.0.0.1:7600/\r\nX: y"),
    "url: a path": changed(url="http://127.0.0.1:7600/x"),
    "url: a surrogate": changed(url="http://127.0.0.1:7600/\ud800"),
    "url: another machine": changed(url="http://192.0.2.1:7600"),
    "url: another machine after a user": changed(url="http://127.0.0.1:7600@192.0.2.1:80"),
    "url: a host name": changed(url="http://localhost:7600"),
    "url: another scheme": changed(url="https://127.0.0.1:7600"),
    "url: a number": changed(url=7),
    "url: null": changed(url=None),
    "url: empty": changed(url=""),
    "url: missing": json.dumps({"token": "t", "pid": 1}).encode(),
    "token: a line end": changed(token="a\r\nb"),
    "token: other letters": changed(token="t\u20ac"),
    "token: a list": changed(token=[1]),
    "token: null": changed(token=None),
    "token: empty": changed(token=""),
    "pid: text": changed(pid="1"),
    "pid: huge": changed(pid=10**30),
    "pid: 5,000 digits": b'{"url": "http://127.0.0.1:1", "token": "t", "pid": ' + b"9" * 5_000 + b"}",
    "pid: a fraction": changed(pid=1.5),
    "pid: not a number": changed(pid=float("nan")),
    "pid: true": changed(pid=True),
    "pid: 0": changed(pid=0),
    "private_socket: a number": changed(private_socket=7),
    "private_socket: a list": changed(private_socket=["/run/c.sock"]),
    "private_socket: a null character": changed(private_socket="/run/\0"),
    "private_socket: a surrogate": changed(private_socket="/run/\ud800"),
    "text": b"hello",
    "nothing": b"",
    "half": changed()[:-5],
    "a list": b"[]",
    "not text": b"\xff\xfe\0",
    "deep": b"[" * 60_000,
    "10 MB": b"x" * 10_000_000,
    "10 MB of JSON": changed(more="x" * 10_000_000),
}

UNTRUSTED = {
    "a directory": lambda path: path.mkdir(mode=0o700),
    "a link": lambda path: path.symlink_to(path.parent / "elsewhere"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a pipe": lambda path: os.mkfifo(path, mode=0o600),
    "others may read": lambda path: (path.write_bytes(changed()), path.chmod(0o644)),
    "others may write": lambda path: (path.write_bytes(changed()), path.chmod(0o620)),
}


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    write_private(tmp_path / LOGIN_FILE, "l" * 43)
    (tmp_path / "elsewhere").write_bytes(changed())
    (tmp_path / "elsewhere").chmod(0o600)
    return tmp_path


def config_of(state_dir: Path) -> Config:
    return read_config({"state_dir": str(state_dir)}, environment={})


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
def test_an_announcement_with_anything_else_in_it_is_one_clear_error(state_dir, content):
    path = state_dir / FILE_NAME
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(UnreadableAnnouncement) as located:
        locate(state_dir)
    with pytest.raises(UnreadableAnnouncement) as exported:  # the report waits, and the failure is counted
        CollectorExporter(config_of(state_dir)).export(sample_report())
    with pytest.raises(DashboardError) as asked:
        ask(config_of(state_dir), HEALTH)
    text = str(located.value)

    assert text.startswith(f"{path} is not an announcement of a collector: ")
    assert text.endswith("; restart it: scout-core up")
    assert text.isprintable()
    assert len(text) < len(str(path)) + 300
    assert (text, f"cannot read the announcement of a collector: {text}") == (str(exported.value), str(asked.value))


@pytest.mark.parametrize("make", UNTRUSTED.values(), ids=UNTRUSTED)
def test_an_announcement_that_is_not_trusted_is_named_with_the_reason(state_dir, make):
    path = state_dir / FILE_NAME
    make(path)
    with pytest.raises(NoReceiver) as exported:
        CollectorExporter(config_of(state_dir)).export(sample_report())
    with pytest.raises(DashboardError) as asked:
        ask(config_of(state_dir), HEALTH)
    text = describe_absence(state_dir)

    assert None is locate(state_dir)
    assert text.startswith(f"the announcement {path} is not trusted: ")
    assert text.endswith("; move it away, and restart the collector: scout-core up")
    assert [text, text] == [str(exported.value), str(asked.value)]


def test_an_announcement_of_another_user_is_named_with_the_reason(state_dir, monkeypatch):
    path = state_dir / FILE_NAME
    path.write_bytes(changed())
    path.chmod(0o600)
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)

    assert None is locate(state_dir)
    assert f"the announcement {path} is not trusted: it belongs to another user; move it away" in describe_absence(
        state_dir
    )


def test_without_an_announcement_the_next_step_is_to_start_a_collector(state_dir):
    expected = f"no collector has announced itself in {state_dir}; start one with: scout-core up"

    assert expected == describe_absence(state_dir)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://[::1]:65535"])
def test_both_loopback_addresses_are_accepted(state_dir, url):
    write_private(state_dir / FILE_NAME, changed(url=url, private_socket="/run/\xe4.sock", more=[1]).decode())

    assert url == getattr(locate(state_dir), "url", None)


# the login token


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "it is missing, empty, or other users can read it"),
        (b"\xff\xfe", "it is missing, empty, or other users can read it"),
        (b"a\r\nX: y", "it is not a line of ASCII characters"),
        ("t\u20ac".encode(), "it is not a line of ASCII characters"),
        (b"a\0b", "it is not a line of ASCII characters"),
        (None, "it is a directory"),
    ],
)
def test_a_login_token_that_cannot_be_used_is_one_clear_error(state_dir, content, reason):
    path = state_dir / LOGIN_FILE
    write_private(state_dir / FILE_NAME, changed().decode())
    path.unlink()
    if content is None:
        path.mkdir()
    else:
        write_private(path, "")
        path.write_bytes(content)
    expected = f"cannot use the login token {path}: {reason}; restart the dashboard: scout-core up"
    with pytest.raises(ScoutError) as read:
        read_login_token(state_dir)
    with pytest.raises(DashboardError) as asked:
        ask(config_of(state_dir), HEALTH)

    assert [expected, expected] == [str(read.value), str(asked.value)]
