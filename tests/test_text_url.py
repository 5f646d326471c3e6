from __future__ import annotations

import random
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scout_core.text.url import UNREADABLE, public_url

TOKEN = "".join(random.Random(5).choices(string.ascii_letters + string.digits, k=32))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com", "https://example.com"),
        ("https://example.com/", "https://example.com/"),
        (" https://Example.com:8443/a/b.html?c=d&e#f ", "https://Example.com:8443/a/b.html"),
        ("http://example.com?c=d", "http://example.com"),
        ("http://example.com#f/g", "http://example.com"),
        ("http://ann@example.com/a", "http://example.com/a"),
        ("http://ann:hunter2@example.com:80/a", "http://example.com:80/a"),
        ("http://ann:p@ss@example.com/a", "http://example.com/a"),
        ("http://:hunter2@[::1]:8080/a", "http://[::1]:8080/a"),
        ("http://[fe80::1%25eth0]:8080/a?b", "http://[fe80::1%25eth0]:8080/a"),
        ("http://ann:x@[fe80::1%eth0.100]/a", "http://[fe80::1%eth0.100]/a"),
        ("//[fe80::abcd%12]", "//[fe80::abcd%12]"),
        ("http://127.0.0.1:5000/a/../b", "http://127.0.0.1:5000/a/../b"),
        ("http+unix://%2Fvar%2Frun%2Fdocker.sock/info", "http+unix://%2Fvar%2Frun%2Fdocker.sock/info"),
        ("//example.com/a?b", "//example.com/a"),
        ("/a/b?c", "/a/b"),
        ("https://exämple.com/straße/%C3%A9/a b", "https://exämple.com/straße/%C3%A9/a b"),
        ("http://localhost:8080/@ann/ann@example.com", "http://localhost:8080/@ann/ann@example.com"),
        # what is an id and not a secret
        (
            "/orders/17/items/550e8400-e29b-41d4-a716-446655440000",
            "/orders/17/items/550e8400-e29b-41d4-a716-446655440000",
        ),
        ("/users/507f1f77bcf86cd799439011", "/users/507f1f77bcf86cd799439011"),
        ("/v1/projects/shop:generateToken", "/v1/projects/shop:generateToken"),
        ("/auth/login", "/auth/login"),
        ("/oauth2/v2.0/token", "/oauth2/v2.0/token"),
        # secrets in the path
        (f"https://example.com/reset/{TOKEN}/confirm", "https://example.com/reset/[FILTERED]/confirm"),
        (f"https://example.com/reset/%4{ord(TOKEN[0]) % 16:X}{TOKEN}", "https://example.com/reset/[FILTERED]"),
        ("https://example.com/token/abc123/use", "https://example.com/token/[FILTERED]/use"),
        (
            "https://example.com/cart;jsessionid=abc;a=b/items",
            "https://example.com/cart;jsessionid=[FILTERED];a=b/items",
        ),
        (
            "https://example.com/proxy/http://ann:hunter2@internal/a",
            "https://example.com/proxy/http://[FILTERED]@internal/a",
        ),
        ("https://example.com/pay/4111111111111111", "https://example.com/pay/[FILTERED]"),
        (f"https://api.telegram.org/bot123456789:{TOKEN}abc/getMe", "https://api.telegram.org/[FILTERED]/getMe"),
        (
            f"https://hooks.slack.com/services/T0A1B2C3D/B0A1B2C3D/{TOKEN}",
            "https://hooks.slack.com/services/[FILTERED]",
        ),
    ],
)
def test_what_is_shown_of_a_url(url, shown):
    assert shown == public_url(url)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "example.com/a",
            "ann:hunter2@example.com/a",
            "mailto:ann@example.com",
            "data:text/plain;base64,aHVudGVyMg==",
        ),
        *(
            "http://",
            "http:///a",
            "http://ann:hunter2@",
            "http://ann:hun/ter2@example.com",
            "http://ann:hun?ter2@example.com",
        ),
        *("http://ann:hun#ter2@example.com", "http://ann:p@ss/word@example.com/", "http://example.com:99999999/a"),
        *(
            "http://[::1/a",
            "http://[fe80::1%]/a",
            "http://[fe80::1%e th]/a",
            "http://[fe80::1%" + "e" * 40 + "]/a",
            "http://exa mple.com/",
            "http://example.com\\@evil/a",
            "http://ann%3Ahunter2%40example.com/",
        ),
        *("http://example.com/a\nb", "http://" + "a" * 20_000, "javascript:alert(1)"),
    ],
)
def test_what_cannot_be_taken_apart_for_certain_is_not_shown(url):
    assert public_url(url) == UNREADABLE


def test_a_long_url_is_cut():
    shown = public_url("https://example.com/" + "a/" * 3_000)

    assert len(shown) == 2_000
    assert shown.endswith("/a…")


URL_TEXT = st.text(st.sampled_from("ab1:/@?#[]%. \\;=&-é\ud800\n"), max_size=40)


@settings(max_examples=120, deadline=None)
@given(URL_TEXT | st.text() | URL_TEXT.map("http://{}".format))
@example("http://[")
@example("http://\ud800@h/")
def test_anything_gives_a_text_that_can_be_sent(url):
    shown = public_url(url)

    shown.encode("utf-8")
    assert "?" not in shown
    assert "#" not in shown
    assert len(shown) <= 2_000


@settings(max_examples=120, deadline=None)
@given(st.text("qzxQZX019!$&'()*+,;=:%@", min_size=3), st.text("qzxQZX019!$&'()*+,;=:%@?#", min_size=3))
def test_no_user_no_password_and_no_query_is_shown(password, query):
    shown = public_url(f"http://ann:{password}@example.com/a?{query}#{query}")

    assert shown == "http://example.com/a"
