"""How agents find the collector that announced itself, and the private files for it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import socket
import stat
import threading

import pytest

from scout_core.errors import ScoutError
from scout_core.private_files import (
    directory_problem,
    is_writable_by_anyone,
    private_directory,
    read_private,
    write_private,
)
from scout_core.sending.rendezvous import (
    FILE_NAME,
    LOCK_NAME,
    CollectorAddress,
    UnreadableAnnouncement,
    announce,
    discard,
    locate,
    withdraw,
)

ADDRESS = CollectorAddress(url="http://127.0.0.1:7600", token="secret of the collector", pid=4711)


@pytest.fixture
def state_dir(tmp_path):
    return tmp_path / "state" / "scout-core"


def mode_of(path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def next_descriptor() -> int:
    descriptor = os.dup(0)
    os.close(descriptor)
    return descriptor


def test_agents_find_the_collector_that_announced_itself(state_dir):
    announce(state_dir, ADDRESS)

    assert ADDRESS == locate(state_dir)


def test_no_collector_is_found_before_an_announcement(state_dir):
    assert None is locate(state_dir)


def test_the_file_and_its_directory_are_private(state_dir):
    announce(state_dir, ADDRESS)

    assert 0o700 == mode_of(state_dir)
    assert 0o600 == mode_of(state_dir / FILE_NAME)
    assert [FILE_NAME] == os.listdir(state_dir), "no temporary file is left"


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_the_umask_does_not_change_the_mode(state_dir, umask):
    state_dir.parent.mkdir()
    state_dir.mkdir(mode=0o700)
    before = os.umask(umask)
    try:
        announce(state_dir, ADDRESS)
    finally:
        os.umask(before)

    assert 0o600 == mode_of(state_dir / FILE_NAME)
    assert ADDRESS == locate(state_dir)


def test_a_later_collector_replaces_the_announcement(state_dir):
    later = CollectorAddress(url="http://127.0.0.1:7601", token="other", pid=1)
    announce(state_dir, ADDRESS)
    announce(state_dir, later)

    withdraw(state_dir, ADDRESS)

    assert later == locate(state_dir), "a collector that was replaced does not withdraw the announcement of another"


def test_a_collector_that_ends_withdraws_its_announcement(state_dir):
    announce(state_dir, ADDRESS)

    withdraw(state_dir, ADDRESS)
    withdraw(state_dir, ADDRESS)

    assert None is locate(state_dir)
    assert [] == os.listdir(state_dir)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602])
def test_a_file_that_others_can_read_or_write_is_not_trusted(state_dir, mode):
    announce(state_dir, ADDRESS)
    (state_dir / FILE_NAME).chmod(mode)

    assert None is locate(state_dir)


def test_a_file_of_another_user_is_not_trusted(state_dir, monkeypatch):
    announce(state_dir, ADDRESS)
    other_user = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other_user)

    assert None is locate(state_dir)


def test_a_link_is_not_followed(state_dir, tmp_path):
    write_private(tmp_path / "elsewhere", json.dumps({"url": "http://evil", "token": "t", "pid": 1}))
    private_directory(state_dir)
    (state_dir / FILE_NAME).symlink_to(tmp_path / "elsewhere")

    assert None is locate(state_dir)


def test_a_named_pipe_in_place_of_the_file_is_not_read(state_dir):
    private_directory(state_dir)
    os.mkfifo(state_dir / FILE_NAME, mode=0o600)

    assert None is locate(state_dir)


def test_a_directory_in_place_of_the_file_is_ignored(state_dir):
    before = next_descriptor()
    private_directory(state_dir)
    (state_dir / FILE_NAME).mkdir(mode=0o700)

    assert None is locate(state_dir)
    assert before == next_descriptor(), "no descriptor is left open"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        '"text"',
        '{"url": "http://127.0.0.1", "token": "t"}',
        '{"url": "http://127.0.0.1", "token": "t", "pid": "many"}',
        '{"url": "http://127.0.0.1", "token": "t", "pid": Infinity}',
        '{"url": "http://127.0.0.1", "token": "t", "pid": [1]}',
        "[" * 60_000,
    ],
)
def test_an_invalid_announcement_is_an_error_not_an_absence(state_dir, text):
    """As after a crash in the middle of writing: a collector is there."""
    write_private(private_directory(state_dir) / FILE_NAME, text)

    with pytest.raises(UnreadableAnnouncement, match="is not an announcement of a collector: .*; restart it"):
        locate(state_dir)


def test_an_announcement_that_is_not_text_is_an_error(state_dir):
    write_private(private_directory(state_dir) / FILE_NAME, "x")
    (state_dir / FILE_NAME).write_bytes(b"\xff\xfe\x00")

    with pytest.raises(UnreadableAnnouncement):
        locate(state_dir)


def test_a_private_file_that_is_not_text_is_not_used(state_dir):
    write_private(private_directory(state_dir) / FILE_NAME, "x")
    (state_dir / FILE_NAME).write_bytes(b"\xff\xfe\x00")

    assert None is read_private(state_dir / FILE_NAME)


TEMPORARY = (
    errno.EMFILE,
    errno.ENFILE,
    errno.EIO,
    errno.EACCES,
    errno.EPERM,
    errno.ENOMEM,
    errno.ESTALE,
    errno.ETIMEDOUT,
)
ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG)


def failing(number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("function", ["open", "fstat"])
@pytest.mark.parametrize("number", TEMPORARY, ids=[errno.errorcode[number] for number in TEMPORARY])
def test_an_error_is_not_an_absence(state_dir, monkeypatch, number, function):
    announce(state_dir, ADDRESS)
    before = next_descriptor()
    with monkeypatch.context() as patched:
        patched.setattr(os, function, failing(number))
        with pytest.raises(OSError, match=".") as caught:
            locate(state_dir)

    assert number == caught.value.errno
    assert before == next_descriptor(), "no descriptor is left open"
    assert ADDRESS == locate(state_dir)


@pytest.mark.parametrize("number", ABSENT, ids=[errno.errorcode[number] for number in ABSENT])
def test_no_such_file_is_an_absence(state_dir, monkeypatch, number):
    monkeypatch.setattr(os, "open", failing(number))

    assert None is locate(state_dir)


def test_a_directory_that_vanished_or_is_a_file_is_an_absence(state_dir):
    announce(state_dir, ADDRESS)
    shutil.rmtree(state_dir)
    assert None is locate(state_dir)

    state_dir.write_text("a file", encoding="utf-8")
    assert None is locate(state_dir)


def test_a_socket_in_place_of_the_file_is_an_absence(tmp_path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / FILE_NAME))

        assert None is locate(tmp_path)


def test_an_announcement_that_cannot_be_read_is_not_withdrawn(state_dir, monkeypatch):
    announce(state_dir, ADDRESS)
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", failing(errno.EMFILE))
        withdraw(state_dir, ADDRESS)

    assert ADDRESS == locate(state_dir)


def test_fields_that_only_a_later_version_knows_are_ignored(state_dir):
    facts = {"url": ADDRESS.url, "token": ADDRESS.token, "pid": ADDRESS.pid, "later": [1]}
    write_private(private_directory(state_dir) / FILE_NAME, json.dumps(facts))

    assert ADDRESS == locate(state_dir)


def test_at_most_64_kib_are_read(state_dir):
    path = private_directory(state_dir) / FILE_NAME
    write_private(path, "x" * 100_000)

    assert "x" * 65_536 == read_private(path)


def test_a_reader_gets_the_old_or_the_new_announcement_and_never_a_part(state_dir):
    addresses = [CollectorAddress(url=f"http://127.0.0.1:{port}", token="t" * 20_000, pid=port) for port in (1, 2)]
    announce(state_dir, addresses[0])
    is_over = threading.Event()

    def announce_repeatedly(address):
        while not is_over.is_set():
            announce(state_dir, address)

    writers = [threading.Thread(target=announce_repeatedly, args=(address,)) for address in addresses]
    for writer in writers:
        writer.start()
    try:
        located = {locate(state_dir) for _ in range(500)}
    finally:
        is_over.set()
        for writer in writers:
            writer.join()

    assert located <= set(addresses)
    assert [FILE_NAME] == os.listdir(state_dir)


def test_a_text_that_cannot_be_written_leaves_the_file_unchanged(state_dir):
    path = private_directory(state_dir) / FILE_NAME
    write_private(path, "before")

    with pytest.raises(UnicodeEncodeError):
        write_private(path, "\ud800")

    assert "before" == read_private(path)
    assert [FILE_NAME] == os.listdir(state_dir)


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_directory_that_others_can_write_to_is_refused(state_dir, mode):
    private_directory(state_dir).chmod(mode)

    with pytest.raises(ScoutError, match=f"others can write to it; run: chmod 700 {state_dir}"):
        announce(state_dir, ADDRESS)


def test_a_shared_temporary_directory_is_refused_without_the_advice_to_take_it_from_the_others(state_dir):
    private_directory(state_dir).chmod(0o1777)

    with pytest.raises(ScoutError) as caught:
        private_directory(state_dir)

    assert f"cannot use {state_dir}: others can write to it; choose another with SCOUT_STATE_DIR" == str(caught.value)


def test_a_directory_that_its_owner_cannot_write_to_is_refused(state_dir, monkeypatch):
    private_directory(state_dir)
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)  # root may write to everything

    with pytest.raises(ScoutError, match="it is not writable; choose another with SCOUT_STATE_DIR"):
        private_directory(state_dir)


@pytest.mark.parametrize(
    ("mode", "kind"), [(None, None), (0o700, None), (0o755, None), (0o770, "writable-by-others"), (0o702, "writable-by-others")]
)  # fmt: skip
def test_a_directory_is_examined_without_being_created(state_dir, mode, kind):
    if mode is not None:
        private_directory(state_dir).chmod(mode)

    problem = directory_problem(state_dir)

    assert (kind, mode is not None) == (problem.kind if problem else None, state_dir.exists())


@pytest.mark.parametrize(("mode", "expected"), [(0o600, False), (0o664, False), (0o602, True), (0o666, True)])
def test_a_file_that_anyone_can_change_is_found(tmp_path, mode, expected):
    (tmp_path / "settings").write_text("", encoding="utf-8")
    (tmp_path / "settings").chmod(mode)

    assert (expected, False) == (is_writable_by_anyone(tmp_path / "settings"), is_writable_by_anyone(tmp_path / "none"))


def test_a_directory_of_another_user_is_refused(state_dir, monkeypatch):
    private_directory(state_dir)
    other_user = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other_user)

    with pytest.raises(ScoutError, match="it belongs to another user; choose another with SCOUT_STATE_DIR"):
        private_directory(state_dir)


def test_a_link_to_a_directory_is_refused(state_dir, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    state_dir.parent.mkdir()
    state_dir.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ScoutError, match="it is not a directory of its own"):
        private_directory(state_dir)


def test_a_file_in_place_of_the_directory_is_refused(state_dir):
    state_dir.parent.mkdir()
    state_dir.write_text("x", encoding="utf-8")

    with pytest.raises(ScoutError, match="cannot use .*File exists; choose another with SCOUT_STATE_DIR"):
        private_directory(state_dir)


@pytest.mark.parametrize("value, expected", [("/run/c.sock", "/run/c.sock"), ("", None), (None, None)])
def test_a_private_socket_may_be_missing(tmp_path, value, expected):
    facts = {"url": "http://127.0.0.1:7600", "token": "t", "pid": 1, "private_socket": value}
    write_private(private_directory(tmp_path / "state") / FILE_NAME, json.dumps(facts))

    assert expected == locate(tmp_path / "state").private_socket


def test_an_announcement_of_an_earlier_collector_has_no_private_socket(tmp_path):
    facts = {"url": "http://127.0.0.1:7600", "token": "t", "pid": 1}
    write_private(private_directory(tmp_path / "state") / FILE_NAME, json.dumps(facts))

    assert CollectorAddress(**facts) == locate(tmp_path / "state")


# the lock of the collector that announced itself


def lock_of(state_dir):
    handle = os.open(state_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def test_a_collector_that_does_not_hold_its_lock_any_more_has_ended(state_dir):
    announce(state_dir, ADDRESS)
    handle = lock_of(state_dir)
    before = locate(state_dir).has_ended
    os.close(handle)

    assert (False, True) == (before, locate(state_dir).has_ended)
    os.close(lock_of(state_dir))  # to look at it does not lock it


def test_a_collector_without_a_lock_file_has_not_ended(state_dir):
    announce(state_dir, ADDRESS)

    assert not locate(state_dir).has_ended


@pytest.mark.parametrize("what", ["directory", "link", "pipe"])
def test_something_else_in_place_of_the_lock_is_no_evidence(state_dir, tmp_path, what):
    announce(state_dir, ADDRESS)
    path = state_dir / LOCK_NAME
    if what == "link":
        (tmp_path / "elsewhere").touch()
        path.symlink_to(tmp_path / "elsewhere")
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    before = next_descriptor()

    assert ADDRESS == locate(state_dir)
    assert not locate(state_dir).has_ended
    assert before == next_descriptor(), "no descriptor is left open"


def test_a_process_that_was_forked_while_the_lock_was_examined_does_not_keep_it(state_dir, monkeypatch):
    """The shared lock belongs to both; closing it in one would not release it."""
    announce(state_dir, ADDRESS)
    os.close(lock_of(state_dir))
    kept = []
    monkeypatch.setattr(os, "close", lambda handle, close=os.close: (kept.append(os.dup(handle)), close(handle)))
    assert locate(state_dir).has_ended
    monkeypatch.undo()
    handle = os.open(state_dir / LOCK_NAME, os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    for kept_open in (handle, *kept):
        os.close(kept_open)


def test_the_announcement_of_an_earlier_collector_is_discarded(state_dir):
    discard(state_dir)
    announce(state_dir, ADDRESS)
    discard(state_dir)
    assert None is locate(state_dir)
    (state_dir / FILE_NAME).mkdir()
    discard(state_dir)
