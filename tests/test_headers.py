"""Headers that are added to those of a call: every form that libraries take, and the caller's own object unchanged."""

from __future__ import annotations

import copy
from collections import OrderedDict, UserDict
from email.message import Message
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_core.boundary.headers import UnknownHeaders, with_headers

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OURS = {"traceparent": PARENT, "tracestate": "congo=1"}
PAIRS = tuple(OURS.items())


class Headers(dict):
    """A library's own class of headers."""

    secure = True


class Frozen(tuple):
    __slots__ = ()


class Listed(list):
    pass


class CopiesItself(dict):
    def copy(self):
        return self


class Slotted:
    def __init__(self, *pairs):
        self.pairs = list(pairs)

    def items(self):
        return iter(self.pairs)

    def copy(self):
        return type(self)(*self.pairs)

    def __setitem__(self, name, value):
        self.pairs.append((name, value))


@pytest.mark.parametrize(
    "given, expected",
    [
        (None, OURS),
        ({}, OURS),
        ({"A": "b"}, {"A": "b", **OURS}),
        ({"A": "b", "accept": ["x", "y"]}, {"A": "b", "accept": ["x", "y"], **OURS}),
        ({b"a": b"b"}, {b"a": b"b", b"traceparent": PARENT.encode(), b"tracestate": b"congo=1"}),
        ({b"a": b"b", "c": "d"}, {b"a": b"b", "c": "d", **OURS}),
        ({5: "x"}, None),
        ([], list(PAIRS)),
        ([("A", "b"), ("A", "c")], [("A", "b"), ("A", "c"), *PAIRS]),
        ([["A", "b"]], [["A", "b"], *PAIRS]),
        ([(b"A", b"b")], [(b"A", b"b"), (b"traceparent", PARENT.encode()), (b"tracestate", b"congo=1")]),
        ((), PAIRS),
        ((("A", "b"),), (("A", "b"), *PAIRS)),
        (MappingProxyType({"A": "b"}), {"A": "b", **OURS}),
        (UserDict({"A": "b"}), UserDict({"A": "b", **OURS})),
        (OrderedDict(A="b"), OrderedDict(A="b", **OURS)),
    ],
    ids=repr,
)
def test_headers_are_added_to_a_copy(given, expected):
    before = copy.copy(given) if type(given) is not MappingProxyType else dict(given)
    found = with_headers(given, OURS)

    assert found is not given
    assert given == before
    if expected is not None:
        assert expected == found
        assert type(expected) is type(found)


def test_a_copy_is_of_the_class_of_the_library():
    given = Headers(A="b")
    found = with_headers(given, OURS)
    slotted = Slotted(("A", "b"))

    assert (Headers, {"A": "b", **OURS}, {"A": "b"}) == (type(found), found, given)
    assert [("A", "b"), *PAIRS] == with_headers(slotted, OURS).pairs
    assert [("A", "b")] == slotted.pairs
    assert [("A", "b"), *PAIRS] == with_headers(Listed([("A", "b")]), OURS)
    assert (("A", "b"), *PAIRS) == with_headers(Frozen([("A", "b")]), OURS)


@pytest.mark.parametrize("name", ["traceparent", "Traceparent", "TRACESTATE", b"TraceParent"])
@pytest.mark.parametrize("form", [lambda name: {name: "mine"}, lambda name: [(name, "mine")]], ids=["dict", "list"])
def test_a_trace_that_the_caller_has_set_is_kept(name, form):
    given = form(name)

    assert given is with_headers(given, OURS)
    assert form(name) == given


def test_another_header_that_the_caller_has_set_is_kept():
    assert {"x-shop": "mine", **OURS} == with_headers({"x-shop": "mine"}, {"X-Shop": "ours", **OURS})
    assert {"X-Shop": "ours", "tracestate": "mine"} == with_headers({"tracestate": "mine"}, {"X-Shop": "ours", **OURS})


@pytest.mark.parametrize(
    "signed",
    [
        {"Authorization": "AWS4-HMAC-SHA256 Credential=A/20261129/eu-west-1/s3/aws4_request, Signature=0"},
        {b"authorization": b"AWS4-ECDSA-P256-SHA256 Signature=0"},
        {"AUTHORIZATION": "AWS AKIA:sig"},
        {"X-Amz-Date": "20261129T000000Z"},
        {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"},
    ],
    ids=str,
)
def test_a_signed_request_stays_as_it_is(signed):
    assert signed is with_headers(signed, OURS)
    pairs = list(signed.items())
    assert pairs is with_headers(pairs, OURS)


def test_another_authorization_is_not_a_signature():
    assert {"Authorization": "Bearer AWS4-", **OURS} == with_headers({"Authorization": "Bearer AWS4-"}, OURS)


@pytest.mark.parametrize(
    "given",
    [
        5,
        "a: b",
        b"a: b",
        object(),
        ["a: b"],
        [("a",)],
        [("a", "b", "c")],
        iter([("a", "b")]),
        {"a"},
        CopiesItself(a="b"),
        Message(),
    ],
    ids=lambda given: type(given).__name__,
)
def test_what_is_not_known_as_headers_is_refused_and_not_read(given):
    before = repr(given)

    with pytest.raises(UnknownHeaders):
        with_headers(given, OURS)
    assert before == repr(given)
    if type(given).__name__ == "list_iterator":
        assert [("a", "b")] == list(given)


class Watched(str):
    """Any evaluation of it by its own methods fails."""

    def __hash__(self):
        return str.__hash__(self)

    def _fail(self, *args):
        raise AssertionError

    lower = startswith = __eq__ = __ne__ = __str__ = __repr__ = encode = __bool__ = _fail


def test_texts_of_the_application_are_not_evaluated():
    pairs = [(Watched("A"), Watched("b")), (Watched("Authorization"), Watched("AWS")), ("n", object())]

    assert 5 == len(with_headers(pairs, OURS))


names = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=12) | st.sampled_from(
    ["Traceparent", "tracestate", "X-Amz-Date", "Authorization"]
)


@given(st.lists(st.tuples(names, names), max_size=6))
def test_nothing_of_the_caller_is_lost(pairs):
    before = list(pairs)
    found = with_headers(pairs, OURS)

    assert before == pairs
    assert before == found[: len(before)]
    assert found[len(before) :] in ([], list(PAIRS))
