from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_core.text.hosts import Host, HostList, host_of, is_signed, matches


@pytest.mark.parametrize(
    "url, host",
    [
        ("http://shop.example/a?b#c", ("shop.example", "80")),
        ("HTTPS://Shop.Example", ("shop.example", "443")),
        ("https://ada:love@lace@shop.example:8443/@x:1", ("shop.example", "8443")),
        ("http://shop.example?url=http://other/", ("shop.example", "80")),
        ("http://shop.example#@other", ("shop.example", "80")),
        ("http://shop.example\\@other", ("shop.example", "80")),
        ("http://shop.example./", ("shop.example", "80")),
        ("http://[2001:DB8::1]:8080/", ("2001:db8::1", "8080")),
        ("https://[::1]", ("::1", "443")),
        ("::1", ("::1", "")),
        ("shop.example:8080", ("shop.example", "8080")),
        ("//shop.example/a", ("shop.example", "")),
        ("wss://shop.example", ("shop.example", "443")),
        ("/only/a/path", ("", "")),
        ("", ("", "")),
    ],
)
def test_hosts_of_urls(url, host):
    assert Host(*host) == host_of(url)


@pytest.mark.parametrize(
    "included, excluded, url, expected",
    [
        (["*"], [], "https://a.example/", True),
        (["*"], ["*.example"], "https://a.example/", False),
        (["*.shop.example"], [], "https://api.shop.example:8443/", True),
        (["*.shop.example"], [], "https://shop.example/", False),
        (["*.shop.example"], [], "https://api.shop.example.evil.test/", False),
        (["*.shop.example"], [], "https://evil.test/?.shop.example", False),
        (["*.shop.example"], [], "https://evil.test\\@api.shop.example/", False),
        (["SHOP.example"], [], "http://shop.EXAMPLE:80/", True),
        (["shop.example:8080"], [], "http://shop.example:8080/", True),
        (["shop.example:8080"], [], "http://shop.example/", False),
        (["shop.example:443"], [], "https://shop.example/", True),
        (["localhost:*"], [], "http://localhost:1234", True),
        (["https://shop.example/api"], [], "http://shop.example:81/", True),
        (["[::1]:8080", "::2"], [], "http://[::1]:8080/", True),
        (["[::1]:8080", "::2"], [], "http://[::2]:9/", True),
        (["10.0.*.7"], [], "http://10.0.3.7/", True),
        ([], [], "http://10.0.3.7/", False),
        (["*"], ["shop.example"], "/only/a/path", True),
        (["shop.example"], [], "/only/a/path", False),
    ],
)
def test_hosts_that_are_listed_or_excluded(included, excluded, url, expected):
    assert expected is HostList(included, excluded).includes(url)


@pytest.mark.parametrize(
    "url, expected",
    [
        ("https://b.example/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=ab", True),
        ("/k?x-amz-security-token=1", True),
        ("https://b.example/k?AWSAccessKeyId=AKIA&Signature=x", True),
        ("https://b.example/X-Amz-Signature", False),
        ("https://b.example/", False),
        ("https://b.example/?page=2", False),
    ],
)
def test_signed_urls(url, expected):
    assert expected is is_signed(url)


@given(st.text("ab*", max_size=8), st.text("ab", max_size=8))
def test_a_star_stands_for_any_characters(pattern, text):
    expected = {(0, 0)}
    for step, character in enumerate(pattern):  # the positions that each prefix of the pattern can reach
        reached = {place for at, place in expected if at == step}
        expected |= {
            (step + 1, after)
            for place in reached
            for after in (range(place, len(text) + 1) if character == "*" else [place + 1] if text[place : place + 1] == character else [])
        }  # fmt: skip

    assert ((len(pattern), len(text)) in expected) is matches(text, pattern)
