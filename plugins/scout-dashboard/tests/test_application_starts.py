"""``scout-core up -- COMMAND`` runs the command whatever keeps the dashboard from starting."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_up import PATIENCE, up

COMMAND = ("--", sys.executable, "-c", "print('ran'); raise SystemExit(7)")


def a_file(path: Path) -> None:
    path.write_text("")


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


def a_link_to_a_directory(path: Path) -> None:
    path.with_name("elsewhere").mkdir(mode=0o700)
    path.symlink_to("elsewhere")


def a_shared_directory(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


def run(tmp_path: Path, *options: str, **keywords: object) -> tuple[int, str, str]:
    """Return exit code, standard output and error of the command with the application."""
    with up(tmp_path, *options, *COMMAND, ready=False, **keywords) as running:  # type: ignore[arg-type]
        out, err = running.process.communicate(timeout=PATIENCE)
        return running.process.returncode, out, err


def assert_ran(ended: tuple[int, str, str], reason: str) -> None:
    code, out, err = ended

    assert (7, "ran\n") == (code, out)
    assert [reason in line for line in err.splitlines()] == [True, False], err
    assert "Traceback" not in err


@pytest.mark.parametrize("option", ["state-dir", "data-dir"])
@pytest.mark.parametrize(
    "spoil", [a_file, a_pipe, a_link_to_itself, a_link_to_nothing, a_link_to_a_directory, a_shared_directory]
)
def test_a_directory_that_cannot_be_used(tmp_path, option: str, spoil: Callable[[Path], None]):
    path = tmp_path / "state" if option == "state-dir" else tmp_path / "data"
    spoil(path)
    before = sorted(os.listdir(tmp_path))
    ended = run(tmp_path, *(("--data-dir", str(path)) if option == "data-dir" else ()))
    if (option, spoil) == ("data-dir", a_link_to_a_directory):
        assert ended[:2] == (7, "ran\n")
        assert "did not start" not in ended[2]
        return

    assert_ran(ended, f"the dashboard did not start: cannot use {path}: ")
    assert set(before) | {"state"} == {*os.listdir(tmp_path), "state"}


@pytest.mark.skipif(os.geteuid() != 0, reason="not on this account: only root can give a file away")
@pytest.mark.parametrize("name", ["state", "data"])
def test_a_directory_of_another_user(tmp_path, name):
    (tmp_path / name).mkdir()
    os.chown(tmp_path / name, 12345, 12345)
    ended = run(tmp_path, "--data-dir", str(tmp_path / "data"))

    assert_ran(ended, f"the dashboard did not start: cannot use {tmp_path / name}: it belongs to another user; ")


@pytest.mark.parametrize("place", ["state/announcement.lock", "state/data/collector.lock"])
@pytest.mark.parametrize("spoil", [a_pipe, a_link_to_nothing, a_link_to_itself, Path.mkdir])
def test_a_lock_that_cannot_be_taken(tmp_path, place: str, spoil: Callable[[Path], None]):
    (tmp_path / "state" / "data").mkdir(parents=True)
    (tmp_path / "state").chmod(0o700)
    (tmp_path / "state" / "data").chmod(0o700)
    spoil(tmp_path / place)
    ended = run(tmp_path)

    assert_ran(ended, f"the dashboard did not start: cannot lock {tmp_path / place}: it is ")
    assert "; move it away; or choose another directory with --" in ended[2]
    assert not (tmp_path / "state" / "nothing").exists()


@pytest.mark.parametrize("name", ["collector.json", "dashboard-ingest-token"])
def test_a_directory_in_the_place_of_a_file(tmp_path, name):
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / name).mkdir()
    ended = run(tmp_path)

    assert_ran(
        ended,
        f"the dashboard did not start: cannot read or write {tmp_path / 'state' / name}: it is a directory; move it away",
    )
    assert [name] == [it for it in os.listdir(tmp_path / "state") if name in it]


def test_a_port_in_use(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run(tmp_path, "--port", str(port), any_port=False)

    assert_ran(ended, f"port {port} is in use by another program; choose another port")


def test_a_data_directory_of_another_dashboard(tmp_path):
    with up(tmp_path, state="first") as first:
        ended = run(tmp_path, "--data-dir", str(tmp_path / "first" / "data"))

        assert_ran(ended, f"is in use by the collector with pid {first.process.pid} at {first.address.url}, started")
        assert first.health()


@contextmanager
def small_disk(place: Path, *options: str) -> Iterator[None]:
    place.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", ",".join(("mode=700", *options)), "none", str(place)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("not on this system: mounting a tmpfs is not permitted")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="not on this account: only root can mount a file system")
def test_a_full_disk(tmp_path):
    """The state directory is on it, and standard error, too."""
    with small_disk(tmp_path / "state", "size=64k"):
        with (tmp_path / "state" / "ballast").open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
            while True:
                file.write(bytes(4_096))
        ended = run(tmp_path)
        log = tmp_path / "state" / "log"
        log.touch()
        quiet = run(tmp_path, before=("sh", "-c", f'exec "$@" 2>{log}', "sh"))

    assert_ran(ended, "the dashboard did not start: cannot read or write ")
    assert "No space left on device" in ended[2]
    assert (7, "ran\n", "") == quiet


@pytest.mark.skipif(os.geteuid() != 0, reason="not on this account: only root can mount a file system")
def test_a_disk_that_cannot_be_written_to(tmp_path):
    with small_disk(tmp_path / "state", "size=64k"):
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path / "state")], check=True)
        ended = run(tmp_path)

    assert_ran(ended, f"the dashboard did not start: cannot use {tmp_path / 'state'}: it is not writable; ")


@pytest.mark.parametrize("to", ["/dev/full", "&-"])
def test_a_standard_error_that_cannot_be_written_to(tmp_path, to):
    (tmp_path / "state").write_text("")

    assert (7, "ran\n", "") == run(tmp_path, before=("sh", "-c", f'exec "$@" 2>{to}', "sh"))


@pytest.mark.parametrize("name", ["uvicorn", "sqlite3"])
def test_a_library_that_cannot_be_imported(tmp_path, name):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / f"{name}.py").write_text("raise RuntimeError('it is broken')")
    ended = run(tmp_path, env={"PYTHONPATH": str(tmp_path / "broken")})

    assert_ran(ended, "the dashboard did not start: RuntimeError: it is broken")


def test_too_many_open_files(tmp_path):
    ended = run(tmp_path, before=("sh", "-c", 'ulimit -n 10; exec "$@"', "sh"))

    assert ended[:2] == (7, "ran\n"), ended
    assert 1 == ended[2].count("the dashboard did not start: "), ended
