"""A second ``scout-core up`` with the same state directory, in processes of their own."""

from __future__ import annotations

import os
import re
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from queue import Queue
from threading import Thread
from urllib.request import HTTPCookieProcessor, build_opener

import pytest
from test_up import PATIENCE, Up, refused, up, wait_for

from scout_core.sending.rendezvous import CollectorAddress, locate, withdraw
from scout_dashboard.collector import Collector
from scout_dashboard.errors import AlreadyRunning

APP = """
import sys
import scout_core

with scout_core.transaction("Job/app.once"):
    print("ran")
sys.exit(7)
"""
PATIENT_APP = """
import pathlib, sys, time
import scout_core

name = sys.argv[1]
number = 0
until = time.monotonic() + 60  # also if the test has failed, and nobody ends it
pathlib.Path(f"{name}-ready").touch()
while not pathlib.Path(f"{name}-end").exists() and time.monotonic() < until:
    number += 1
    with scout_core.transaction("Job/app.often"):
        pass
    time.sleep(0.01)
print(number)
sys.exit(9)
"""
LONG_PATIENCE = 180.0
"""Ten processes start at once, perhaps on a machine with one processor."""
LINK = re.compile(r"^Dashboard  (http://\S+)", re.MULTILINE)


@pytest.fixture
def app(tmp_path: Path) -> tuple[str, ...]:
    """The end of a command line with an application that records one job and exits with 7."""
    (tmp_path / "app.py").write_text(APP)
    return "--", sys.executable, "app.py"


@pytest.fixture
def patient_app(tmp_path: Path) -> tuple[str, ...]:
    """The same with one that records until a file exists, prints the number, and exits with 9; its name comes next."""
    (tmp_path / "patient.py").write_text(PATIENT_APP)
    return "--", sys.executable, "patient.py"


def finished(running: Up) -> tuple[int, str, str]:
    """Wait for the end; return exit code, standard output and error."""
    out, err = running.process.communicate(timeout=LONG_PATIENCE)
    return running.process.returncode, out, err


def counted(running: Up, name: str) -> int:
    """Return the number of transactions of a name."""
    return sum(row["count"] for row in running.ask("jobs?range=1h")["rows"] if row["name"] == name)


def is_open(link: str) -> bool:
    """Follow the link at the loopback address, whatever this system knows of names below localhost."""
    with build_opener(HTTPCookieProcessor()).open(link, timeout=10) as answer:
        return answer.status == 200


def test_an_application_joins_the_running_dashboard_and_leaves_it_running(tmp_path, app):
    with up(tmp_path) as first:
        announced = (tmp_path / "state" / "collector.json").read_bytes()
        with up(tmp_path, "--address", "ip", *app, any_port=False) as second:
            code, out, err = finished(second)
        wait_for(lambda: counted(first, "Job/app.once") == 1)
        link = LINK.search(err)

        assert (7, "ran\n") == (code, out)
        assert f"Joined     the collector with pid {first.process.pid} at {first.address.url}, started" in err
        assert "did not start" not in err
        assert link is not None
        assert link[1].startswith(first.address.url)
        assert is_open(link[1])
        assert announced == (tmp_path / "state" / "collector.json").read_bytes()
        assert (0, "") == first.end()[::2]


def test_without_an_application_it_prints_how_to_open_the_running_dashboard(tmp_path):
    with up(tmp_path) as first:
        address = first.address
        with up(tmp_path, "--address", "ip", any_port=False) as second:
            code, out, err = finished(second)
        link = LINK.search(out)

        assert (0, "") == (code, err)
        assert link is not None
        assert is_open(link[1])
        assert f"Running    the collector with pid {first.process.pid} at {address.url}, started" in out
        assert f"kill {first.process.pid}" in out
        assert str(tmp_path / "state" / "data") in out
        assert address == locate(tmp_path / "state")


def test_options_that_the_running_dashboard_does_not_have_are_an_error_but_not_for_an_application(tmp_path, app):
    with up(tmp_path) as first:
        address = first.address
        expected = {
            ("--port", "7"): f"it listens on port {address.url.rpartition(':')[2]}",
            ("--data-dir", str(tmp_path / "other")): f"its data is in {tmp_path / 'state' / 'data'}",
            ("--host", "::1"): "it listens on 127.0.0.1",
            ("--retention-days", "5"): "it keeps metrics for 30 days",
            ("--trace-retention-days", "4"): "it keeps traces for 7 days",
        }
        options = [text for option in expected for text in option]
        with up(tmp_path, *options, any_port=False) as second, up(tmp_path, *options, *app, any_port=False) as third:
            code, out, err = finished(second)
            joined = finished(third)

        assert (1, "", 1) == (code, out, err.count("\n"))
        assert f"pid {first.process.pid} at {address.url}" in err
        assert "stop it first, or choose another directory with --state-dir" in err
        assert (7, "ran\n") == joined[:2]
        for (option, value), instead in expected.items():
            assert f"{option} {value} cannot be used, because {instead}" in err
            assert f"{option} {value} is ignored: a dashboard is running already, and {instead}\n" in joined[2]
        assert not (tmp_path / "other").exists()
        assert first.health()


def test_the_options_of_the_running_dashboard_can_be_repeated(tmp_path):
    options = ("--data-dir", str(tmp_path / "d"), "--retention-days", "5", "--trace-retention-days", "2")
    with up(tmp_path, *options) as first, up(tmp_path, *options) as second:
        assert (0, "") == finished(second)[::2]
        assert first.health()


def test_another_data_directory_in_the_configuration_is_reported(tmp_path, app):
    env = {"SCOUT_DASHBOARD_DATA_DIR": str(tmp_path / "configured")}
    with up(tmp_path), up(tmp_path, *app, env=env) as second:
        code, out, err = finished(second)

    assert (7, "ran\n") == (code, out)
    assert f"data-dir {tmp_path / 'configured'} of the configuration is ignored" in err
    assert f"its data is in {tmp_path / 'state' / 'data'}" in err


def second_process(running: Up) -> dict:
    """Return the facts of the process of the second application."""
    return next(
        (it for it in running.health()["processes"] if it["app"] == "second"), {"reports": {"has_ended": False}}
    )


@pytest.mark.parametrize("is_killed", [False, True])
def test_when_the_dashboard_ends_the_joined_application_continues_and_its_reports_wait(
    tmp_path, patient_app, is_killed
):
    env = {"SCOUT_REPORT_PERIOD": "0.5", "SCOUT_NAME": "second"}
    with up(tmp_path, *patient_app, "first") as first:
        wait_for((tmp_path / "first-ready").exists, alive=first.process)
        with up(tmp_path, *patient_app, "second", env=env) as second:
            wait_for((tmp_path / "second-ready").exists, alive=second.process)
            wait_for(lambda: counted(first, "Job/app.often"))
            if is_killed:
                first.process.kill()
                first.process.wait(PATIENCE)
            else:
                (tmp_path / "first-end").touch()
                assert 9 == finished(first)[0]
            lines = iter(second.process.stderr.readline, "")
            assert any("has ended; the application continues, and its reports wait" in line for line in lines)
            assert second.process.poll() is None
            with up(tmp_path, ready=False) as third:
                wait_for(lambda: third.address.pid == third.process.pid, alive=third.process)
                (tmp_path / "first-end").touch()
                (tmp_path / "second-end").touch()
                code, out, _ = finished(second)
                assert 9 == code
                wait_for(lambda: second_process(third)["reports"]["has_ended"])
                facts = second_process(third)

    assert int(out) == facts["counters"]["collector"]["finished"]
    assert {} == facts["counters"]["collector"]["dropped"]
    assert 0 == facts["reports"]["missing"]


def test_a_killed_dashboard_is_replaced(tmp_path):
    with up(tmp_path) as first:
        old = first.address
        first.end(signal.SIGKILL)
    assert old == locate(tmp_path / "state")
    with up(tmp_path, ready=False) as second:
        wait_for(lambda: locate(tmp_path / "state") != old, alive=second.process)
        assert second.process.pid == second.address.pid
        assert second.health()
        assert (0, "") == second.end()[::2]
    assert locate(tmp_path / "state") is None


def start_together(tmp_path: Path, stack: ExitStack, *arguments: str, count: int = 10) -> list[Up]:
    return [stack.enter_context(up(tmp_path, *arguments, ready=False)) for _ in range(count)]


def test_of_ten_at_once_one_serves_and_nine_join(tmp_path):
    with ExitStack() as stack:
        started = start_together(tmp_path, stack)
        ended: Queue[Up] = Queue()
        for it in started:
            Thread(target=lambda it=it: (it.process.wait(), ended.put(it))).start()
        joining = {ended.get(timeout=LONG_PATIENCE).process.pid for _ in range(9)}
        [serving] = [it for it in started if it.process.pid not in joining]
        joined = [finished(it) for it in started if it is not serving]
        address = serving.address

        assert serving.process.pid == address.pid
        assert {(0, "")} == {it[::2] for it in joined}
        assert [True] * 9 == [
            f"Running    the collector with pid {address.pid} at {address.url}" in it[1] for it in joined
        ]
        assert serving.health()
        assert (0, "") == serving.end()[::2]


def test_of_ten_applications_at_once_all_run_and_one_has_the_dashboard(tmp_path, patient_app):
    with ExitStack() as stack:
        started = start_together(tmp_path, stack, *patient_app, "any")
        joined = "Joined     "
        (tmp_path / "any-end").touch()
        ended = [finished(it) for it in started]

    assert {9} == {it[0] for it in ended}
    assert [] == [it[2] for it in ended if "did not start" in it[2]]
    assert 1 <= sum(joined not in it[2] for it in ended)
    assert locate(tmp_path / "state") is None


def test_a_dashboard_that_does_not_answer_is_named_and_the_application_runs(tmp_path, app):
    with up(tmp_path) as first:
        pid = first.address.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            with up(tmp_path, ready=False) as second, up(tmp_path, *app, ready=False) as third:
                code, _, err = finished(second)
                joined = finished(third)
        finally:
            os.kill(pid, signal.SIGCONT)

        assert 1 == code
        assert f"does not answer; to stop it: kill {pid}" in err
        assert (7, "ran\n") == joined[:2]
        assert "does not answer; reports wait until it does" in joined[2]


def test_a_second_collector_is_refused_and_the_first_stays_announced(tmp_path):
    with Collector.running(state_dir=tmp_path / "state") as first:
        with pytest.raises(AlreadyRunning, match=rf"pid {os.getpid()} at {first.url}, started .*--state-dir") as caught:
            Collector(state_dir=tmp_path / "state", data_dir=tmp_path / "other", port=0)
        address = locate(tmp_path / "state")

    assert caught.value.holder is not None
    assert (first.url, str(first.store.directory)) == (caught.value.holder.url, caught.value.holder.data_dir)
    assert address is not None
    assert address.url == first.url
    assert not (tmp_path / "other").exists()


def test_only_its_owner_withdraws_an_announcement(tmp_path):
    with Collector.running(state_dir=tmp_path / "state") as running:
        for other in (("http://127.0.0.1:1", running.token, os.getpid()), (running.url, running.token, 1)):
            url, token, pid = other
            withdraw(tmp_path / "state", CollectorAddress(url=url, token=token, pid=pid))

        assert locate(tmp_path / "state") is not None
    assert locate(tmp_path / "state") is None


def test_a_collector_without_room_for_its_data_leaves_the_state_directory_to_the_next(tmp_path):
    """The lock is released whatever fails."""
    (tmp_path / "file").write_text("")
    assert 1 == refused(tmp_path, "--data-dir", str(tmp_path / "file" / "data"))[0]
    with up(tmp_path) as running:
        assert running.health()


def test_a_command_that_watches_does_not_keep_the_state_directory(tmp_path, patient_app):
    with up(tmp_path) as first, up(tmp_path, *patient_app, "second") as second:
        wait_for((tmp_path / "second-ready").exists, alive=second.process)
        assert 0 == first.end()[0]
        with up(tmp_path, ready=False) as third:
            assert third.process.pid == third.address.pid
        (tmp_path / "second-end").touch()
        assert 9 == finished(second)[0]
