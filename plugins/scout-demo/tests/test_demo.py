"""``scout-core demo`` in its own process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import click
import psutil
import pytest
from werkzeug.serving import make_server

from scout_core.sending.protocol import LOGIN_FILE
from scout_core.sending.rendezvous import locate
from scout_core.testing.servers import installed
from scout_demo.processes import Dashboard
from scout_demo.result import Summary, format_summary
from scout_demo.shop.supplier import supplier

COMMAND = [sys.executable, "-m", "scout_core", "demo"]
NAME = "Controller/scout_demo.shop.pages."


JOBS = "scout_demo.shop.jobs."
PATIENCE = 120.0


@pytest.fixture(autouse=True)
def closed_terminal():
    """Let the demo end with its terminal, as in a shell; under ``nohup`` it would inherit that the signal is ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@contextmanager
def started(tmp_path: Path, *arguments: str, **variables: str):
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1", **variables}
    process = subprocess.Popen(
        [*COMMAND, *arguments], env=environment, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.terminate()  # it stops its own processes
        process.communicate()


@pytest.fixture(scope="module")
def summary(tmp_path_factory):
    with started(tmp_path_factory.mktemp("demo"), "--seconds", "5", "--json") as process:
        out, err = process.communicate(timeout=120)
    assert (0, "") == (process.returncode, err)
    return json.loads(out)


def test_json_prints_a_single_object_with_all_results(summary):
    keys = {"transactions", "spans", "kept", "endpoints", "jobs", "jobs_missing", "dropped", "dashboard_url"}

    assert keys == set(summary)
    assert summary["dashboard_url"].startswith("http://127.0.0.1:")
    assert 0 == summary["dropped"]
    assert sum(row["count"] for row in summary["endpoints"]) == summary["transactions"]
    assert summary["spans"] > summary["transactions"]


def test_every_page_of_the_shop_is_among_the_endpoints(summary):
    pages = {"home", "products", "product", "orders", "suggestions", "report", "checkout"}

    assert {NAME + page for page in pages} == {row["name"] for row in summary["endpoints"]}
    assert all({"name", "count", "errors", "p95_ms"} == set(row) and row["p95_ms"] > 0 for row in summary["endpoints"])


def test_the_report_is_slower_than_all_other_pages(summary):
    slowest = max(summary["endpoints"], key=lambda row: row["p95_ms"])

    assert NAME + "report" == slowest["name"]
    assert slowest["p95_ms"] > 100


def test_the_users_policy_keeps_checkouts_first(summary):
    points = {kept["name"]: kept["policies"]["scout_demo.checkout_first"] for kept in summary["kept"]}

    assert NAME + "checkout" == summary["kept"][0]["name"]
    assert 5.0 == points.pop(NAME + "checkout")
    assert {0.0} == set(points.values())


def test_the_points_of_all_policies_add_up_to_the_score(summary):
    for kept in summary["kept"]:
        of_all = {"age", "percent", "percentile", "speed", "scout_demo.checkout_first"}
        assert of_all == set(kept["policies"]) - {"error"}, "the policy error has points for failed transactions only"
        assert sum(kept["policies"].values()) == pytest.approx(kept["score"], abs=0.01)


def test_the_summary_uses_singular_and_plural():
    """Numbers are aligned, too."""
    row = {"name": "Controller/a", "count": 1, "errors": 1, "p95_ms": 2.0}
    kept = {"name": "Controller/a", "score": 1.5, "policies": {"speed": 1.5, "age": 0.0}}
    few = Summary(
        transactions=1, spans=1, kept=[kept], endpoints=[row], jobs=[], jobs_missing="", dropped=0, dashboard_url=""
    )
    many = Summary(
        **{
            **few,
            "transactions": 1_002,
            "spans": 2,
            "kept": [],
            "endpoints": [row, {**row, "count": 1_001, "errors": 0}],
            "jobs": [
                {"name": "Job/mail", "queue": "mail", "count": 1, "errors": 0, "retries": 1, "wait_ms": 12.6},
                {"name": "Job/pack", "queue": None, "count": 20, "errors": 2, "retries": 0, "wait_ms": None},
                {"name": "Job/long", "queue": "mail", "count": 2, "errors": 1, "retries": 2, "wait_ms": 0.0},
            ],
        }
    )

    assert [
        "1 transaction, 1 span, 1 trace kept, 0 dropped",
        "",
        "  Controller/a       1 request   p95     2.0 ms  1 error",
        "",
        "Best trace: Controller/a, kept because speed 1.50",
    ] == click.unstyle(format_summary(few)).splitlines()
    assert [
        "1002 transactions, 2 spans, 0 traces kept, 0 dropped",
        "",
        "  Controller/a       1 request   p95     2.0 ms  1 error",
        "  Controller/a    1001 requests  p95     2.0 ms",
        "  Job/mail           1 job       waited 13 ms  1 retry",
        "  Job/pack          20 jobs      2 errors",
        "  Job/long           2 jobs      waited 0 ms  2 retries  1 error",
    ] == click.unstyle(format_summary(many)).splitlines()


def test_without_a_terminal_an_empty_line_precedes_the_summary(tmp_path):
    with started(tmp_path, "--seconds", "1") as process:
        out, err = process.communicate(timeout=120)

    assert (0, "") == (process.returncode, out)
    assert re.search(r"Press Ctrl-C to stop\.\n\n\d+ transactions, ", err), err
    assert "\n\n\n" not in err
    assert not re.search(r"\b1 (transactions|spans|traces|requests|errors)", err), err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_until_a_signal_and_leaves_no_files(tmp_path, number):
    with started(tmp_path) as process:
        link = process.stderr.readline()
        for line in process.stderr:
            if "Ctrl-C" in line:
                break
        process.send_signal(number)
        out, err = process.communicate(timeout=60)

    assert re.search(r"http://[a-z2-7]{26}\.localhost:\d+/login/[a-z2-7]{26}$", link.strip())
    assert 0 == process.returncode
    assert "" == out
    assert "traces kept" in err
    assert [] == list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def redis():
    """Check that the demo can have jobs."""
    return installed("redis-server", package="redis-server")


def words_of(process: psutil.Process) -> list[str]:
    """Return the folder and the arguments of a process; none of one that ends meanwhile."""
    with suppress(psutil.Error):
        return [process.cwd(), *process.cmdline()]
    return []


def processes_in(folder: Path) -> list[psutil.Process]:
    """Return the processes that work in a folder, or name it in their arguments."""
    return [process for process in psutil.process_iter() if str(folder) in " ".join(words_of(process))]


STARTS = "while it starts"


@pytest.mark.parametrize(
    ("when", "number"),
    [
        ("with jobs", signal.SIGKILL),
        ("with jobs", signal.SIGHUP),
        ("without jobs", signal.SIGKILL),
        (STARTS, signal.SIGKILL),
    ],
)
def test_a_demo_that_has_no_time_to_stop_leaves_neither_processes_nor_files(redis, tmp_path, when, number):
    folder = tmp_path / "in"
    folder.mkdir()
    with started(folder, **({"PATH": str(tmp_path)} if when == "without jobs" else {})) as process:
        demo = psutil.Process(process.pid)
        if when == STARTS:
            while not any("up" in words_of(child) for child in demo.children()):
                assert process.poll() is None
        else:
            assert "Press Ctrl-C to stop.\n" in iter(process.stderr.readline, "")
        children = demo.children(recursive=True)
        process.send_signal(number)
        _, left = psutil.wait_procs(children, timeout=PATIENCE)
        found = len(children), left, processes_in(folder), list(folder.iterdir())

    assert ({"with jobs": 5, "without jobs": 3, STARTS: found[0]}[when], [], [], []) == found


def test_a_worker_runs_the_jobs_that_the_shop_publishes(redis, tmp_path):
    """Until it has run each of them, one was tried again and one has failed, and a checkout leads to its job."""
    with started(tmp_path) as process:
        introduction = "".join(iter(process.stderr.readline, "Press Ctrl-C to stop.\n"))
        (folder,) = tmp_path.iterdir()
        address = locate(folder / "state")
        assert address is not None
        dashboard = Dashboard(address.url, (folder / "state" / LOGIN_FILE).read_text())
        server = [found.name() for found in processes_in(tmp_path)].count("redis-server")
        deadline = monotonic() + PATIENCE
        while True:
            jobs = {row["label"]: row for row in dashboard.get("jobs")["rows"]}
            published = dashboard.get("endpoint", name=NAME + "checkout")["published"] if jobs else []
            if (
                len(jobs) == 3
                and published
                and jobs[JOBS + "send_receipt"]["retries"]
                and jobs[JOBS + "pack_order"]["errors"]
            ):
                break
            assert monotonic() < deadline, (jobs, published)
            sleep(0.1)
        answer = dashboard.get("jobs")["keeping_up"]
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)

    assert (0, "", 1) == (process.returncode, out, server)
    assert "Checkouts and reports publish jobs" in introduction
    queues = {JOBS + "send_receipt": "mail", JOBS + "pack_order": "warehouse", JOBS + "export_sales": "exports"}
    assert queues == {name: row["queue"] for name, row in jobs.items()}
    assert all(row["wait_known"] == row["count"] for row in jobs.values())
    assert {"success", "retry"} <= set(jobs[JOBS + "send_receipt"]["outcomes"])
    assert {row["label"] for row in published} <= {JOBS + "send_receipt", JOBS + "pack_order"}
    assert answer["state"] in ("yes", "no", "unknown")
    assert re.search(r"Job/scout_demo\.shop\.jobs\.send_receipt +\d+ jobs", err), err
    assert ([], []) == (list(tmp_path.iterdir()), processes_in(tmp_path))


def test_the_traces_of_the_orders_show_the_line_that_repeats_a_query(tmp_path):
    with started(tmp_path) as process:
        assert "Press Ctrl-C to stop.\n" in iter(process.stderr.readline, "")
        (folder,) = tmp_path.iterdir()
        address = locate(folder / "state")
        assert address is not None
        dashboard = Dashboard(address.url, (folder / "state" / LOGIN_FILE).read_text())
        deadline = monotonic() + PATIENCE
        repeats: list[dict[str, object]] = []
        while not repeats:
            assert monotonic() < deadline
            sleep(0.1)
            names = {row["name"] for row in dashboard.get("endpoints")["rows"]}
            kept = dashboard.get("endpoint", name=NAME + "orders")["traces"] if NAME + "orders" in names else ()
            repeats = [repeat for row in kept for repeat in dashboard.get(f"trace/{row['id']}")["repeats"]]

    assert {"SQL/Query"} == {repeat["operation"] for repeat in repeats}
    assert all(repeat["count"] >= 5 and "SELECT" in repeat["statement"] for repeat in repeats)
    assert {"orders.html"} == {os.path.basename(repeat["file"]) for repeat in repeats}


def test_without_redis_it_names_the_package_and_runs_without_jobs(tmp_path):
    with started(tmp_path, "--seconds", "1", PATH=str(tmp_path)) as process:
        out, err = process.communicate(timeout=120)

    assert (0, "") == (process.returncode, out)
    assert (
        err.count("There are no jobs, because redis-server is not on the PATH; install the package redis-server") == 1
    )
    assert "Job/" not in err


def test_a_redis_that_does_not_start_is_an_error(tmp_path):
    """A program of this name that is something else."""
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\necho broken on purpose\nexit 1\n")
    program.chmod(0o700)
    with started(tmp_path, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}") as process:
        _, err = process.communicate(timeout=120)

    assert 1 == process.returncode
    assert "redis-server did not start; its last output: broken on purpose" in err
    assert "Traceback" not in err
    assert [program] == list(tmp_path.iterdir())


def test_a_port_in_use_is_an_error(tmp_path):
    taken = make_server("127.0.0.1", 0, supplier)
    try:
        with started(tmp_path, "--port", str(taken.server_port)) as process:
            _, err = process.communicate(timeout=60)
    finally:
        taken.server_close()

    assert 1 == process.returncode
    assert str(taken.server_port) in err
    assert "Traceback" not in err
    assert [] == list(tmp_path.iterdir())
