from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_core.text.hosts import Host, HostList, host_of, matches


@pytest.mark.parametrize(
    "url, host",
    [
        ("http://shop.example/a?b#c", ("shop.example", "80")),
        ("HTTPS://Shop.Example", ("shop.example", "443")),
        ("https://ada:love@lace@shop.example:8443/@x:1", ("shop.example", "8443")),
        ("http://shop.example?url=http://other/", ("shop.example", "80")),
        ("http://shop.example#@other", ("shop.example", "80")),
        ("http://shop.example\\@other", ("", "")),  # one or the other, by the client
        (" http://shop.example/", ("shop.example", "80")),
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
        (["*"], [], "/only/a/path", True),
        (["*"], ["shop.example"], "/only/a/path", False),
        (["shop.example"], [], "/only/a/path", False),
    ],
)
def test_hosts_that_are_listed_or_excluded(included, excluded, url, expected):
    assert expected is HostList(included, excluded).includes(url)


BOOKS = [
    "bücher.example",
    "BÜCHER.Example",
    "xn--bcher-kva.example",
    "XN--BCHER-KVA.EXAMPLE",
    "bu\u0308cher.example",  # u and a diaeresis
    "bücher。example",
    "ｂücher.example",
]
"""Spellings of one host."""


@pytest.mark.parametrize("spelled", [*BOOKS, *(f"{name}." for name in BOOKS)])
@pytest.mark.parametrize("listed", [*BOOKS, "bücher.example.", "*.example", "b*er.example", "b*.example"])
def test_a_name_of_any_letters_is_one_host_however_it_is_written(listed, spelled):
    assert HostList([listed]).includes(f"https://{spelled}/a")
    assert HostList([listed]).includes(f"https://ada:love@{spelled}:8443/a")
    assert not HostList(["*"], [listed]).includes(f"https://{spelled}/a")
    assert HostList([f"{listed}:8443"]).includes(f"https://{spelled}:8443/a")
    assert not HostList([f"{listed}:8443"]).includes(f"https://{spelled}/a")


@pytest.mark.parametrize(
    "listed, spelled",
    [
        ("نامه\u200cای.example", "xn--mgba3gch31f060k.example"),  # with a joiner
        ("xn--mgba3gch31f060k.example", "نامه\u200cای.example"),
        ("ᎠᎡᎢ.example", "xn--58dcd.example"),  # decoded in capitals
    ],
)
def test_a_name_is_compared_as_it_is_read_in_both_forms(listed, spelled):
    assert HostList(["*"], [listed]).includes(f"http://{spelled}/") is False


@pytest.mark.parametrize(
    "listed, spelled",
    [
        ("bücher.example", "bucher.example"),
        ("bücher.example", "xn--bucher-kva.example"),
        ("bücher.example", "bücher.example.evil.test"),
        ("straße.example", "strasse.example"),
        ("shop.example", "ѕhop.example"),  # a Cyrillic letter
    ],
)
def test_another_name_is_another_host(listed, spelled):
    assert not HostList([listed]).includes(f"https://{spelled}/")


@pytest.mark.parametrize("spelled", ["ｓｈｏｐ.example", "shop．example", "shop。example。", "SHOP.EXAMPLE."])
def test_a_name_that_is_sent_as_ascii_is_that_one(spelled):
    assert HostList(["shop.example"]).includes(f"https://{spelled}/")


@pytest.mark.parametrize("listed", ["straße.example", "xn--strae-oqa.example"])
@pytest.mark.parametrize("spelled", ["straße.example", "STRAßE.example", "xn--strae-oqa.example"])
def test_a_letter_whose_encoding_has_changed(listed, spelled):
    assert HostList([listed]).includes(f"https://{spelled}/")


@pytest.mark.parametrize("listed", ["[2001:db8::1]", "2001:DB8:0:0:0:0:0:1", "[2001:0db8::0001]"])
@pytest.mark.parametrize("spelled", ["[2001:db8::1]", "[2001:DB8:0::1]", "[2001:0db8:0:0:0:0:0:1]"])
def test_an_ipv6_address_is_one_host_however_it_is_written(listed, spelled):
    assert HostList([listed]).includes(f"http://{spelled}/")
    assert HostList([listed]).includes(f"http://{spelled}:8080/")
    assert not HostList(["*"], [listed]).includes(f"http://{spelled}:8080/")


@pytest.mark.parametrize(
    "listed, spelled, expected",
    [
        ("[2001:db8::1]:80", "[2001:db8:0::1]", True),
        ("[2001:db8::1]:81", "[2001:db8:0::1]", False),
        ("[fe80::1%eth0]", "[fe80::1%25eth0]", True),
        ("[fe80::1%eth0]", "[fe80::1%25eth1]", False),
        ("2001:db8:*", "[2001:db8::7]", True),
        ("[::g]", "[::g]", None),
    ],
)
def test_addresses_with_a_port_or_a_zone(listed, spelled, expected):
    assert expected is HostList([listed]).includes(f"http://{spelled}/")


LOOPBACK = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0X7F.1",
    "0177.0.0.1",
    "0177.0x0.0.01",
    "017700000001",
    "127%2E0%2e0.1",
    "%31%32%37.0.0.1",
    "１２７．０．０．１",
    "127。0｡0.1",
    "①27.0.0.1",
    "127.0.0.\u00ad1",
    "127.0.\u200b0.1",
    "127.0.0.\u200d1",
    "127.0.0\t.1",
    "[::ffff:127.0.0.1]",
    "[::FFFF:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
]
"""Spellings of one address."""
SHOP = ["shop.example", "SHOP.Example", "shop%2Eexample", "%73hop.example.", "ｓｈｏｐ．example", "sh\u00adop.example"]


@pytest.mark.parametrize(
    "listed, spelled", [(listed, spelled) for forms in (LOOPBACK, SHOP) for listed in forms for spelled in forms]
)
def test_a_host_is_one_in_every_form_that_clients_resolve(listed, spelled):
    for place in (f"http://{spelled}/", f"http://ada:love@{spelled}:080/?a", f"//{spelled}:80"):
        assert HostList(["*"], [listed]).includes(place) is False
        assert HostList(["*"], [f"{listed}:80"]).includes(place) is False
        assert HostList([f"{listed}:80"]).includes(place)
    assert HostList([f"{listed}:80"]).includes(f"https://{spelled}/") is False


@pytest.mark.parametrize("spelled", LOOPBACK)
@pytest.mark.parametrize("listed", ["127.*", "127.0.0.*", "*.1"])
def test_a_pattern_of_addresses_holds_for_each_form(listed, spelled):
    assert HostList(["*"], [listed]).includes(f"http://{spelled}/") is False


@pytest.mark.parametrize(
    "spelled",
    [
        "127.0.0.256",
        "127.0.0.0.1",
        "127..1",
        "127.0.0.08",
        "0x7g.1.1.0x",
        "4294967296",
        "256.1",
        "127.0.0.1%00",
        "127%252E0.0.1",
        "%ff.example",
        "127.0.0.1 .example",
        "127.0.0.1／",
        "127.0.0.1：80",
        "a＠127.0.0.1",
        "[%3A%3A1]",
        "[::ffff:127.0.0.1]x",
        "127.0.0.1:８０",
        "127.0.0.1:80:80",
        "127.0.0.1:http",
        f"127.0.0.1:{'0' * 30}80",
        f"{'a' * 3_000}@127.0.0.1",
        "\u00ad",
    ],
)
def test_a_host_that_cannot_be_read_is_neither_included_nor_excluded(spelled):
    assert HostList(["*"], ["other.example"]).includes(f"http://{spelled}/") is None
    assert HostList(["127.0.0.1", "*.example"]).includes(f"http://{spelled}/") is None


@pytest.mark.parametrize("url", ["http:/127.0.0.1/", "http:127.0.0.1", "http:///127.0.0.1/", "ht\ntp:/\n/127.0.0.1/"])
def test_a_url_that_only_some_clients_read_passes_no_list_of_excluded_hosts(url):
    assert not HostList(["*"], ["127.0.0.1"]).includes(url)


@pytest.mark.parametrize("spelled", ["127.0.0.2", "1270.0.1.example", "0x7f.example", "xn--shop-.example", "a127.1a"])
def test_another_address_is_another_host(spelled):
    assert HostList(["*"], ["127.0.0.1", "shop.example"]).includes(f"http://{spelled}/")


@given(st.text(max_size=30))
def test_a_host_of_any_characters_is_itself(name):
    host = host_of(f"http://{name}/")

    is_included = HostList([f"http://{name}/"]).includes(f"http://{name}/")

    assert is_included is not False or not host.name or "*" in host.name + host.port


def test_an_encoded_name_that_cannot_be_decoded_is_compared_as_it_is():
    assert HostList(["xn--ü.example", "xn--0.example"]).includes("http://xn--0.example/")


def test_a_request_imports_nothing():
    program = """
import sys
from scout_core.text.hosts import HostList
hosts = HostList(["shop.example"])
before = set(sys.modules)
hosts.includes("https://b\\u00fccher.example/"), hosts.includes("https://xn--bcher-kva.example/"), hosts.includes("http://[::1]/")
print(sorted(set(sys.modules) - before))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "[]\n" == ended.stdout


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
