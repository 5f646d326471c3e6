"""URLs and paths in sentences: no query, no user and no secret of one is shown, and the sentence stays."""

from __future__ import annotations

import time

import pytest
import requests
import urllib3
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scout_core.text.links import clean_paths, clean_urls
from scout_core.text.message import error_message
from scout_core.text.tags import clean_tags
from scout_core.text.url import UNREADABLE


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "404 Client Error: Not Found for url: http://h/search?q=ann%40example.com",
            "404 Client Error: Not Found for url: http://h/search",
        ),
        (
            "500 Server Error for url: https://h:8443/token/4f2a91b7",
            "500 Server Error for url: https://h:8443/token/[FILTERED]",
        ),
        (
            "HTTPConnectionPool(host='h', port=80): Max retries exceeded with url: /search?q=ann (Caused by X)",
            "HTTPConnectionPool(host=?, port=80): Max retries exceeded with url: /search (Caused by X)",
        ),
        ("with url: /token/4f2a91b7?q=ann (Caused by X)", "with url: /token/[FILTERED] (Caused by X)"),
        ("with url: /search?q=o'brien (Caused by X)", "with url: /search (Caused by X)"),
        # several, among punctuation
        (
            "http://a/b?c=d, http://[::1]:80/x?y. Or (http://h/z?q=ann)!",
            "http://a/b, http://[::1]:80/x. Or (http://h/z)!",
        ),
        ("got http://h/find?q=(ann) (twice)", "got http://h/find (twice)"),
        ("is it http://[::1]?q=ann", "is it http://[::1]"),
        ("at <http://h/a?b=c>;", "at <http://h/a>;"),
        ("url=http://h/a?b=c#d, to:http://h/e?f", "url=http://h/a, to:http://h/e"),
        ("1http://h/?q=ann", "1http://h/"),
        ("moved to /login?next=/cart#top.", "moved to /login."),
        ("moved to /login#user=ann", "moved to /login"),
        (r"body {http:\/\/h\/find?q=ann}", r"body {http:\/\/h\/find}"),
        # without a scheme, a server or a path
        ("cannot reach //ann:hunter2@h/find?q=ann", "cannot reach //h/find"),
        ("cannot reach h.example:80/find?q=ann", "cannot reach h.example:80/find"),
        ("cannot reach ann:hunter2@h.example/x", "cannot reach [FILTERED]/x"),
        ("cannot reach find?q=ann&r=1 now", "cannot reach find now"),
        ("query ?q=ann", "query"),
        # users and other schemes
        ("ftp://ann:hunter2@h/a refused", "ftp://h/a refused"),
        ("postgresql+psycopg://u:p@h:5432/db?sslmode=on refused", "postgresql+psycopg://h:5432/db refused"),
        ("unable to open sqlite:///srv/shop.db?mode=ro", "unable to open sqlite:///srv/shop.db"),
        ("Perhaps you meant https:///search?q=ann?", "Perhaps you meant https:///search?"),
        ("No host in http:///a?b=c@d/e", f"No host in {UNREADABLE}"),
        ("bad http://ann:hun/ter2 and more", f"bad {UNREADABLE} and more"),
        ("bad ://?q=ann", f"bad {UNREADABLE}"),
        # what is not a URL, or has nothing to hide
        ("either/or? a//b, text/html; 5/6, and so on", "either/or? a//b, text/html; 5/6, and so on"),
        ("see org/repo#12, /etc/hosts and http://h/a", "see org/repo#12, /etc/hosts and http://h/a"),
        ("is it /etc/hosts? No.", "is it /etc/hosts? No."),
        ("WHERE a=? AND b = ? why?", "WHERE a=? AND b = ? why?"),
        ("a :// b", f"a {UNREADABLE} b"),
    ],
)
def test_urls_in_messages(message, shown):
    assert shown == error_message(ValueError(message)).rstrip()
    assert shown == clean_paths(clean_urls(shown))


def test_real_errors_of_http_clients():
    response = requests.Response()
    response.status_code, response.reason, response.url = (
        404,
        "Not Found",
        "http://h/reset/token/4f2a91b7?q=ann%40example.com",
    )
    with pytest.raises(requests.HTTPError) as not_found:
        response.raise_for_status()
    with urllib3.PoolManager(retries=False) as manager, pytest.raises(urllib3.exceptions.HTTPError) as refused:
        manager.request("GET", "http://127.0.0.1:1/search?q=ann", retries=urllib3.Retry(0))
    with pytest.raises(requests.exceptions.MissingSchema) as no_scheme:
        requests.get("/search?q=ann", timeout=1)

    assert "404 Client Error: Not Found for url: http://h/reset/token/[FILTERED]" == error_message(not_found.value)
    assert "ann" in str(refused.value)
    assert "with url: /search (Caused by" in error_message(refused.value)
    assert "ann" in str(no_scheme.value)
    assert "ann" not in error_message(no_scheme.value)


def test_urls_in_tags():
    """A path keeps its query, which has been filtered."""
    tags = {
        "referer": "http://ann:x@h/find?q=ann",
        "note": "from http://h/token/4f2a91b7?a=b, twice",
        "path": "/go?to=http%3A//h/a%3Fb%3Dc",
        "target": "/find?q=tea",
    }

    assert (
        {**tags, "referer": "http://h/find", "note": "from http://h/token/[FILTERED], twice"},
        0,
    ) == clean_tags(tags)


VALUE = st.text("qzxQZX019!$&()*+,;=:@/-._~%", min_size=3, max_size=30)
AROUND = st.sampled_from(["{}", "for url: {}", "({}).", "<{}>", "a {}, b", "url={} (Caused by X)", "see '{}'!"])


@settings(max_examples=150, deadline=None)
@given(
    VALUE.filter(lambda value: any(map(str.isalnum, value))),
    AROUND,
    st.sampled_from(["http://h.example", "https://ann:pw@h:80", "http://[::1]", "//h", "h.example", ""]),
    st.sampled_from(["/a?{}", "/a/b?n={}", "/?{}&m={}"]),
)
def test_no_query_survives(value, around, server, place):
    url = server + place.format(value, value)
    shown = error_message(ValueError(around.format(url)))

    assert not any(run in shown for run in (value[at : at + 3] for at in range(len(value) - 2)) if run.isalnum())


@settings(max_examples=150, deadline=None)
@given(
    st.text()
    | st.text("ab1:/@?#[]%. =&'\"()<>\\-", max_size=60)
    | st.text("ab:/@?#= ", max_size=30).map("at http://{}".format)
)
@example("a://[::1?b")
@example("http://[?a=b]")
def test_anything_gives_a_text_that_stays_the_same(text):
    for clean in (clean_urls, clean_paths):
        once = clean(text)

        assert once == clean(once)


@pytest.mark.parametrize(
    "unit", ["a", "://", "a:", "/", "?a", "#", "http://h/#", "a/", "'", "sqlite:///#", "?a=", "@", "-", "("]
)
def test_time_grows_with_the_length_only(unit):
    def seconds(clean, length):
        text = "http:///" + unit * (length // len(unit))
        began = time.thread_time()
        clean(text)
        return time.thread_time() - began

    def growth(clean):
        return seconds(clean, 60_000) / max(1e-4, min(seconds(clean, 5_000), seconds(clean, 5_000)))

    for clean in (clean_urls, clean_paths):
        assert any(growth(clean) < 60 for _ in range(3))
