"""The headers of W3C trace context: every rule of the specification, and any other text."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scout_core.recording.trace.context import (
    RANDOM,
    SAMPLED,
    TraceContext,
    find_headers,
    format_traceparent,
    read_context,
    read_state,
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{CALLER}-01"

hexadecimal = st.sampled_from("0123456789abcdef")


def ids(length: int) -> st.SearchStrategy[str]:
    return st.text(hexadecimal, min_size=length, max_size=length).filter(lambda text: text.strip("0"))


keys = st.from_regex(r"[a-z0-9][a-z0-9_*/-]{0,255}", fullmatch=True) | st.from_regex(
    r"[a-z0-9][a-z0-9_*/-]{0,240}@[a-z0-9][a-z0-9_*/-]{0,13}", fullmatch=True
)
values = st.from_regex(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]", fullmatch=True)


@pytest.mark.parametrize(
    "text",
    [
        PARENT,
        f" {PARENT}",
        f"\t {PARENT}\t ",
        PARENT.encode(),
        f"01-{TRACE}-{CALLER}-01",
        f"cc-{TRACE}-{CALLER}-01-what-comes-later",
        f"fe-{TRACE}-{CALLER}-01-",
    ],
)
def test_a_valid_header(text):
    assert TraceContext(TRACE, CALLER, SAMPLED, "") == read_context(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        None,
        5,
        [PARENT],
        PARENT.upper(),
        f"{PARENT},{PARENT}",
        f"{PARENT}-",
        f"{PARENT}\n",
        f"{PARENT}.",
        PARENT[:-1],
        f"0{PARENT}",
        PARENT.replace("-", "_"),
        f"ff-{TRACE}-{CALLER}-01",
        f"cc-{TRACE}-{CALLER}-01.later",
        f"cc-{TRACE}-{CALLER}-011",
        f"00-{'0' * 32}-{CALLER}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}g-{CALLER}-01",
        f"00-{TRACE}-{CALLER[:-1]} -01",
        f"00-{TRACE}-{CALLER}-0x",
        f"00-{TRACE}-{CALLER}-٠١",
        f"0_-{TRACE}-{CALLER}-01",
        f"cc-{TRACE}-{CALLER}-01-" + "x" * 20_000,
    ],
)
def test_an_invalid_header_begins_a_new_trace(text):
    assert read_context(text, "congo=1") is None


@pytest.mark.parametrize(
    "flags, known", [("00", 0), ("01", SAMPLED), ("02", RANDOM), ("03", 3), ("ff", 3), ("fc", 0), ("a9", 1)]
)
def test_unknown_flags_are_not_passed_on(flags, known):
    context = read_context(f"00-{TRACE}-{CALLER}-{flags}")

    assert f"00-{TRACE}-{CALLER}-{known:02x}" == format_traceparent(context, CALLER, is_recorded=True)
    assert f"00-{TRACE}-{CALLER}-{known & ~SAMPLED:02x}" == format_traceparent(context, CALLER, is_recorded=False)


def test_ids_of_digits_are_ids():
    digits = f"00-{'1234567890' * 3}12-1234567890123456-00"

    assert ("12345678901234567890123456789012", "1234567890123456") == read_context(digits)[:2]


@given(ids(32), ids(16), st.integers(0, 3))
def test_a_header_that_is_written_is_read_the_same(trace_id, span_id, flags):
    context = TraceContext(trace_id, span_id, flags, "")

    assert context == read_context(format_traceparent(context, span_id, is_recorded=True))


@given(st.text(max_size=80) | st.binary(max_size=80), st.text(max_size=700))
@example(PARENT, "a=" + "\ud800")
def test_any_text_is_read_or_refused(parent, state):
    context = read_context(parent, state)

    if context is not None:
        assert read_context(format_traceparent(context, CALLER, is_recorded=True), context.state) is not None
    assert read_state(read_state(state)) == read_state(state)


@given(st.integers(0, 54), st.characters(exclude_characters="0123456789abcdef-"))
def test_one_wrong_character_is_enough(position, character):
    assert read_context(PARENT[:position] + character + PARENT[position + 1 :]) is None


@given(st.dictionaries(keys, values, max_size=32))
def test_members_and_their_order_are_kept(members):
    state = ",".join(f"{key}={value}" for key, value in members.items())
    found = read_state(state)

    if len(state) <= 512:
        assert state == found
    else:
        assert len(found) <= 512
        assert set(found.split(",")) - {""} <= set(state.split(","))


@pytest.mark.parametrize(
    "state, passed_on",
    [
        ("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"),
        (" foo=1 \t , \t bar=2", "foo=1,bar=2"),
        (",,foo=1, ,bar=2,", "foo=1,bar=2"),
        ("", ""),
        (" ", ""),
        ("foo=1,foo=2,bar=3", "foo=1,bar=3"),
        ("1foo=1", "1foo=1"),
        ("foo= 1", "foo= 1"),
        ("fw529a3039@dt=FfAAAA;!", "fw529a3039@dt=FfAAAA;!"),
        ("z" * 256 + "=1", "z" * 256 + "=1"),
        ("t" * 241 + "@" + "v" * 14 + "=1", "t" * 241 + "@" + "v" * 14 + "=1"),
    ],
)
def test_a_state_is_passed_on(state, passed_on):
    assert passed_on == read_state(state)


@pytest.mark.parametrize(
    "member",
    ["foo", "foo=", "=1", "foo =1", "FOO=1", "foo.bar=1", "foo=bar=baz", "foo=é", "foo=a\x00b", "foo=a\x7f", "_foo=1",
     "foo@=1", "@foo=1", "foo@@bar=1", "foo@bar@baz=1", "z" * 257 + "=1", "t" * 242 + "@v=1", "t@" + "v" * 15 + "=1",
     "foo=" + "v" * 257, "foo=a\nb"],
)  # fmt: skip
def test_an_invalid_member_drops_the_state_and_not_the_trace(member):
    assert "" == read_state(f"bar=2,{member}")
    assert TraceContext(TRACE, CALLER, SAMPLED, "") == read_context(PARENT, f"{member},bar=2")


def test_a_state_has_at_most_32_members():
    members = [f"bar{number:02}={number}" for number in range(33)]

    assert ",".join(members[:32]) == read_state(",".join(members[:32]))
    assert "" == read_state(",".join(members))


def test_a_long_state_is_cut_by_whole_members_the_large_ones_first():
    large, small = "large=" + "x" * 200, [f"k{number:02}={'v' * 60}" for number in range(7)]

    assert ",".join(small) == read_state(",".join([*small[:3], large, *small[3:]]))
    assert ",".join(small) == read_state(",".join([*small, "last=" + "v" * 60]))
    assert f"{large},{small[0]}" == read_state(f"{large},{small[0]}")
    assert "" == read_state("k" * 256 + "=" + "v" * 256)
    assert len(read_state("a=" + "x" * 126 + "," + "b=" + "y" * 126 + "," + "c=" + "z" * 256)) == 257


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": PARENT, "tracestate": "a=1,b=2"},
        {"TraceParent": PARENT, "TRACESTATE": "a=1,b=2"},
        {b"traceparent": PARENT.encode(), b"tracestate": b"a=1,b=2"},
        [("accept", "*/*"), ("traceparent", PARENT), ("tracestate", "a=1"), ("tracestate", "b=2")],
        [[b"Traceparent", PARENT.encode()], [b"tracestate", b"a=1,b=2"]],
        iter([("traceparent", PARENT), ("tracestate", "a=1,b=2")]),
        {"HTTP_TRACEPARENT": PARENT, "HTTP_TRACESTATE": "a=1,b=2"},
    ],
    ids=lambda headers: type(headers).__name__,
)
def test_headers_are_found_in_whatever_holds_them(headers):
    assert TraceContext(TRACE, CALLER, SAMPLED, "a=1,b=2") == read_context(*find_headers(headers))


def test_two_callers_are_no_caller():
    assert read_context(*find_headers([("traceparent", PARENT), ("Traceparent", PARENT)])) is None


def test_headers_with_other_names_and_types_are_passed_over():
    assert (None, None) == find_headers({"trace-parent": PARENT, 5: 6, None: None})
    assert (None, None) == find_headers({"REQUEST_METHOD": "GET", "traceparent": PARENT})
