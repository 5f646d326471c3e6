"""The sessions of browsers: how long they last, and the file that they are in."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from visitor import Clock, Visitor, read, visitor_of

from scout_dashboard.access.browsers import describe_browser
from scout_dashboard.access.session_file import FILE_NAME
from scout_dashboard.access.sessions import MOST_SESSIONS, Sessions, read_sessions
from scout_dashboard.collector import Collector

HOUR = 3_600
DAY = 24 * HOUR


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(tmp_path: Path, clock: Clock) -> Sessions:
    return read_sessions(tmp_path, clock=clock)


def facts(tmp_path: Path) -> list[dict]:
    return json.loads((tmp_path / FILE_NAME).read_text())["sessions"]


def test_a_session_ends_twelve_hours_after_its_last_use(sessions, clock):
    secret = sessions.begin("a browser")
    found = []
    for hours in (11.9, 11.9, 12):
        clock.now += hours * HOUR
        found.append(sessions.find([secret]) is not None)

    assert [True, True, False] == found
    assert [] == sessions.current()


def test_a_session_ends_seven_days_after_the_login_however_often_it_is_used(sessions, clock):
    secret = sessions.begin("a browser")
    uses = 0
    while sessions.find([secret]):
        uses += 1
        clock.now += 6 * HOUR

    assert 7 * 4 == uses


def test_a_clock_that_is_set_back_does_not_make_a_session_last_longer(sessions, clock):
    secret = sessions.begin("a browser")
    clock.now -= 30
    assert sessions.find([secret])

    clock.now -= DAY
    assert not sessions.find([secret])


def test_any_of_the_given_secrets_may_be_the_session(sessions):
    secret = sessions.begin("a browser")

    assert "a browser" == sessions.find(["", "other", secret, "x" * 5_000]).browser
    assert sessions.find(["", "other", secret[:-1], secret.upper()]) is None
    assert sessions.find([sessions.current()[0].digest]) is None
    assert sessions.find([]) is None


def test_the_session_unused_for_longest_ends_when_there_are_a_hundred(sessions, clock):
    secrets = []
    for number in range(MOST_SESSIONS):
        secrets.append(sessions.begin(f"browser {number}"))
        clock.now += 1
    sessions.find(secrets[:1])
    sessions.begin("another browser")

    assert MOST_SESSIONS == len(sessions.current())
    assert [True, False, True] == [sessions.find([secret]) is not None for secret in secrets[:3]]


def test_the_file_is_private_and_contains_no_secret(sessions, tmp_path):
    secret = sessions.begin("a browser")
    path = tmp_path / FILE_NAME

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert secret not in path.read_text()
    assert {"digest", "created", "used", "browser"} == set(*facts(tmp_path))


def test_sessions_survive_a_restart_within_their_limits(tmp_path, clock):
    with Collector.running(state_dir=tmp_path, clock=clock) as collector:
        visitor, logged_out = visitor_of(collector), visitor_of(collector)
        logged_out.ask("/logout", method="POST")
        clock.now += 10 * HOUR
        assert 200 == visitor.ask("/")[0]
    clock.now += 11 * HOUR
    with Collector.running(state_dir=tmp_path, clock=clock) as collector:
        after = [Visitor(collector, cookie).ask("/")[0] for cookie in (visitor.cookie, logged_out.cookie)]
    clock.now += 12 * HOUR
    with Collector.running(state_dir=tmp_path, clock=clock) as collector:
        late = Visitor(collector, visitor.cookie).ask("/")[0]

    assert ([200, 401], 401) == (after, late)


def test_an_end_is_in_the_file_at_once_and_a_use_after_a_minute(sessions, tmp_path, clock):
    secret, _ = sessions.begin("first"), sessions.begin("second")
    begun = clock.now
    clock.now += 59
    sessions.find([secret])
    assert not sessions.is_save_due
    clock.now += 1
    assert sessions.is_save_due
    sessions.save()

    assert {("first", begun + 59), ("second", begun)} == {(fact["browser"], fact["used"]) for fact in facts(tmp_path)}
    assert not sessions.is_save_due
    assert sessions.end(sessions.find([secret]).id)
    assert ["second"] == [fact["browser"] for fact in facts(tmp_path)]
    sessions.end_all()
    assert [] == facts(tmp_path)


GOOD = {"digest": "a" * 64, "created": 1_800_000_000.0, "used": 1_800_000_000.0, "browser": "a browser"}


def content(**changes: object) -> str:
    return json.dumps({"version": 1, "sessions": [GOOD | changes]})


def test_a_file_of_this_form_is_read(tmp_path, clock):
    """The files below differ from it in one place."""
    (tmp_path / FILE_NAME).write_text(content())
    (tmp_path / FILE_NAME).chmod(0o600)

    assert ["a browser"] == [session.browser for session in read_sessions(tmp_path, clock=clock).current()]


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", '"x"', "[" * 60_000, "9" * 5_000,
        '{"version": 1}', '{"version": 2, "sessions": []}', '{"version": 1, "sessions": {}}', '{"version": 1, "sessions": [1]}',
        content(digest="a" * 63), content(digest="A" * 64), content(digest=1), content(browser=None), content(created=None),
        content(created="soon"), content(created=1e400), content(used=float("nan")), content(used=-1), content(used=[1]),
    ],
)  # fmt: skip
def test_a_damaged_file_is_set_aside_with_a_message(tmp_path, clock, capfd, text):
    path = tmp_path / FILE_NAME
    path.write_text(text)
    path.chmod(0o600)

    sessions = read_sessions(tmp_path, clock=clock)

    message = f"{path} is damaged: browsers must log in again; it was renamed to {FILE_NAME}.damaged"
    assert ([], message) == (sessions.current(), sessions.problem)
    assert text == (tmp_path / f"{FILE_NAME}.damaged").read_text()
    assert not path.exists()
    assert sessions.find([sessions.begin("a browser")])
    assert "" == sessions.problem


def test_a_file_that_others_can_read_is_set_aside(tmp_path, clock):
    path = tmp_path / FILE_NAME
    path.write_text(content())
    path.chmod(0o644)

    sessions = read_sessions(tmp_path, clock=clock)

    assert [] == sessions.current()
    assert f"{path} is not a file that only you can read" in sessions.problem


def link_elsewhere(path: Path) -> None:
    (path.parent / "elsewhere").write_text(content())
    (path.parent / "elsewhere").chmod(0o600)
    path.symlink_to(path.parent / "elsewhere")


def write_bytes(path: Path) -> None:
    path.write_bytes(b"\xff\xfe")
    path.chmod(0o600)


@pytest.mark.parametrize("place", [Path.mkdir, link_elsewhere, os.mkfifo, write_bytes])
def test_something_else_in_place_of_the_file_is_set_aside(tmp_path, clock, place: Callable[[Path], None]):
    place(tmp_path / FILE_NAME)

    sessions = read_sessions(tmp_path, clock=clock)
    sessions.begin("a browser")

    assert ["a browser"] == [fact["browser"] for fact in facts(tmp_path)]


def test_a_collector_with_a_damaged_file_starts_and_shows_it(tmp_path):
    (tmp_path / FILE_NAME).write_text("not JSON")
    (tmp_path / FILE_NAME).chmod(0o600)
    with Collector.running(state_dir=tmp_path) as collector:
        problem = collector.access.sessions.problem
        status = visitor_of(collector).ask("/")[0]

    assert f"renamed to {FILE_NAME}.damaged" in problem
    assert 200 == status


def test_a_file_that_cannot_be_written_is_shown_and_sessions_still_work(tmp_path):
    with Collector.running(state_dir=tmp_path / "state") as collector:
        (tmp_path / "state").rename(tmp_path / "moved")
        visitor = visitor_of(collector)
        page = read(visitor.ask("/sessions")[2])
        (tmp_path / "moved").rename(tmp_path / "state")
        visitor.ask("/sessions/0123456789abcdef/end", method="POST")
        repaired = read(visitor.ask("/sessions")[2])

    assert f"Cannot write {tmp_path / 'state' / FILE_NAME}: No such file or directory" in page.text
    assert "not saved" not in repaired.text


MOZILLA = "Mozilla/5.0"
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    "agent, name",
    [
        (f"{MOZILLA} (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox 145 on Linux"),
        (f"{MOZILLA} (X11; Linux x86_64) {WEBKIT} Chrome/142.0.0.0 Safari/537.36", "Chrome 142 on Linux"),
        (f"{MOZILLA} (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/142.0.0.0 Safari/537.36 Edg/142.0.3595.53", "Edge 142 on Windows"),
        (f"{MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15", "Safari 26 on macOS"),
        (f"{MOZILLA} (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1", "Safari 26 on iOS"),
        (f"{MOZILLA} (Linux; Android 10; K) {WEBKIT} Chrome/142.0.0.0 Mobile Safari/537.36", "Chrome 142 on Android"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("<b>\x1b[31m\u202eevil" + "x" * 500, "<b>[31mevil" + "x" * 49),
        ("", "unknown"),
        ("\u00e9", "unknown"),
    ],
)  # fmt: skip
def test_browsers_are_named(agent, name):
    assert name == describe_browser(agent)
