"""Day files that cannot be used: set aside, shown, and without effect on anything else."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from attrs import evolve
from sample_reports import report, send
from test_up import PATIENCE, refused, up
from visitor import visitor_of

from scout_core.measuring.report import Report
from scout_dashboard.collector import Collector
from scout_dashboard.errors import UnusableFile
from scout_dashboard.ranges import named_range
from scout_dashboard.store import Store, files, schema
from scout_dashboard.store.files import KINDS, Kind

DAY = 86_400
PAGES = ("/", "/?range=7d", "/endpoints?range=7d", "/jobs?range=7d", "/errors?range=7d", "/plugins", "/health")
AGO = (0, 3)
"""Days before today with data."""


def reports(now: float) -> list[Report]:
    """Return one report of each day."""
    return [
        report(end=now - ago * DAY, number=number, traces=4)
        for number, ago in enumerate(sorted(AGO, reverse=True), start=1)
    ]


def fill(directory: Path, now: float) -> None:
    with closing(Store(directory)) as store:
        for sent in reports(now):
            store.apply(sent, now=now)


def newer_schema(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def not_a_database(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


def text(path: Path) -> None:
    path.write_text("no database at all " * 100)


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        for page in range(4_096, path.stat().st_size, 8_192):
            file.seek(page)
            file.write(random.Random(page).randbytes(4_096))


def unsupported_format(path: Path) -> None:
    """A single byte of the header: the format of the schema."""
    overwrite(path, 47, b"\x09")


def schema_that_is_no_text(path: Path) -> None:
    """SQLite's message has it, so Python cannot decode the message."""
    overwrite(path, path.read_bytes().index(b"CREATE TABLE") + 1, b"\xcc")


def overwrite(path: Path, place: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(content)


def other_tables(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE note (text)")


def other_tables_of_our_schema(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        ).fetchall():
            connection.execute(f"ALTER TABLE {name} RENAME TO old_{name}")


def older_schema_than_its_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 1")


def link(path: Path) -> None:
    """To the database of another program."""
    path.unlink()
    with closing(sqlite3.connect(path.parent.parent / "foreign.sqlite")) as connection:
        connection.execute("CREATE TABLE note (text)")
    path.symlink_to(path.parent.parent / "foreign.sqlite")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def linked_log(path: Path) -> None:
    """SQLite refuses to open it: every page answered 503."""
    (path.parent.parent / "precious").write_text("precious")
    log = path.with_name(f"{path.name}-wal")
    log.unlink(missing_ok=True)
    log.symlink_to(path.parent.parent / "precious")


def pipe_as_journal(path: Path) -> None:
    """SQLite waits for its other end, without a time limit."""
    os.mkfifo(path.with_name(f"{path.name}-journal"))


def of_another_user(path: Path) -> None:
    os.chown(path, 12345, 12345)


ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="not on this account: only root can give a file away")
FAULTS: tuple[Callable[[Path], None], ...] = (
    newer_schema, not_a_database, text, truncated, overwritten, other_tables, other_tables_of_our_schema,
    older_schema_than_its_tables, unsupported_format, schema_that_is_no_text, link, pipe, folder, linked_log, pipe_as_journal,
)  # fmt: skip


@contextmanager
def started(folder: Path) -> Iterator[Collector]:
    with Collector.running(state_dir=folder / "state") as collector:
        yield collector


@pytest.mark.parametrize("ago", AGO)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spoil", [*FAULTS, pytest.param(of_another_user, marks=ROOT_ONLY)])
def test_a_file_that_cannot_be_used_is_set_aside_and_the_rest_works(tmp_path, spoil, kind: Kind, ago: int):
    now = time.time()
    directory = tmp_path / "state" / "data"
    fill(directory, now)
    path = files.path_of(directory, kind, files.day_of(now - ago * DAY))
    spoil(path)
    with started(tmp_path) as collector:
        visitor = visitor_of(collector)
        for page in PAGES:
            assert (page, 200) == (page, visitor.ask(page)[0])
        status, _ = send(collector.url, collector.token, report(end=now, number=9, traces=2))
        trace_count = collector.queries.traces(named_range("7d"))["total"]
        total = collector.queries.overview(named_range("7d"))["totals"]["count"]
        health, overview = visitor.page("/health").text, visitor.page("/").text
        facts = visitor.facts("/health")["damaged"]

    kept = [sent for sent in reports(now) if sent.end != now - ago * DAY]
    counts = {
        "metrics": sum(
            metrics.count
            for sent in (*kept, report(end=now, number=9))
            for metrics in sent.transactions
            if metrics.name.startswith("Controller/")
        ),
        "traces": len(reports(now)) * 4 + 2 - 4,
    }
    assert 202 == status
    assert (total == counts["metrics"]) == (kind == "metrics")
    assert (trace_count == counts["traces"]) == (kind == "traces")
    assert [(f"{path.name}.damaged", kind)] == [(file["name"], file["kind"]) for file in facts]
    assert facts[0]["reason"] in health
    assert "1 file cannot be used and was set aside" in overview
    assert os.path.lexists(path.with_name(f"{path.name}.damaged"))
    assert path.exists() == (ago == 0), "a new file of today"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_read", [False, True])
@pytest.mark.parametrize("spoil", [link, pipe, folder, linked_log, pipe_as_journal])
def test_what_is_not_a_file_is_neither_followed_nor_deleted(tmp_path, spoil, is_read: bool, kind: Kind):
    """Not when it appears while the collector runs, and not when its day expires."""
    now = time.time()
    directory = tmp_path / "data"
    fill(directory, now)
    path = files.path_of(directory, kind, files.day_of(now))
    with closing(Store(directory)) as store:
        store.reader.close()
        spoil(path)
        outside = {it.name: it.read_bytes() for it in tmp_path.iterdir() if it.is_file()}
        if is_read:
            store.reader.rows(kind, "SELECT 1")
        for number in range(1, 8):
            store.apply(report(end=now + 5 * number * DAY, number=number), now=now + 5 * number * DAY)
        found = store.damage.found()

    names = [name for name in os.listdir(directory) if path.name in name and not name.endswith(".txt")]
    special = [name for name in names if not stat.S_ISREG((directory / name).lstat().st_mode)]
    assert 1 == len(special)
    assert len(found) == 1 or not is_read
    assert outside == {it.name: it.read_bytes() for it in tmp_path.iterdir() if it.is_file()}
    assert [] == [file for file in found if "move it away" not in file.reason]


def test_a_file_that_becomes_a_link_while_it_is_opened_is_not_used(tmp_path, monkeypatch):
    now = time.time()
    fill(tmp_path / "data", now)
    path = files.path_of(tmp_path / "data", "metrics", files.day_of(now))
    check = schema._check_regular

    def check_and_replace(checked: Path) -> None:
        check(checked)
        link(path)

    monkeypatch.setattr(schema, "_check_regular", check_and_replace)
    with pytest.raises(UnusableFile, match="it was replaced while it was opened"):
        schema.connect_to_read(path, "metrics")


def test_a_linked_file_is_not_changed(tmp_path):
    now = time.time()
    fill(tmp_path / "state" / "data", now)
    link(files.path_of(tmp_path / "state" / "data", "metrics", files.day_of(now)))
    before = (tmp_path / "state" / "foreign.sqlite").read_bytes()
    with started(tmp_path) as collector:
        assert 202 == send(collector.url, collector.token, report(end=now, number=9))[0]

    assert before == (tmp_path / "state" / "foreign.sqlite").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_read_first", [False, True])
def test_a_file_that_is_damaged_while_the_collector_runs_is_set_aside(tmp_path, kind: Kind, is_read_first: bool):
    now = time.time()
    with started(tmp_path) as collector:
        for sent in reports(now):
            assert 202 == send(collector.url, collector.token, sent)[0]
        visitor = visitor_of(collector)
        path = files.path_of(collector.store.directory, kind, files.day_of(now))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        overwritten(path)
        collector.store.reader.close()  # its cache has the pages from before
        if is_read_first:
            assert {200} == {visitor.ask(page)[0] for page in PAGES}
        answers = [send(collector.url, collector.token, report(end=now, number=number))[0] for number in range(10, 14)]
        pages = {visitor.ask(page)[0] for page in PAGES}
        found = collector.queries.health()["damaged"]
        count = collector.queries.health()["collector"]["reports"]

    assert ([202] * 4, {200}, 6) == (answers, pages, count)
    assert [f"{path.name}.damaged"] == [file["name"] for file in found]


@pytest.mark.parametrize("seed", range(12))
def test_any_overwritten_part_of_a_file_leaves_every_page(tmp_path, seed):
    now = time.time()
    dice = random.Random(seed)
    directory = tmp_path / "state" / "data"
    fill(directory, now)
    path = files.path_of(directory, dice.choice(KINDS), files.day_of(now - dice.choice(AGO) * DAY))
    with path.open("r+b") as file:
        for _ in range(dice.randint(1, 6)):
            file.seek(dice.randrange(path.stat().st_size))
            file.write(dice.randbytes(dice.choice((16, 512, 4_096))))
    with started(tmp_path) as collector:
        visitor = visitor_of(collector)
        assert [] == [page for page in PAGES if visitor.ask(page)[0] != 200]
        assert 202 == send(collector.url, collector.token, report(end=now, number=9))[0]
        assert [] == [page for page in PAGES if visitor.ask(page)[0] != 200]


def test_set_aside_files_keep_their_reason_and_expire(tmp_path):
    now = time.time()
    fill(tmp_path / "data", now)
    path = files.path_of(tmp_path / "data", "metrics", files.day_of(now))
    for _ in range(2):
        newer_schema(path)
        with closing(Store(tmp_path / "data")) as store:
            store.apply(evolve(report(end=now), id="again"), now=now)
    with closing(Store(tmp_path / "data")) as store:
        kept = store.damage.found()
        for number in range(1, 6):
            store.apply(report(end=now + 6 * number * DAY, number=number), now=now + 6 * number * DAY)
        later = store.damage.found()
        store.apply(report(end=now + 31 * DAY, number=7), now=now + 31 * DAY)
        gone = store.damage.found()

    assert {f"{path.name}.damaged", f"{path.name}.damaged-2"} == {file.name for file in kept}
    assert all("it has schema 99" in file.reason for file in kept)
    assert (kept, []) == (later, gone)
    assert [] == [name for name in os.listdir(tmp_path / "data") if "damaged" in name]


def test_a_new_file_that_is_read_while_its_tables_are_created_is_no_foreign_database(tmp_path):
    is_done = Event()
    with closing(Store(tmp_path / "data")) as store:

        def read() -> None:
            while not is_done.is_set():
                for kind in KINDS:
                    store.reader.rows(kind, "SELECT 1")

        reading = Thread(target=read)
        reading.start()
        try:
            sent = [report(end=time.time() - ago * DAY, number=ago + 1, traces=1) for ago in range(28)]
            assert all(store.apply(it, now=time.time()) for it in sent)
        finally:
            is_done.set()
            reading.join()

        assert [] == store.damage.found()
        assert len(sent) == len(store.reader.rows("metrics", "SELECT id FROM report"))


@pytest.mark.parametrize("spoil", [newer_schema, not_a_database, truncated, overwritten])
def test_the_application_starts_and_reports_with_a_file_that_cannot_be_used(tmp_path, spoil):
    now = time.time()
    fill(tmp_path / "state" / "data", now)
    spoil(files.path_of(tmp_path / "state" / "data", "metrics", files.day_of(now)))
    code = "import scout_core\nscout_core.start()\nwith scout_core.transaction('Job/x'): pass\nprint('ran')\nraise SystemExit(7)"
    with up(tmp_path, "--", sys.executable, "-c", code, ready=False) as running:
        out, err = running.process.communicate(timeout=PATIENCE)

    assert (7, "ran\n") == (running.process.returncode, out)
    assert "cannot be used, and is left out" in err
    with closing(Store(tmp_path / "state" / "data")) as store:
        assert "Job/x" in {name for (name,) in store.reader.rows("metrics", "SELECT name FROM series")}


def test_the_application_starts_even_if_the_dashboard_cannot(tmp_path):
    (tmp_path / "file").write_text("")
    command = ("--", sys.executable, "-c", "print('ran'); raise SystemExit(7)")
    for options in (("--data-dir", str(tmp_path / "file" / "data")), ("--host", "192.0.2.1")):
        with up(tmp_path, *options, *command, ready=False) as running:
            out, err = running.process.communicate(timeout=PATIENCE)

        assert (7, "ran\n") == (running.process.returncode, out)
        assert "the dashboard did not start: cannot" in err
        assert "Traceback" not in err
    assert 1 == refused(tmp_path, "--data-dir", str(tmp_path / "file" / "data"))[0]
