from __future__ import annotations

import json
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from wire_client import Answer, exchange

from scout_core.errors import ScoutError
from scout_dashboard.access import INGEST_FILE, LOGIN_FILE, read_access
from scout_dashboard.collector import Collector
from scout_dashboard.errors import CollectorError

PAGES = [
    "/",
    "/endpoints",
    "/jobs",
    "/endpoint?name=Controller/x",
    "/trace/0123456789abcdef",
    "/plugins",
    "/health",
    "/nothing",
    "/docs",
]
API = [
    "overview",
    "endpoints",
    "jobs",
    "endpoint?name=x",
    "traces",
    "trace/0123456789abcdef",
    "plugins",
    "health",
    "apps",
    "nothing",
    "reports/",
]


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """One collector for all tests, which do not change it."""
    with Collector.running(state_dir=tmp_path_factory.mktemp("state")) as running:
        yield running


def get(collector: Collector, path: str, *lines: str, host: str | None = None, method: str = "GET") -> Answer:
    first = [f"{method} {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{collector.port}'}", "Connection: close", *lines]
    return exchange(collector, ("\r\n".join(first) + "\r\n\r\n").encode("latin-1"))


def cookie(collector: Collector) -> str:
    return f"Cookie: {collector.access.cookie_name}={collector.access.session}"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_needs_a_login(collector, path):
    answer = get(collector, path)

    assert 401 == answer.status
    assert b"scout-core up" in answer.body
    assert collector.access.login_token.encode() not in answer.body


@pytest.mark.parametrize("path", API)
def test_the_api_needs_a_login(collector, path):
    answer = get(collector, f"/api/v1/{path}")

    assert (401, "application/json", "Bearer") == (
        answer.status,
        answer.headers["content-type"],
        answer.headers["www-authenticate"],
    )
    assert ["error"] == list(json.loads(answer.body))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
def test_no_method_bypasses_the_login(collector, method):
    assert get(collector, "/api/v1/overview", method=method).status in (400, 401, 421)


def test_the_link_logs_in(collector):
    answer = get(collector, collector.login_url.removeprefix(collector.url))
    given = answer.headers["set-cookie"]
    page = get(collector, "/", f"Cookie: {given.partition(';')[0]}")

    assert (303, "/") == (answer.status, answer.headers["location"])
    assert {"httponly", "samesite=strict", "path=/"} < {part.strip().lower() for part in given.split(";")}
    assert collector.access.login_token not in given
    assert 200 == page.status


def test_a_link_on_another_site_logs_in(collector):
    answer = get(collector, collector.login_url.removeprefix(collector.url), "Sec-Fetch-Site: cross-site")

    assert (200, True) == (answer.status, "set-cookie" in answer.headers)
    assert b'content="0; url=/"' in answer.body


@pytest.mark.parametrize("token", ["", "wrong", "%00", "%ff%fe", "x" * 4_000, "../../etc/passwd"])
def test_an_invalid_link_is_refused_with_instructions(collector, token):
    answer = get(collector, f"/login?token={token}")

    assert (403, False) == (answer.status, "set-cookie" in answer.headers)
    assert b"scout-core up" in answer.body


def test_an_invalid_token_is_not_echoed(collector):
    assert b"somebodys-secret" not in get(collector, "/login?token=somebodys-secret").body


def test_a_login_without_a_token_or_with_another_method_is_refused(collector):
    assert 403 == get(collector, "/login").status
    assert (
        405 == get(collector, f"/login?token={collector.access.login_token}", "Content-Length: 0", method="POST").status
    )


def test_other_secrets_do_not_log_in(collector):
    access = collector.access
    for secret in (access.ingest_token, access.session):
        assert 403 == get(collector, f"/login?token={secret}").status
        assert 401 == get(collector, "/api/v1/overview", f"Authorization: Bearer {secret}").status
    for secret in (access.ingest_token, access.login_token, "", "x"):
        assert 401 == get(collector, "/", f"Cookie: {access.cookie_name}={secret}").status
    assert 401 == get(collector, "/", f"Cookie: other={access.session}").status


def test_the_login_token_opens_the_api_but_no_page(collector):
    bearer = f"Authorization: Bearer {collector.access.login_token}"

    assert 200 == get(collector, "/api/v1/overview", bearer).status
    assert 401 == get(collector, "/", bearer).status
    assert 401 == get(collector, "/api/v1/overview", bearer, "Authorization: Bearer x").status


def test_the_session_works_together_with_unrelated_cookies(collector):
    others = f'Cookie: theirs="a;b; =;; x; {collector.access.cookie_name}={collector.access.session}; last=\u00e9'

    assert 200 == get(collector, "/", others).status
    assert 200 == get(collector, "/api/v1/overview", others).status


def test_a_ticket_logs_in_once(collector):
    ticket = collector.access.ticket()

    assert [303, 403] == [get(collector, f"/login?token={ticket}").status for _ in range(2)]


def test_a_ticket_expires_after_a_minute(collector):
    late, early = collector.access.ticket(), collector.access.ticket()

    assert not collector.access.may_log_in(late, now=time.monotonic() + 61)
    assert collector.access.may_log_in(early, now=time.monotonic() + 58)


def hosts(port: int) -> dict[str, bool]:
    """Return twenty spellings of a host, and whether each is accepted."""
    return {
        f"127.0.0.1:{port}": True,
        f"localhost:{port}": True,
        f"LocalHost:{port}": True,
        f"LOCALHOST:{port}": True,
        f"[::1]:{port}": True,
        f"localhost.:{port}": False,
        f"127.0.0.1.:{port}": False,
        "127.0.0.1": False,
        "localhost": False,
        "127.0.0.1:80": False,
        f"127.0.0.1:{port + 1}": False,
        f"127.0.0.1:0{port}": False,
        f"127.1:{port}": False,
        f"0.0.0.0:{port}": False,
        f"2130706433:{port}": False,
        f"0x7f.0.0.1:{port}": False,
        f"[::ffff:127.0.0.1]:{port}": False,
        f"[0:0:0:0:0:0:0:1]:{port}": False,
        f"evil.example:{port}": False,
        f"127.0.0.1.evil.example:{port}": False,
        f"localhost.evil.example:{port}": False,
        f"evil.example#localhost:{port}": False,
        f"localhost:{port}@evil.example": False,
        f"user@127.0.0.1:{port}": False,
        f"127.0.0.1:{port}, evil.example": False,
        f"127.0.0.1:{port}:{port}": False,
        "": False,
        "null": False,
    }


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/overview", "/static/style.css", "/login?token=", "/api/v1/reports", "/nothing"]
)
def test_every_route_accepts_only_its_own_host_names(collector, path):
    spellings = hosts(collector.port)
    answered = {host: get(collector, path, cookie(collector), host=host or " ").status for host in spellings}

    assert spellings == {host: status not in (400, 421) for host, status in answered.items()}


def test_a_request_without_or_with_two_host_headers_is_refused(collector):
    none = exchange(collector, b"GET /api/v1/overview HTTP/1.0\r\n\r\n")
    two = get(collector, "/api/v1/overview", f"Host: 127.0.0.1:{collector.port}")

    assert [421, 400] == [none.status, two.status]


@pytest.mark.parametrize(
    "target", ["http://evil.example/", "http://127.0.0.1/", "//evil.example/", "*", "/../api/v1/overview", "/%2e%2e/"]
)
def test_a_target_on_another_host_or_outside_the_root_is_refused(collector, target):
    assert get(collector, target).status in (400, 401, 421)
    assert get(collector, target, cookie(collector)).status in (400, 404, 421)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../access.py",
        "/static/%2e%2e/access.py",
        "/static//etc/passwd",
        "/static/vendor/../../access.py",
        "/static/",
    ],
)
def test_only_files_below_static_are_served(collector, path):
    assert 404 == get(collector, path).status


HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/login?token=x",
        "/api/v1/overview",
        "/api/v1/nothing",
        "/static/style.css",
        "/static/nothing.css",
    ],
)
@pytest.mark.parametrize("logged_in", [True, False])
@pytest.mark.parametrize("host", [None, "evil.example"])
def test_every_response_has_the_security_headers(collector, path, logged_in, host):
    answer = get(collector, path, *[cookie(collector)] * logged_in, host=host)
    wanted = HEADERS | {
        "cache-control": "no-cache" if answer.status == 200 and path.startswith("/static/") else "no-store"
    }

    assert wanted == {name: answer.headers[name] for name in wanted}
    assert "server" not in answer.headers


def test_tokens_are_private_and_survive_a_restart(tmp_path: Path):
    tokens = []
    for _ in range(2):
        with Collector.running(state_dir=tmp_path / "state") as collector:
            tokens.append((collector.access.login_token, collector.access.ingest_token, collector.access.session))

    modes = {stat.S_IMODE((tmp_path / "state" / name).stat().st_mode) for name in (LOGIN_FILE, INGEST_FILE)}

    assert tokens[0] == tokens[1]
    assert 3 == len(set(tokens[0]))
    assert all(len(token) >= 43 for token in tokens[0])
    assert {0o600} == modes


def test_a_removed_or_readable_token_is_replaced(tmp_path: Path):
    first = read_access(tmp_path, port=1)
    (tmp_path / LOGIN_FILE).unlink()
    (tmp_path / INGEST_FILE).chmod(0o644)
    second = read_access(tmp_path, port=1)

    assert first.login_token != second.login_token
    assert first.ingest_token != second.ingest_token
    assert second == read_access(tmp_path, port=1)


@pytest.mark.parametrize("text", ["", "short", "\u00e9" * 60])
def test_an_invalid_token_file_is_replaced(tmp_path: Path, text):
    (tmp_path / LOGIN_FILE).write_text(text)
    (tmp_path / LOGIN_FILE).chmod(0o600)

    assert len(read_access(tmp_path, port=1).login_token) >= 43


def test_a_symbolic_link_in_place_of_a_token_is_not_followed(tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("a" * 60)
    elsewhere.chmod(0o600)
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / LOGIN_FILE).symlink_to(elsewhere)

    made = read_access(tmp_path / "state", port=1).login_token

    assert "a" * 60 != made
    assert "a" * 60 == elsewhere.read_text()


def test_a_state_directory_that_others_can_write_to_is_refused(tmp_path: Path):
    tmp_path.chmod(0o777)
    with pytest.raises(ScoutError, match="others can write to it"):
        read_access(tmp_path, port=1)


def test_secrets_are_not_in_the_repr(collector):
    shown = repr(collector.access) + str(collector.access)

    assert collector.access.login_token not in shown
    assert collector.access.ingest_token not in shown


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_only_loopback_addresses_are_accepted(tmp_path: Path, host):
    with pytest.raises(CollectorError, match="the dashboard serves only this machine"):
        Collector(state_dir=tmp_path, host=host, port=0)


def test_two_collectors_do_not_share_a_cookie(tmp_path: Path):
    with Collector.running(state_dir=tmp_path / "a") as first, Collector.running(state_dir=tmp_path / "b") as second:
        assert first.access.cookie_name != second.access.cookie_name
        assert 401 == get(second, "/", cookie(first)).status
