"""``scout-core up`` in its own process, with real sockets and signals."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from threading import Thread
from urllib.request import Request, urlopen

import pytest
from attrs import define, evolve
from sample_reports import report, send

from scout_core.measuring.report import Report
from scout_core.sending.protocol import LOGIN_FILE
from scout_core.sending.rendezvous import CollectorAddress, locate
from scout_dashboard.access.addresses import ADDRESS_FILE
from scout_dashboard.store import Store

PATIENCE = 30.0
KILLS = 200 if os.environ.get("TEST_SIZE") == "full" else 4


@define
class Up:
    """A running command."""

    process: subprocess.Popen[str]
    state_dir: Path

    @property
    def address(self) -> CollectorAddress:
        """The address from its announcement."""
        return wait_for(lambda: locate(self.state_dir), alive=self.process)

    def health(self) -> dict:
        """Return the JSON of the health page."""
        return self.ask("health")

    def ask(self, path: str) -> dict:
        """Return an answer of the API."""
        token = (self.state_dir / LOGIN_FILE).read_text()
        with urlopen(
            Request(f"{self.address.url}/api/v1/{path}", headers={"Authorization": f"Bearer {token}"}), timeout=10
        ) as answer:
            return json.load(answer)

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Wait for the end; return exit code, standard output and error."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


@contextmanager
def up(
    tmp_path: Path,
    *arguments: str,
    state: str = "state",
    ready: bool = True,
    env: dict[str, str] | None = None,
    before: Sequence[str] = (),
    stdin: int | None = None,
    any_port: bool = True,
) -> Iterator[Up]:
    """
    Run the command with its own state directory; kill it at the end if it is still running.

    Args:
        any_port: use a free port unless the arguments name one, not the default that other programs may use.
    """
    state_dir = tmp_path / state
    command = [*before, sys.executable, "-m", "scout_core", "up", "--state-dir", str(state_dir)]
    command += ["--port", "0"] * any_port + [*arguments]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SCOUT_")}
    process = subprocess.Popen(
        command,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**clean, **(env or {})},
    )
    try:
        running = Up(process, state_dir)
        if ready:
            assert running.address
        yield running
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def refused(
    tmp_path: Path, *arguments: str, state: str = "state", env: dict[str, str] | None = None
) -> tuple[int, str]:
    """Return exit code and standard error of a command that does not start."""
    with up(tmp_path, *arguments, state=state, ready=False, env=env) as running:
        _, err = running.process.communicate(timeout=PATIENCE)
        return running.process.returncode, err


def wait_for(condition: Callable[[], object], *, alive: subprocess.Popen[str] | None = None):
    """Wait until the condition is true, and return its value."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = condition()
        if found:
            return found
        assert alive is None or alive.poll() is None, alive.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def test_it_prints_the_login_link_and_the_data_directory(tmp_path):
    with up(tmp_path) as running:
        url = running.address.url
        code, out, err = running.end()

    assert (0, "") == (code, err)
    port = url.rpartition(":")[2]
    assert re.search(rf"Dashboard  http://[a-z2-7]{{26}}\.localhost:{port}/login/[a-z2-7]{{26}}\n", out)
    assert (
        f"This link works once, within 5 minutes; for another one: scout-core open --state-dir {tmp_path / 'state'}\n"
        in out
    )
    assert str(tmp_path / "state" / "data") in out
    assert "metrics 30 days, traces 7 days" in out
    assert "Ctrl-C" in out


def test_it_opens_the_browser_with_a_link_of_its_own(tmp_path):
    """The printed link works for another browser, then."""
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.draft && mv {opened}.draft {opened}\n')
    browser.chmod(0o700)
    with up(tmp_path, "--open", "--address", "ip", env={"BROWSER": f"{browser} %s"}) as running:
        link = wait_for(opened.exists, alive=running.process) and opened.read_text()
        base = f"{running.address.url}/{(tmp_path / 'state' / ADDRESS_FILE).read_text()}/login/"
        code, out, err = running.end()

    assert (0, "") == (code, err)
    assert link.startswith(base)
    assert base in out
    assert link not in out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_shuts_it_down_within_two_seconds(tmp_path, number):
    with (
        up(tmp_path) as running,
        socket.create_connection(("127.0.0.1", int(running.address.url.rpartition(":")[2]))) as idle,
    ):
        assert 202 == send(running.address.url, running.address.token, report(end=time.time()))[0]
        started = time.monotonic()
        code, out, err = running.end(number)
        taken = time.monotonic() - started
        idle.close()

    assert (0, "") == (code, err)
    assert "Traceback" not in out
    assert taken < 2.5
    assert locate(tmp_path / "state") is None
    assert [] == [path.name for path in (tmp_path / "state" / "data").iterdir() if path.name.endswith(("-wal", "-shm"))]


def test_accepted_reports_survive_a_restart(tmp_path):
    sent = report(end=time.time())
    with up(tmp_path) as running:
        first = running.address
        assert 202 == send(first.url, first.token, sent)[0]
        running.end()
    with up(tmp_path) as running:
        assert (
            sum(metrics.count for metrics in sent.transactions if metrics.name.startswith("Controller/"))
            == running.ask("overview")["totals"]["count"]
        )
        assert first.token == running.address.token
        assert {"duplicate": True}.items() <= json.loads(send(running.address.url, first.token, sent)[1]).items()


def test_a_second_collector_of_a_data_directory_names_the_first(tmp_path):
    with up(tmp_path) as running:
        code, err = refused(tmp_path, "--data-dir", str(tmp_path / "state" / "data"), state="other")
        url, pid = running.address.url, running.process.pid

    assert 1 == code
    assert f"is in use by the collector with pid {pid} at {url}, started" in err
    assert (1, "scout-core: ") == (err.count("\n"), err[:12])


def test_the_data_directory_is_free_after_a_kill(tmp_path):
    with up(tmp_path) as running:
        running.end(signal.SIGKILL)
    (tmp_path / "state" / "collector.json").unlink()
    with up(tmp_path) as running:
        assert 202 == send(running.address.url, running.address.token, report(end=time.time()))[0]


def test_a_requested_port_in_use_is_an_error(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, err = refused(tmp_path, "--port", str(port))

    assert 2 == code
    assert f"port {port} is in use by another program" in err
    assert "Traceback" not in err


def test_an_unknown_option_is_not_taken_for_a_command(tmp_path):
    code, err = refused(tmp_path, "--prot", "7700")

    assert 2 == code
    assert (
        "No such option '--prot'. (Did you mean one of: '--host', '--port'?)" in err or "No such option: --prot" in err
    )


def test_a_requested_port_is_used(tmp_path):
    port = free_port()
    with up(tmp_path, "--port", str(port)) as running:
        assert f"http://127.0.0.1:{port}" == running.address.url


def test_two_collectors_without_a_port_option_get_different_ports(tmp_path):
    """One of them may use port 7600 if it is free."""
    with (
        up(tmp_path, state="first", any_port=False) as first,
        up(tmp_path, state="second", any_port=False) as second,
    ):
        assert first.address.url != second.address.url
        _, out, err = second.end()

    assert "port 7600 is in use by another program; using a free port" in err
    assert second.state_dir.name in out


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1"])
def test_other_machines_are_not_served(tmp_path, host):
    code, err = refused(tmp_path, "--host", host)

    assert (1, 1) == (code, err.count("\n"))
    assert f"cannot listen on {host}: the dashboard serves only this machine" in err


@pytest.mark.parametrize("option", ["--state-dir", "--data-dir"])
def test_a_directory_that_cannot_be_created_is_a_single_line_error(tmp_path, option):
    (tmp_path / "file").write_text("")
    code, err = refused(tmp_path, option, str(tmp_path / "file" / "data"))

    assert (1, 1) == (code, err.count("\n"))
    assert f"{tmp_path / 'file' / 'data'}: Not a directory" in err


def test_command_line_options_override_the_environment(tmp_path):
    env = {
        "SCOUT_DASHBOARD_RETENTION_DAYS": "5",
        "SCOUT_DASHBOARD_TRACE_RETENTION_DAYS": "2",
        "SCOUT_DASHBOARD_DATA_DIR": str(tmp_path / "d"),
    }
    with up(tmp_path, "--trace-retention-days", "3", env=env) as running:
        store = running.health()["store"]

    assert {"path": str(tmp_path / "d"), "retention_days": 5, "trace_retention_days": 3} == store


def test_values_out_of_range_are_reported_and_the_defaults_are_used(tmp_path):
    env = {
        "SCOUT_DASHBOARD_PORT": "70000",
        "SCOUT_DASHBOARD_RETENTION_DAYS": "-5",
        "SCOUT_DASHBOARD_TRACE_RETENTION_DAYS": "0",
    }
    with up(tmp_path, env=env, any_port=False) as running:
        store = running.health()["store"]
        _, _, err = running.end()

    assert (30, 7) == (store["retention_days"], store["trace_retention_days"])
    for option, value, most in (
        ("port", 70000, "0 to 65535"),
        ("retention_days", -5, "1 to 3650"),
        ("trace_retention_days", 0, "1 to 3650"),
    ):
        assert f"invalid value '{value}' for plugins.dashboard.{option} (environment " in err
        assert f"expected a whole number from {most}; using the default" in err


APP = """
import os, sys
from scout_core import span, transaction

print("out", os.environ["SCOUT_STATE_DIR"])
print("err", file=sys.stderr)
for n in range(20):
    with transaction("Controller/app.home", n=n):
        with span("SQL/Query", statement="SELECT name FROM user WHERE id = 7"):
            pass
sys.exit(3)
"""


def test_the_last_report_of_the_application_arrives(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    with up(tmp_path, "--", sys.executable, "app.py", ready=False) as running:
        out, err = running.process.communicate(timeout=PATIENCE)
        code = running.process.returncode
    store = Store(tmp_path / "state" / "data")
    counted = store.reader.rows(
        "metrics",
        "SELECT sum(count) FROM rollup JOIN series ON series = id WHERE level = 60 AND name = 'Controller/app.home'",
    )
    kept = store.reader.rows("traces", "SELECT name FROM trace")
    store.close()

    assert (3, f"out {tmp_path / 'state'}\n") == (code, out)
    assert {"err"} < set(err.splitlines())
    assert ".localhost:" in err
    assert "/login/" in err
    assert [(20,)] == counted
    assert [("Controller/app.home",)] == kept


WAITING = """
import pathlib, signal, sys

def ended(number, frame):
    print("got", number)
    sys.exit(7)

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, ended)
pathlib.Path("ready").touch()
signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_are_forwarded_to_the_application(tmp_path, number):
    (tmp_path / "app.py").write_text(WAITING)
    with up(tmp_path, "--", sys.executable, "app.py") as running:
        wait_for((tmp_path / "ready").exists, alive=running.process)
        code, out, _ = running.end(number)

    assert (7, f"got {int(number)}\n") == (code, out)
    assert locate(tmp_path / "state") is None


TERMINAL = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"


def test_ctrl_c_in_a_terminal_reaches_the_application_once(tmp_path):
    """The terminal sends SIGINT to both: the application shuts down, and its exit code becomes that of the command."""
    (tmp_path / "app.py").write_text(
        WAITING.replace("    sys.exit(7)\n", "    signal.alarm(1)\n").replace(
            "signal.pause()", "while True: signal.pause()"
        )
    )
    with up(
        tmp_path, "--", sys.executable, "-u", "app.py", before=[sys.executable, "-c", TERMINAL], stdin=subprocess.PIPE
    ) as running:
        wait_for((tmp_path / "ready").exists, alive=running.process)
        out, _ = running.process.communicate("\x03", timeout=PATIENCE)

    assert 1 == out.count("got 2")
    assert 128 + signal.SIGALRM == running.process.returncode


def test_it_stops_in_time_while_reports_are_in_progress(tmp_path):
    with up(tmp_path) as running:
        port = int(running.address.url.rpartition(":")[2])
        head = f"POST /api/v1/reports HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {running.address.token}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port)) as slow:
            slow.sendall(head.encode() + b"{")
            assert running.health()
            started = time.monotonic()
            code, _, err = running.end()
            taken = time.monotonic() - started

    assert (0, "") == (code, err)
    assert taken < 3


def test_the_exit_code_of_a_killed_application_is_that_of_a_shell(tmp_path):
    (tmp_path / "app.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    with up(tmp_path, "--", sys.executable, "app.py", ready=False) as running:
        running.process.communicate(timeout=PATIENCE)

    assert 137 == running.process.returncode


def test_an_unknown_command_is_a_single_line_error(tmp_path):
    with up(tmp_path, "--", "no-such-program-anywhere", ready=False) as running:
        _, err = running.process.communicate(timeout=PATIENCE)

    assert 127 == running.process.returncode
    assert err.endswith("scout-core: cannot run 'no-such-program-anywhere': No such file or directory\n")


def test_no_accepted_report_is_lost_by_a_kill(tmp_path, record_property):
    """Every report is sent again until it is accepted, across all kills; then each must be counted exactly once."""
    dice = random.Random(2026)
    now = time.time()
    waiting = [
        evolve(report(end=now - n, number=n + 1, traces=2), id=f"killed-{n}") for n in range(50 * min(KILLS, 20))
    ]
    everything, accepted = list(waiting), []
    reserved = 20
    for kill in range(KILLS + 1):
        with up(tmp_path) as running:
            address = running.address
            last = kill == KILLS
            until = time.monotonic() + (PATIENCE if last else dice.uniform(0.02, 0.35))
            while len(waiting) > (0 if last else reserved) and time.monotonic() < until:
                assert is_accepted(address, waiting[0])
                accepted.append(waiting.pop(0))
            if not last:
                kill_while_it_writes(running, waiting[:20])
                (tmp_path / "state" / "collector.json").unlink()
        assert {"ok"} == integrity(tmp_path / "state" / "data")
        assert {report.id for report in accepted} <= ids(tmp_path / "state" / "data")

    record_property("kills", f"{KILLS}, with {len(everything)} reports; every file intact, every report counted once")
    assert [] == waiting
    assert {report.id for report in everything} == ids(tmp_path / "state" / "data")
    assert {sum(metrics.count for report in everything for metrics in report.transactions) * 2} == counts(
        tmp_path / "state" / "data"
    )
    assert {trace.id for r in everything for trace in r.traces} == trace_ids(tmp_path / "state" / "data")


def is_accepted(address: CollectorAddress, report: Report) -> bool:
    return send(address.url, address.token, report)[0] == 202


def kill_while_it_writes(running: Up, reports: list[Report]) -> None:
    """Kill the command while reports are in progress; they are sent again later because their outcome is unknown."""
    address = running.address

    def post(report: Report) -> None:
        try:
            send(address.url, address.token, report)
        except (OSError, HTTPException):
            return  # killed before it responded

    threads = [Thread(target=post, args=(report,)) for report in reports]
    for thread in threads:
        thread.start()
    running.end(signal.SIGKILL)
    for thread in threads:
        thread.join()


def rows_of_files(data: Path, sql: str, pattern: str = "*.sqlite") -> list:
    found = []
    for path in sorted(data.glob(pattern)):
        connection = sqlite3.connect(path)
        found += connection.execute(sql).fetchall()
        connection.close()
    return found


def integrity(data: Path) -> set[str]:
    return {text for (text,) in rows_of_files(data, "PRAGMA integrity_check")}


def ids(data: Path) -> set[str]:
    return {text for (text,) in rows_of_files(data, "SELECT id FROM report", "metrics-*.sqlite")}


def trace_ids(data: Path) -> set[str]:
    return {text for (text,) in rows_of_files(data, "SELECT id FROM trace", "traces-*.sqlite")}


def counts(data: Path) -> set[int]:
    """Return the sum of all transactions, names and totals together; each coarser slice must have the sum of its minutes."""
    sql = """
        SELECT level, start, sum(count), (
            SELECT sum(count) FROM rollup minute
            WHERE minute.level = 60 AND minute.start >= slice.start AND minute.start < slice.start + slice.level
        ) FROM rollup slice GROUP BY level, start
    """
    rows = rows_of_files(data, sql, "metrics-*.sqlite")
    assert [] == [row for row in rows if row[2] != row[3]]
    return {sum(count for level, _, count, _ in rows if level == 60)}


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="not on this system: a limit for another process")
def test_a_full_disk_is_reported_and_recovers(tmp_path):
    """A limit on file size simulates a full disk: writes fail in the same place; compiled modules would be cut off for everybody."""
    with up(tmp_path, env={"PYTHONDONTWRITEBYTECODE": "1"}) as running:
        address = running.address
        before = report(end=time.time(), number=1)
        assert is_accepted(address, before)
        biggest = max(path.stat().st_size for path in (tmp_path / "state" / "data").iterdir())
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (biggest + 20_000, resource.RLIM_INFINITY))

        more = [evolve(report(end=time.time(), number=n, traces=10), id=f"full-{n}") for n in range(2, 40)]
        answers = [(report, *send(address.url, address.token, report)) for report in more]
        full = running.health()["collector"]
        shown = running.ask("overview")["totals"]["count"]
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        again = [is_accepted(address, report) for report, status, _ in answers if status == 507]
        recovered = running.health()["collector"]
        code, _, err = running.end()

    accepted = [before, *(report for report, status, _ in answers if status == 202)]
    refusals = [json.loads(body)["error"] for _, status, body in answers if status == 507]
    assert {202, 507} >= {status for _, status, _ in answers}
    assert len(refusals) > 5
    assert f"cannot write to {tmp_path / 'state' / 'data'}" in refusals[0]
    assert (len(refusals), True) == (full["rejected"]["store full"], "free some disk space" in full["problem"])
    assert web_count(accepted) == shown
    assert [True] * len(refusals) == again
    assert recovered["problem"] is None
    assert (0, "") == (code, err)
    assert {"ok"} == integrity(tmp_path / "state" / "data")
    assert {sum(metrics.count for report in [before, *more] for metrics in report.transactions) * 2} == counts(
        tmp_path / "state" / "data"
    )


def web_count(sent: list[Report]) -> int:
    return sum(
        metrics.count for report in sent for metrics in report.transactions if metrics.name.startswith("Controller/")
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="not on this account: only root can mount a file system")
def test_a_full_file_system_is_reported_and_recovers(tmp_path, record_property):
    """A tmpfs of three megabytes: SQLite cannot write, nor create its files."""
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "none", place], capture_output=True
    ).returncode:
        pytest.skip("not on this system: mounting a tmpfs is not permitted")
    try:
        ballast = place / "ballast"
        ballast.write_bytes(bytes(1_000_000))
        with up(tmp_path, "--data-dir", str(place / "data")) as running:
            address = running.address
            sent = [evolve(report(end=time.time(), number=n, traces=10), id=f"full-{n}") for n in range(1, 200)]
            answers = [(report, send(address.url, address.token, report)[0]) for report in sent]
            full = running.health()["collector"]
            ballast.unlink()
            waiting = [report for report, status in answers if status == 507]
            again = [is_accepted(address, report) for report in waiting[:3]]
            recovered = running.health()["collector"]["problem"]
            code, _, err = running.end()
        accepted = [*(report for report, status in answers if status == 202), *waiting[: sum(again)]]
        assert {202, 507} == {status for _, status in answers}
        assert "free some disk space" in full["problem"]
        assert ([True] * 3, None) == (again, recovered)
        assert (0, []) == (code, [line for line in err.splitlines() if "free some disk space" not in line])
        assert {"ok"} == integrity(place / "data")
        assert {report.id for report in accepted} == ids(place / "data")
        record_property("full file system", f"{len(waiting)} of {len(sent)} reports refused; none half written")
    finally:
        subprocess.run(["umount", place], check=True)
