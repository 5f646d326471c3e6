from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scout_core.text.address import first_address

WAYS = {
    4: ("{}", "{}:80", " {} ", '"{}:65535"', "{}:"),
    6: ("{}", "[{}]:443", "[{}]", "[{}%25en0]:1", "{}%2", '"[{}]"'),
}


@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.sampled_from(["", "unknown", "-", "_x", "999.1.1.1", "[::g]", "1.2.3.4:x"]), max_size=5),
    st.ip_addresses(),
    st.data(),
)
def test_the_first_address_is_found_however_it_is_written(others, address, data):
    written = data.draw(st.sampled_from(WAYS[address.version])).format(address)

    found = first_address(",".join([*others, written, "192.0.2.99"]))

    assert str(getattr(address, "ipv4_mapped", None) or address) == found


@settings(max_examples=200, deadline=None)
@given(st.text() | st.text('0123456789abcdef:.,[]%" x', max_size=60))
def test_every_text_gives_none_or_an_address_that_stays_the_same(text):
    found = first_address(text)

    assert found is None or found == str(ip_address(found)) == first_address(found)


@pytest.mark.parametrize("prefix", ["::ffff:", "::FFFF:", "0:0:0:0:0:ffff:"])
def test_an_address_mapped_to_ipv6_is_ipv4_again(prefix):
    assert "203.0.113.7" == first_address(f"{prefix}{IPv4Address('203.0.113.7')}")
