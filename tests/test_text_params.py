from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scout_core.text.params import filtered_path, is_sensitive
from scout_core.text.secrets import scrub


@pytest.mark.parametrize(
    ("path", "query", "shown"),
    [
        ("/", "", "/"),
        ("", "", ""),
        ("/a", "b=2&a=1", "/a?a=1&b=2"),
        ("/a", "a=2&a=1&a=2", "/a?a=1&a=2&a=2"),
        ("/a", "b&a=&=c", "/a?=c&a=&b="),
        ("/a", "password=hunter2&user=ann", "/a?password=[FILTERED]&user=ann"),
        ("/a", "PassWord=&API-Key=x", "/a?API-Key=[FILTERED]&PassWord=[FILTERED]"),
        ("/a", "card[number]=4&user[name]=ann", "/a?card[number]=[FILTERED]&user[name]=ann"),
        ("/a", "%70assword=hunter2", "/a?password=[FILTERED]"),
        ("/a", "pass%77ord=hunter%32", "/a?password=[FILTERED]"),
        ("/a", "q=caf%C3%A9+noir%26", "/a?q=caf%C3%A9+noir%26"),
        ("/a", "q=%zz%E9%", "/a?q=%25zz%EF%BF%BD%25"),
        ("/a", "q=é", "/a?q=%C3%A9"),
        # bytes of UTF-8 as characters, as a WSGI server hands them out; beside those that are percent-encoded
        ("/a", "q=caf\u00c3\u00a9", "/a?q=caf%C3%A9"),
        ("/a", "q=\u00e6\u00bc\u00a2+%C3%A9&\u00c3\u00bc=1", "/a?q=%E6%BC%A2+%C3%A9&%C3%BC=1"),
        ("/a", "q=\u00ff\u00fe", "/a?q=%C3%BF%C3%BE"),
        ("/a", "q=漢\u00c3\u00a9", "/a?q=%E6%BC%A2%C3%83%C2%A9"),
        ("/a", "next=%2Flogin%3Ftoken%3Dabc", "/a?next=/login%3Ftoken%3D[FILTERED]"),
        ("/a", "to=https://ann:hunter2@example.com/", "/a?to=https%3A//[FILTERED]%40example.com/"),
        ("/a", "h=Bearer+abc123", "/a?h=Bearer+[FILTERED]"),
        ("/a", "n=4111+1111+1111+1111", "/a?n=[FILTERED]"),
        ("/a", "state=mF9B5f41JqMx7Wq2Lp8Zr", "/a?state=[FILTERED]"),
        # codes of OAuth, and other codes
        ("/callback", "code=4f2a&state=x1", "/callback?code=[FILTERED]&state=x1"),
        ("/callback", "state=x1&code=SplxlOBe", "/callback?code=[FILTERED]&state=x1"),
        ("/callback", "code=4/P7q7&scope=email+profile", "/callback?code=[FILTERED]&scope=email+profile"),
        ("/callback", "iss=https://as.example&Code=x", "/callback?Code=[FILTERED]&iss=https%3A//as.example"),
        (
            "/token",
            "grant_type=authorization_code&code=a&code=b",
            "/token?code=[FILTERED]&code=[FILTERED]&grant_type=authorization_code",
        ),
        (
            "/a",
            "code_verifier=abc&device_code=GmRh&SAMLResponse=PHNh",
            "/a?SAMLResponse=[FILTERED]&code_verifier=[FILTERED]&device_code=[FILTERED]",
        ),
        ("/a", "code=SE&zipcode=94103&q=state", "/a?code=SE&q=state&zipcode=94103"),
        ("/a", "postcode=N1&state=CA", "/a?postcode=N1&state=CA"),
        ("/a", "to=https://h/cb?code%3Dabc%26state%3Dxyz", "/a?to=https%3A//h/cb%3Fcode%3D[FILTERED]%26state%3Dxyz"),
        ("/a", "monkey=1&keyboard=de&author=ann", "/a?author=ann&keyboard=de&monkey=1"),
        ("/a", "a=1#fragment", "/a?a=1"),
        # the path itself
        ("/a b/ü/%41", "", "/a b/ü/%41"),
        ("/a?token=abc", "", "/a"),
        ("/a#b", "", "/a"),
        ("/token/abc123", "", "/token/[FILTERED]"),
        ("/cart;jsessionid=abc/x", "", "/cart;jsessionid=[FILTERED]/x"),
        ("http://ann:hunter2@example.com/a", "b=c", "/a?b=c"),
        ("http://ann:hun/ter2@example.com/a", "", "/a"),
        ("//ann:hunter2@example.com/a", "", "/a"),
        ("//a//b", "", "//a//b"),
        ("*", "", "*"),
    ],
)
def test_a_path_with_its_parameters(path, query, shown):
    assert shown == filtered_path(path, query)
    assert scrub(shown) == shown


def test_the_parameters_can_be_left_out():
    assert filtered_path("/a", "b=c", with_query=False) == "/a"


def test_what_is_long_is_cut_without_showing_half_a_secret():
    shown = filtered_path("/a", "a=" + "x" * 9_000 + "&token=" + "y" * 9_000)

    assert len(shown) <= 2_000
    assert "y" not in shown
    assert filtered_path("/" + "a/" * 5_000, "") == "/" + "a/" * 999 + "…"
    assert len(filtered_path("/a", "&".join(f"k{n:04}=v" for n in range(1_000)))) == 2_000


def test_is_sensitive_can_be_had_from_here():
    assert is_sensitive("password")


QUERY = st.text(st.sampled_from("ab&=%+;#25CE\ud800é "), max_size=30)


@settings(max_examples=120, deadline=None)
@given(st.text() | QUERY, QUERY | st.text())
@example("\ud800", "\ud800=\udfff")
def test_anything_gives_a_text_that_can_be_sent(path, query):
    shown = filtered_path(path, query)

    shown.encode("utf-8")
    assert len(shown) <= 2_000


@settings(max_examples=120, deadline=None)
@given(
    st.text(min_size=1),
    st.sampled_from(["password", "x[token]", "apiKey", "Session-Id"]),
    st.lists(st.sampled_from(["a=1", "b"])),
)
def test_no_value_of_a_sensitive_key_is_shown(value, key, others):
    encoded = "".join(f"%{byte:02X}" for byte in value.encode("utf-8", "replace"))
    query = "&".join([*others, f"{key}={encoded}"])

    assert f"{key}=[FILTERED]" in filtered_path("/", query)
    assert filtered_path("/", query) == filtered_path("/", "&".join([*others, f"{key}=other"]))


@settings(max_examples=120, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="&#=+%;"), min_size=1, max_size=20))
def test_a_query_reads_the_same_in_bytes_and_in_percent_encoding(value):
    raw = value.encode().decode("latin-1")
    encoded = "".join(f"%{byte:02X}" for byte in value.encode())

    assert filtered_path("/", f"q={encoded}") == filtered_path("/", f"q={raw}")


@settings(max_examples=120, deadline=None)
@given(
    st.text("xyzXYZ0189-._~/", min_size=4, max_size=40),
    st.sampled_from(["state", "scope", "iss", "redirect_uri", "client_id", "session_state", "grant_type"]),
    st.permutations(["code", "beside", "page"]),
)
def test_no_code_of_oauth_is_shown(code, beside, order):
    values = {"code": f"code={code}", "beside": f"{beside}=a", "page": "page=2"}
    shown = filtered_path("/callback", "&".join(values[name] for name in order))

    assert "code=[FILTERED]" in shown
    assert filtered_path("/callback", shown.partition("?")[2]) == shown
