"""``scout-core deploy`` and ``POST /api/v1/deploys``: a marker by hand, with a running collector and without one."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import known_shop
import pytest
import sample_reports
from attrs import evolve
from sample_reports import report
from separate import separate
from visitor import visitor_of

from scout_core.sending.protocol import LOGIN_FILE
from scout_core.sending.rendezvous import LOCK_NAME, announce, locate
from scout_dashboard.collector import Collector
from scout_dashboard.locks import FileLock
from scout_dashboard.marking import DEPLOYS
from scout_dashboard.queries.deploys import list_deploys
from scout_dashboard.ranges import zoomed_range
from scout_dashboard.store import Store, files
from scout_dashboard.store.tables import VERSION

SHA = "3f2a9c1d7e4b5f60718293a4b5c6d7e8f9012345"
DAY = 86_400


def start_deploy(tmp_path: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SCOUT_")}
    return subprocess.Popen(
        [sys.executable, "-m", "scout_core", "deploy", *arguments],
        cwd=tmp_path,
        env={**clean, "SCOUT_STATE_DIR": str(tmp_path / "state"), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_deploy(tmp_path: Path, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """Return exit code, standard output and error."""
    with start_deploy(tmp_path, *arguments, **variables) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def send(collector: Collector, app: str = "Shop", *, revision: str = "", started: float | None = None) -> None:
    """Let one process of an application report."""
    made = report(end=time.time() - 1, app=app, traces=0, instance=app.encode().hex()[:16].ljust(16, "0"))
    process = evolve(made.process, revision=revision, started=started or made.process.started)
    known_shop.send(collector, evolve(made, process=process, id=f"{app}-{revision}"))


def shown(collector: Collector, query: str = "") -> list[tuple[str, str, bool]]:
    """Return the application, the revision, and whether it was marked by hand, of each deploy of the overview."""
    facts = visitor_of(collector).facts(f"/overview{query}")["deploys"]
    return [(deploy["app"], deploy["revision"], deploy["by_hand"]) for deploy in facts]


def stored(tmp_path: Path) -> list[tuple[str, str, float]]:
    """Return the application, the revision and the time of the deploys of ten days, of a collector that does not run."""
    now = time.time()
    with closing(Store(tmp_path / "state" / "data")) as store:
        return [
            (found.app, found.revision, found.at)
            for found in list_deploys(store.reader, zoomed_range(now - 10 * DAY, now + 60))
        ]


def post(
    collector: Collector, body: Any, *, token: str | None = None, kind: str = "application/json"
) -> tuple[int, Any]:
    """Return the status and the JSON of the answer."""
    connection = HTTPConnection("127.0.0.1", collector.port, timeout=20)
    with closing(connection):
        text = body if isinstance(body, (str, bytes)) else json.dumps(body)
        headers = {"Authorization": f"Bearer {token or collector.token}", "Content-Type": kind}
        connection.request("POST", DEPLOYS, text, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """A data directory with a report of one application, whose collector has ended."""
    with Collector.running(state_dir=tmp_path / "state") as collector:
        send(collector)
    return tmp_path


def test_a_running_collector_marks_it(collector, tmp_path):
    send(collector)
    code, out, err = run_deploy(tmp_path, SHA)

    assert (0, "") == (code, err)
    assert out.startswith(f"Marked {SHA} of Shop at 20")
    assert [("Shop", SHA, True)] == shown(collector)
    page = visitor_of(collector).page("/")
    assert f"1 deploy: {SHA[:12]} of Shop" in page.text or f"1 deploy: {SHA[:12]} at" in page.text


def test_without_a_collector_it_is_in_the_store(before):
    code, _, err = run_deploy(before, SHA, "--at", "2m ago")

    assert (0, "") == (code, err)
    assert [("Shop", SHA, pytest.approx(time.time() - 120, abs=60))] == stored(before)
    with Collector.running(state_dir=before / "state") as collector:
        assert [("Shop", SHA, True)] == shown(collector)


def test_a_killed_collector_whose_announcement_stayed_does_not_matter(before):
    with Collector.running(state_dir=before / "state"):
        ended = locate(before / "state")
    assert ended is not None
    announce(before / "state", ended)

    assert 0 == run_deploy(before, SHA)[0]
    assert ["Shop"] == [app for app, _, _ in stored(before)]


def test_data_of_a_newer_version_is_an_error_and_remains_as_it_is(before):
    directory = before / "state" / "data"
    day = files.days(directory, "metrics")[-1]
    with closing(sqlite3.connect(files.path_of(directory, "metrics", day), isolation_level=None)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    names = {path.name for path in directory.glob("*.sqlite")}
    code, out, err = run_deploy(before, SHA)

    assert (1, "") == (code, out)
    assert "was written by a newer version of scout-core; mark the deploy with that version" in err
    assert names <= {path.name for path in directory.iterdir()}
    assert not list(directory.glob("*.damaged*"))


def test_it_waits_for_a_collector_that_is_starting_or_stopping(before):
    lock = FileLock(before / "state" / LOCK_NAME)
    with start_deploy(before, SHA) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1.5)
        lock.release()
        assert 0 == process.wait(timeout=60)
    assert [SHA] == [name for _, name, _ in stored(before)]


def test_a_store_that_a_collector_of_another_state_directory_uses_is_an_error(tmp_path):
    with Collector.running(state_dir=tmp_path / "other", data_dir=tmp_path / "data") as collector:
        send(collector)
        code, out, err = run_deploy(tmp_path, SHA, SCOUT_DASHBOARD_DATA_DIR=str(tmp_path / "data"))

    assert (1, "") == (code, out)
    assert f"{tmp_path / 'data'} is in use by the collector with pid {os.getpid()}" in err
    assert err.endswith(f"which is not the one of {tmp_path / 'state'}; name its state directory with --state-dir\n")


def test_a_longer_retention_of_the_collector_is_kept(before):
    """It is not known to a command that runs without it."""
    old = files.path_of(before / "state" / "data", "metrics", files.day_of(time.time()) - 200)
    newest = files.path_of(before / "state" / "data", "metrics", files.day_of(time.time()))
    for name in ("", "-wal", "-shm"):
        source = newest.with_name(newest.name + name)
        if source.exists():
            old.with_name(old.name + name).write_bytes(source.read_bytes())

    assert 0 == run_deploy(before, SHA)[0]
    assert old.exists()


def test_a_marker_outlives_a_kill_of_the_collector(tmp_path):
    with separate(tmp_path) as running:
        made = report(end=time.time() - 1, traces=0)
        assert 202 == sample_reports.send(running.address.url, running.address.token, made)[0]
        code, _, err = run_deploy(tmp_path, SHA, SCOUT_STATE_DIR=str(tmp_path / "state"))
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait(timeout=60)

    assert (0, "") == (code, err)
    assert [SHA] == [name for _, name, _ in stored(tmp_path)]


def test_the_same_revision_at_nearly_the_same_time_is_one_marker(collector, tmp_path):
    send(collector)
    times = (900, 700, 400, 399)
    answers = [
        post(collector, {"revision": SHA[:number], "at": time.time() - ago})
        for number, ago in zip((40, 12, 40, 40), times, strict=True)
    ]

    # The second is 200 s from the first one, the third 500 s, the fourth 501 s.
    assert [201, 200, 200, 200] == [status for status, _ in answers]
    assert [True, False, False, False] == [facts["is_new"] for _, facts in answers]
    assert [answers[0][1]["at"]] * 4 == [facts["at"] for _, facts in answers]
    assert 1 == len(shown(collector))
    assert 201 == post(collector, {"revision": SHA, "at": time.time() - 200})[0]
    code, out, _ = run_deploy(tmp_path, SHA)
    assert (0, True) == (code, out.startswith(f"Marked before: {SHA} of Shop"))


def test_it_is_found_again_across_midnight(tmp_path):
    midnight = time.time() // DAY * DAY
    with Collector.running(state_dir=tmp_path / "state") as collector:
        send(collector)
        if time.time() - midnight < 10:
            pytest.skip("at midnight a time after it is in the future")
        statuses = [post(collector, {"revision": SHA, "at": midnight + ahead})[0] for ahead in (-5, 5)]

    assert [201, 200] == statuses


def test_a_revision_that_processes_report_too_is_one_deploy(collector):
    now = time.time()
    send(collector, revision="one", started=now - 1_900)
    send(collector, revision=SHA, started=now - 1_000)
    assert [("Shop", SHA, False)] == shown(collector)
    assert 201 == post(collector, {"revision": SHA[:7], "at": now - 1_200})[0]
    assert 201 == post(collector, {"revision": SHA[:6], "at": now - 1_200})[0]  # too short to stand for it

    assert [("Shop", SHA[:6], True), ("Shop", SHA, False)] == shown(collector)


def test_each_application_has_its_own_and_must_be_chosen(collector, tmp_path):
    for app in ("Shop", "Admin"):
        send(collector, app)
    code, _, err = run_deploy(tmp_path, SHA)
    unknown = run_deploy(tmp_path, SHA, "--app", "Shap")

    assert (1, "scout-core: several applications have reported; choose one with --app or 'app': 'Admin', 'Shop'\n") == (
        code,
        err,
    )
    assert (
        1,
        "scout-core: no application named 'Shap' has reported; known applications: 'Admin', 'Shop'\n",
    ) == unknown[::2]
    assert 0 == run_deploy(tmp_path, SHA, "--app", "Admin")[0]
    assert [("Admin", SHA, True)] == shown(collector)
    assert [] == shown(collector, "?app=Shop")


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["  "], "the SHA is empty; use the revision, such as the output of: git rev-parse HEAD"),
        (["x" * 101], "the SHA 'xxxxxxxxxxxxxxxxxxxx'… has 101 characters; at most 100 are stored"),
        (["a\nb"], r"the SHA 'a\nb' has control characters; use one line of text"),
        ([SHA, "--at", "2099-01-01T00:00Z"], "the time 2099-01-01 00:00:00 UTC is in the future"),
        ([SHA, "--at", "2001-01-01T01:00+01:00"], "the time 2001-01-01 00:00:00 UTC is before the retention; data is kept since 20"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_running", [True, False])
def test_what_cannot_be_marked_is_named(before, arguments, expected, is_running):
    if is_running:
        with Collector.running(state_dir=before / "state"):
            code, out, err = run_deploy(before, *arguments)
    else:
        code, out, err = run_deploy(before, *arguments)

    assert (1, "") == (code, out)
    assert err.startswith(f"scout-core: {expected}")
    assert [] == stored(before)


@pytest.mark.parametrize("given", ["yesterday", "5m", "ago", "-5m ago", "2026-13-01", "1 ago ago", ""])
def test_a_time_that_cannot_be_read_is_an_invalid_option(tmp_path, given):
    code, out, err = run_deploy(tmp_path, SHA, "--at", given)

    assert (2, "") == (code, out)
    assert f"invalid time {given!r}" in err


def test_without_any_data_it_names_the_command_that_starts_a_collector(tmp_path):
    code, out, err = run_deploy(tmp_path, SHA)

    state = tmp_path / "state"
    assert (1, "") == (code, out)
    assert (
        f"scout-core: no collector is running for {state}, and there is no data in {state / 'data'}; start one with: scout-core up\n"
        == err
    )
    assert not state.exists()


def test_a_collector_without_data_has_nothing_to_mark(collector):
    status, facts = post(collector, {"revision": SHA})

    assert (400, "no application has reported yet, so there is nothing to mark; start the application first") == (
        status,
        facts["error"],
    )


def test_only_the_token_of_agents_may_mark(collector, tmp_path):
    send(collector)
    login = (tmp_path / "state" / LOGIN_FILE).read_text().strip()
    visitor = visitor_of(collector)

    assert [401, 401] == [post(collector, {"revision": SHA}, token=token)[0] for token in (login, "x" * 43)]
    assert 405 == visitor.ask("/json/deploys", method="POST")[0]
    assert [] == shown(collector)


@pytest.mark.parametrize(
    "body, expected",
    [
        ("no", "the body is not a JSON object with revision, at, app"),
        ("[" * 9_000, "the body is not a JSON object with revision, at, app"),
        ([], "the body is not a JSON object with revision, at, app"),
        ({}, "invalid field 'revision'; expected a text"),
        ({"revision": SHA, "sha": SHA}, "unknown field 'sha'; expected revision, at, app"),
        ({"revision": SHA, "at": "now"}, "invalid field 'at'; expected a Unix time in seconds, or null"),
        ('{"revision": "a", "at": NaN}', "invalid field 'at'; expected a Unix time in seconds, or null"),
        ({"revision": SHA, "at": 1e12}, "the time unknown time is in the future"),
        ({"revision": SHA, "at": True}, "invalid field 'at'; expected a Unix time in seconds, or null"),
        ({"revision": SHA, "app": 1}, "invalid field 'app'; expected a text, or null"),
        ({"revision": "x" * 20_000}, "the body is larger than 10000 bytes; send only revision, at, app"),
    ],
)
def test_a_request_that_is_not_a_marker_is_refused_with_the_reason(collector, body, expected):
    send(collector)
    status, facts = post(collector, body)

    assert (400, True) == (status, facts["error"].startswith(expected)), facts
    assert (400, "unsupported content type; expected application/json") == (
        (answer := post(collector, "{}", kind="text/plain"))[0],
        answer[1]["error"],
    )
