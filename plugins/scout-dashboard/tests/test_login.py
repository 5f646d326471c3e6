"""Login links, logging out, and the page of the sessions, without a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from visitor import Clock, Visitor, read, visitor_of

from scout_dashboard.access.sessions import COOKIE
from scout_dashboard.access.tickets import MOST_TICKETS
from scout_dashboard.collector import Collector

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def collector(tmp_path: Path, clock: Clock) -> Iterator[Collector]:
    with Collector.running(state_dir=tmp_path / "state", clock=clock) as running:
        yield running


def path_of(link: str) -> str:
    return urlsplit(link).path


def origin_of(collector: Collector) -> str:
    return collector.access.addresses.by_name


def host_of(collector: Collector) -> str:
    return urlsplit(origin_of(collector)).netloc


def test_a_link_shows_a_button_and_then_logs_in_once(collector):
    link, visitor = path_of(collector.new_links().by_name), Visitor(collector)

    shown = visitor.ask(link)
    status, headers, _ = visitor.ask(link, method="POST")
    name, _, value = headers["set-cookie"].partition(";")[0].partition("=")
    visitor.cookie = f"{name}={value}"
    opened = visitor.ask(headers["location"])
    again = visitor.ask(link, method="POST")

    assert (200, False) == (shown[0], "set-cookie" in shown[1])
    assert "Open the dashboard" in read(shown[2]).text
    assert [("post", None)] == [
        (form.attributes["method"], form.attributes.get("action"))
        for form in read(shown[2]).elements
        if form.tag == "form" and "method" in form.attributes and form.attributes["method"] != "dialog"
    ]
    assert (303, "/", COOKIE) == (status, headers["location"], name)
    assert {"httponly", "samesite=strict", "path=/", "max-age=604800"} == {
        part.strip().lower()
        for part in headers["set-cookie"].split(";")[1:]
        if not part.strip().lower().startswith("expires")
    }
    assert 200 == opened[0]
    assert (410, False) == (again[0], "set-cookie" in again[1])


def test_a_preview_does_not_use_the_link_up(collector):
    link, visitor = path_of(collector.new_links().by_name), Visitor(collector)
    previews = [visitor.ask(link, method=method) for method in ("GET", "HEAD", "GET")]

    assert [(200, False)] * 3 == [(status, "set-cookie" in headers) for status, headers, _ in previews]
    assert 303 == visitor.ask(link, method="POST")[0]


def test_a_used_link_names_the_command_for_another_one(collector):
    link, visitor = path_of(collector.new_links().by_name), Visitor(collector)
    visitor.ask(link, method="POST")
    for method in ("GET", "POST"):
        status, _, html = visitor.ask(link, method=method)
        page = read(html)

        assert 410 == status
        assert [] == page.problems
        assert "This link was already used" in page.text
        assert "scout-core open" in page.text
        assert not [element for element in page.elements if element.attributes.get("id") == "logout"]


def test_a_used_link_leads_a_browser_that_is_logged_in_to_the_pages(collector):
    link, visitor = path_of(collector.new_links().by_name), visitor_of(collector)
    visitor.ask(link, method="POST", headers={"Host": host_of(collector), "Origin": origin_of(collector)})
    page = read(visitor.ask(link)[2])

    assert "This link was already used" in page.text
    assert {"/", "/endpoints"} <= {element.attributes.get("href") for element in page.elements}


def test_a_link_expires_after_five_minutes(collector, clock):
    late, early = (path_of(collector.new_links().by_name) for _ in range(2))
    visitor = Visitor(collector)
    clock.now += 299
    in_time = visitor.ask(early, method="POST")[0]
    clock.now += 1
    shown, used = visitor.ask(late), visitor.ask(late, method="POST")

    assert 303 == in_time
    assert [410, 410] == [shown[0], used[0]]
    assert "This link has expired" in read(shown[2]).text
    assert "scout-core open" in read(used[2]).text


def test_a_link_from_the_future_does_not_log_in(collector, clock):
    """The clock was set back: the age of the link is unknown."""
    link = path_of(collector.new_links().by_name)
    clock.now -= 1

    assert 410 == Visitor(collector).ask(link, method="POST")[0]


def test_no_more_than_a_hundred_links_are_valid(collector):
    visitor = Visitor(collector)
    first, *others = (path_of(collector.new_links().by_name) for _ in range(MOST_TICKETS + 1))

    assert [404, 303] == [visitor.ask(link, method="POST")[0] for link in (first, others[0])]


@pytest.mark.parametrize("ticket", ["wrong", "%00", "%ff%fe", "x" * 4_000, "\u00e9".encode().hex()])
def test_an_invalid_link_is_refused_and_not_echoed(collector, ticket):
    for method in ("GET", "POST"):
        status, headers, html = Visitor(collector).ask(f"/login/{ticket}", method=method)

        assert (404, False) == (status, "set-cookie" in headers)
        assert "This link is not valid" in html
        assert "scout-core open" in html
        assert ticket not in html


def test_the_tokens_do_not_log_in(collector):
    access = collector.access
    for secret in (access.login_token, access.ingest_token, access.addresses.secret):
        for path in (f"/login?token={secret}", f"/login/?token={secret}"):
            for host in (host_of(collector), f"127.0.0.1:{collector.port}"):
                status, headers, _ = Visitor(collector).ask(path, headers={"Host": host})

                assert status in (307, 401, 404)
                assert "set-cookie" not in headers
        assert 404 == Visitor(collector).ask(f"/login/{secret}", method="POST")[0]


def test_the_links_of_both_addresses_have_the_same_ticket(collector):
    links, secret, port = collector.new_links(), collector.access.addresses.secret, collector.port
    ticket = links.by_name.rpartition("/")[2]
    headers = {"Host": f"127.0.0.1:{port}", "Origin": f"http://127.0.0.1:{port}"}

    status, answer, _ = Visitor(collector).ask(path_of(links.by_ip), method="POST", headers=headers)

    assert f"http://{secret}.localhost:{port}/login/{ticket}" == links.by_name
    assert f"http://127.0.0.1:{port}/{secret}/login/{ticket}" == links.by_ip
    assert (303, f"/{secret}/") == (status, answer["location"])
    assert f"; Path=/{secret}/;" in answer["set-cookie"]


def test_a_login_replaces_the_session_of_the_same_browser_only(collector):
    visitor, other = visitor_of(collector), visitor_of(collector)
    before = visitor.cookie
    link = path_of(collector.new_links().by_name)

    _, headers, _ = visitor.ask(link, method="POST")
    visitor.cookie = headers["set-cookie"].partition(";")[0]
    replaced = Visitor(collector, before)

    assert [200, 401, 200] == [each_of.ask("/")[0] for each_of in (visitor, replaced, other)]
    assert 2 == len(collector.access.sessions.current())


def post(collector: Collector, path: str, **headers: str) -> tuple[int, dict]:
    """Post to the API with the login token."""
    connection = HTTPConnection("127.0.0.1", collector.port, timeout=20)
    try:
        connection.request("POST", path, headers={"Content-Length": "0", **headers})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_only_the_login_token_makes_links(collector):
    access = collector.access
    status, links = post(collector, "/api/v1/links", Authorization=f"Bearer {access.login_token}")
    cookie = f"{COOKIE}={access.sessions.begin('a browser')}"

    assert (201, 300, {"by_name", "by_ip", "valid_seconds"}) == (status, links["valid_seconds"], set(links))
    assert 303 == Visitor(collector).ask(path_of(links["by_name"]), method="POST")[0]
    assert 401 == post(collector, "/api/v1/links")[0]
    assert 401 == post(collector, "/api/v1/links", Authorization=f"Bearer {access.ingest_token}")[0]
    assert (
        401 == post(collector, "/api/v1/links", Cookie=cookie, Host=host_of(collector), Origin=origin_of(collector))[0]
    )


def ids(collector: Collector) -> list[str]:
    return [session.id for session in collector.access.sessions.current()]


def test_the_page_lists_the_sessions_and_marks_this_one(collector, clock):
    agents = {"Chrome 142 on Linux": CHROME, "curl/8.5.0": "curl/8.5.0"}
    for agent in agents.values():
        headers = {"Host": host_of(collector), "Origin": origin_of(collector), "User-Agent": agent}
        _, answer, _ = Visitor(collector).ask(path_of(collector.new_links().by_name), method="POST", headers=headers)
        clock.now += 60
    visitor = Visitor(collector, answer["set-cookie"].partition(";")[0])
    page = visitor.page("/sessions")
    actions = [element.attributes["action"] for element in page.elements if "action" in element.attributes]

    assert [] == page.problems
    assert "curl/8.5.0 this browser 15 Jan 08:01 15 Jan 08:02" in page.text
    assert "Chrome 142 on Linux 15 Jan 08:00 15 Jan 08:00" in page.text
    assert ["/logout", *(f"/sessions/{id}/end" for id in ids(collector)), "/sessions/end"] == actions


def test_logging_out_ends_the_session_of_this_browser_only(collector):
    visitor, other = visitor_of(collector), visitor_of(collector)
    status, headers, html = visitor.ask("/logout", method="POST")

    assert 200 == status
    assert f'{COOKIE}=""' in headers["set-cookie"]
    assert "Logged out" in read(html).text
    assert "scout-core open" in read(html).text
    assert [401, 200] == [visitor.ask("/")[0], other.ask("/")[0]]


def test_another_browser_can_be_logged_out(collector, clock):
    other = visitor_of(collector)
    clock.now += 1
    visitor = visitor_of(collector)
    mine, theirs = ids(collector)

    ended = visitor.ask(f"/sessions/{theirs}/end", method="POST")
    unknown = visitor.ask("/sessions/0123456789abcdef/end", method="POST")

    assert [(303, "/sessions")] * 2 == [(status, headers["location"]) for status, headers, _ in (ended, unknown)]
    assert [200, 401] == [visitor.ask("/")[0], other.ask("/")[0]]
    assert "Logged out" in read(visitor.ask(f"/sessions/{mine}/end", method="POST")[2]).text
    assert 401 == visitor.ask("/")[0]


def test_all_browsers_can_be_logged_out(collector):
    visitors = [visitor_of(collector) for _ in range(3)]

    assert "Logged out" in read(visitors[0].ask("/sessions/end", method="POST")[2]).text
    assert [401] * 3 == [visitor.ask("/")[0] for visitor in visitors]


@pytest.mark.parametrize("path", ["/login/TICKET", "/logout", "/sessions/ID/end", "/sessions/end"])
@pytest.mark.parametrize(
    "origin",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:5000"},
        {"Origin": "http://localhost:5000"},
        {"Origin": "OURS:1"},
        {"Origin": "https://HOST"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://HOST"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:5000"},
    ],
    ids=str,
)
def test_a_form_of_another_page_changes_nothing(collector, path, origin):
    visitor = visitor_of(collector)
    ticket = path_of(collector.new_links().by_name).rpartition("/")[2]
    path = path.replace("TICKET", ticket).replace("ID", ids(collector)[0])
    headers = {
        name: value.replace("HOST", host_of(collector)).replace("OURS", origin_of(collector))
        for name, value in origin.items()
    }
    headers |= {"Host": host_of(collector), "Cookie": visitor.cookie}

    status, answer, html = visitor.ask(path, method="POST", headers=headers)

    assert (403, False) == (status, "set-cookie" in answer)
    assert "did not come from a page of the dashboard" in html
    assert 200 == visitor.ask("/")[0]
    assert 303 == visitor.ask(f"/login/{ticket}", method="POST")[0]


@pytest.mark.parametrize(
    "origin",
    [
        {"Origin": "http://HOST"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://HOST"},
    ],
)
def test_a_form_of_our_own_page_is_accepted(collector, origin):
    """Older browsers send only one of the two headers."""
    visitor = visitor_of(collector)
    headers = {name: value.replace("HOST", host_of(collector)) for name, value in origin.items()}

    assert (
        200
        == visitor.ask(
            "/logout", method="POST", headers={**headers, "Host": host_of(collector), "Cookie": visitor.cookie}
        )[0]
    )
    assert 401 == visitor.ask("/")[0]


@pytest.mark.parametrize("path", ["/logout", "/sessions/end", "/sessions/0123456789abcdef/end"])
def test_a_link_cannot_log_out(collector, path):
    visitor = visitor_of(collector)

    assert 405 == visitor.ask(path)[0]
    assert 200 == visitor.ask("/")[0]
