from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from visitor import read
from wire_client import Answer, exchange

from scout_core.errors import ScoutError
from scout_core.sending.protocol import LOGIN_FILE
from scout_dashboard.access import INGEST_FILE, read_access
from scout_dashboard.access.addresses import ADDRESS_FILE
from scout_dashboard.access.sessions import COOKIE
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
    """Ask the collector at the address of its pages, or as another host."""
    given = name_of(collector) if host is None else host
    first = [f"{method} {path} HTTP/1.1", f"Host: {given}", "Connection: close", *lines]
    return exchange(collector, ("\r\n".join(first) + "\r\n\r\n").encode("latin-1"))


def name_of(collector: Collector) -> str:
    return collector.access.addresses.by_name.removeprefix("http://")


def cookie(collector: Collector) -> str:
    return f"Cookie: {COOKIE}={collector.access.sessions.begin('a browser')}"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_needs_a_login(collector, path):
    answer = get(collector, path)

    assert 401 == answer.status
    assert b"<code>scout-core open</code>" in answer.body
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


def test_only_the_login_token_opens_the_api(collector):
    access = collector.access
    session = access.sessions.begin("a browser")

    assert 200 == get(collector, "/api/v1/overview", f"Authorization: Bearer {access.login_token}").status
    for secret in (access.ingest_token, session, access.addresses.secret, access.tickets.issue(), "", "x"):
        assert 401 == get(collector, "/api/v1/overview", f"Authorization: Bearer {secret}").status
    bearer = f"Authorization: Bearer {access.login_token}"
    assert 401 == get(collector, "/api/v1/overview", bearer, "Authorization: Bearer x").status
    assert 401 == get(collector, "/api/v1/overview", f"Cookie: {COOKIE}={session}").status


def test_only_a_session_opens_pages_and_their_data(collector):
    access = collector.access

    for path in ("/", "/json/overview", "/sessions"):
        assert 200 == get(collector, path, cookie(collector)).status
        assert 401 == get(collector, path, f"Authorization: Bearer {access.login_token}").status
        for secret in (
            access.ingest_token,
            access.login_token,
            access.addresses.secret,
            access.tickets.issue(),
            "",
            "x",
        ):
            assert 401 == get(collector, path, f"Cookie: {COOKIE}={secret}").status
        assert 401 == get(collector, path, cookie(collector).replace(COOKIE, "other")).status


def test_any_valid_cookie_of_the_name_counts_among_others(collector):
    name, value = cookie(collector).removeprefix("Cookie: ").split("=")
    others = f'theirs="a;b; =;; x; {name}=; {name}=theirs; {name}={value}; {name}={"x" * 43}; last=\u00e9'

    assert 200 == get(collector, "/", f"Cookie: {others}").status
    assert 200 == get(collector, "/", f"Cookie: {name}=theirs", f"Cookie: {name}={value}").status


def test_pages_are_only_at_the_name_and_below_the_secret_path(collector):
    port, secret, given = collector.port, collector.access.addresses.secret, cookie(collector)
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"):
        answers = {path: get(collector, path, given, host=host) for path in ("/", "/json/overview", f"/{'a' * 26}/")}
        below = get(collector, f"/{secret}/", given, host=host)
        stranger = get(collector, f"/{secret}/", host=host)
        bare = get(collector, f"/{secret}", given, host=host)

        assert [401] * 3 == [answer.status for answer in answers.values()]
        assert secret.encode() not in b"".join(answer.body for answer in answers.values())
        assert (200, 401) == (below.status, stranger.status)
        assert (308, f"/{secret}/") == (bare.status, bare.headers["location"])
    assert 404 == get(collector, f"/{secret}/", given).status


def test_every_address_below_the_secret_path_begins_with_it(collector):
    """Links, files, forms and redirects, or the browser would leave the path to which its cookie is limited."""
    base, host, given = f"/{collector.access.addresses.secret}", f"127.0.0.1:{collector.port}", cookie(collector)
    asked = ("/", "/endpoints", "/nothing", "/sessions", "/health?range=7d", "/endpoint", "/?range=2y", "/static/none")
    pages = [read(get(collector, base + path, given, host=host).body.decode()) for path in asked]
    elements = [element.attributes for page in pages for element in page.elements]
    found = {facts[name] for facts in elements for name in ("href", "src", "action") if name in facts} - {"#main"}
    linked = sorted(address for address in found if "range=2y" not in address)
    statuses = {get(collector, address, given, host=host).status for address in linked}
    slash = get(collector, f"{base}/endpoints/", given, host=host)

    assert [] == [address for address in found if not address.startswith(f"{base}/") or address.count(base) > 1]
    assert len(linked) > 20
    assert {200, 405} == statuses, "a form's address accepts only POST"
    assert f"http://{host}{base}/endpoints" == slash.headers["location"]


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


def own_names(collector: Collector) -> dict[str, bool]:
    """Return spellings of the secret name."""
    name, port = name_of(collector), collector.port
    return {
        name: True,
        name.upper(): True,
        name.partition(":")[0]: False,
        name.replace(".localhost", ""): False,
        name.replace(".localhost", ".localhost."): False,
        name.replace(".localhost", ".example"): False,
        f"sub.{name}": False,
        name[1:]: False,
        f"x{name[1:]}" if name[0] != "x" else f"y{name[1:]}": False,
        f"app.localhost:{port}": False,
    }


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/overview", "/static/style.css", "/login/x", "/api/v1/reports", "/nothing"]
)
def test_every_route_accepts_only_its_own_host_names(collector, path):
    spellings = hosts(collector.port) | own_names(collector)
    answered = {host: get(collector, path, cookie(collector), host=host or " ").status for host in spellings}

    assert spellings == {host: status not in (400, 421) for host, status in answered.items()}


def test_a_request_without_or_with_two_host_headers_is_refused(collector):
    none = exchange(collector, b"GET /api/v1/overview HTTP/1.0\r\n\r\n")
    two = get(collector, "/api/v1/overview", f"Host: {name_of(collector)}")

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
        "/static/main.js/",
        "/static//main.js",
        "/static/./main.js",
        "/static/vendor/../main.js",
        "/static/main.js%2f",
    ],
)
def test_only_files_below_static_are_served(collector, path):
    assert 404 == get(collector, path).status


HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/login/x",
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
            access = collector.access
            tokens.append((access.login_token, access.ingest_token, access.addresses.secret))

    files = (LOGIN_FILE, INGEST_FILE, ADDRESS_FILE)
    modes = {stat.S_IMODE((tmp_path / "state" / name).stat().st_mode) for name in files}

    assert tokens[0] == tokens[1]
    assert 3 == len(set(tokens[0]))
    assert [43, 43, 26] == [len(token) for token in tokens[0]]
    assert {0o600} == modes


def test_a_removed_or_readable_token_is_replaced(tmp_path: Path):
    first = read_access(tmp_path, port=1)
    (tmp_path / LOGIN_FILE).unlink()
    (tmp_path / INGEST_FILE).chmod(0o644)
    (tmp_path / ADDRESS_FILE).write_text("UPPER.case")
    second = read_access(tmp_path, port=1)

    assert first.login_token != second.login_token
    assert first.ingest_token != second.ingest_token
    assert first.addresses != second.addresses
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
    assert collector.access.addresses.secret not in shown


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_only_loopback_addresses_are_accepted(tmp_path: Path, host):
    with pytest.raises(CollectorError, match="the dashboard serves only this machine"):
        Collector(state_dir=tmp_path, host=host, port=0)


def test_two_collectors_do_not_share_an_address(tmp_path: Path):
    with Collector.running(state_dir=tmp_path / "a") as first, Collector.running(state_dir=tmp_path / "b") as second:
        given = cookie(first)

        assert first.access.addresses.secret != second.access.addresses.secret
        assert 421 == get(second, "/", given, host=name_of(first)).status
        assert 401 == get(second, "/", given).status
