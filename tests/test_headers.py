"""Headers that are added to those of a call: every form that libraries take, and the caller's own object unchanged."""

from __future__ import annotations

import copy
import sys
from collections import OrderedDict, UserDict, deque
from collections.abc import ItemsView, Iterator, Mapping, MutableMapping
from email.message import EmailMessage, Message
from functools import partial
from http.client import HTTPMessage
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPHeaderDict
from werkzeug.datastructures import EnvironHeaders
from werkzeug.datastructures import Headers as ToSend

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


class Pairs:
    """A library's own class of pairs, whose other methods the library may need."""

    def __init__(self, pairs):
        self.pairs = pairs

    def __iter__(self):
        return iter(self.pairs)

    def __len__(self):
        return len(self.pairs)


class ReadOnly(Mapping):
    """Headers of a request that has arrived, passed on."""

    def __init__(self, *pairs):
        self.pairs = pairs

    def __getitem__(self, name):
        return dict(self.pairs)[name]

    def __iter__(self):
        return (name for name, _ in self.pairs)

    def __len__(self):
        return len(self.pairs)

    def items(self):
        return list(self.pairs)

    def copy(self):
        raise TypeError("cannot create copies")


class Multi(MutableMapping):
    """A dict that may have a header several times, as of multidict and httpx."""

    def __init__(self, pairs):
        self.pairs = list(pairs)

    def __getitem__(self, name):
        return next(value for known, value in self.pairs if known.lower() == name.lower())

    def __setitem__(self, name, value):
        self.pairs.append((name, value))

    def __delitem__(self, name):
        raise AssertionError

    def __iter__(self):
        return (name for name, _ in self.pairs)

    def __len__(self):
        return len(self.pairs)

    def items(self):
        return iter(self.pairs)

    def copy(self):
        return Multi(self.pairs)


class Standing:
    """An object that stands for another, as of wrapt and Werkzeug."""

    def __init__(self, other):
        self.other = other

    __class__ = property(lambda self: type(self.other))

    def __getattr__(self, name):
        return getattr(self.other, name)


def message(kind, *pairs):
    made = kind()
    for name, value in pairs:
        made[name] = value
    return made


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


KINDS = {
    "dict": dict,
    "view": lambda pairs: dict(pairs).items(),
    "list": list,
    "tuple": tuple,
    "pairs of lists": lambda pairs: [list(pair) for pair in pairs],
    "set": set,
    "frozenset": frozenset,
    "deque": deque,
    "iterator": iter,
    "generator": lambda pairs: (pair for pair in pairs),
    "map": lambda pairs: map(tuple, pairs),
    "zip": lambda pairs: zip(*zip(*pairs, strict=True), strict=True),
    "read only": lambda pairs: ReadOnly(*pairs),
    "frozen": lambda pairs: CopiesItself(pairs),
    "proxy of a dict": lambda pairs: MappingProxyType(dict(pairs)),
    "view of a proxy": lambda pairs: MappingProxyType(dict(pairs)).items(),
    "view of an ordered dict": lambda pairs: OrderedDict(pairs).items(),
    "view of a mapping": lambda pairs: UserDict(pairs).items(),
    "multidict": Multi,
    "view of a multidict": lambda pairs: ItemsView(UserDict(pairs)),
    "stand-in": lambda pairs: Standing(dict(pairs)),
}
"""A name to a function that makes headers of this kind of pairs."""
MESSAGES = {
    "message": lambda pairs: message(Message, *pairs),
    "message of HTTP": lambda pairs: message(HTTPMessage, *pairs),
    "mail": lambda pairs: message(EmailMessage, *pairs),
}
AS_BYTES = {name.encode(): value.encode() for name, value in OURS.items()}
BYTES = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
}


def sent(headers):
    """Return the pairs that a library sends."""
    return list(headers.items() if hasattr(headers, "items") else map(tuple, headers))


@pytest.mark.parametrize("kind", KINDS | MESSAGES)
def test_every_kind_is_sent_with_what_is_added_and_is_not_changed(kind):
    make = (KINDS | MESSAGES)[kind]
    own = [("A", "b"), ("Accept", "x")]
    given = make(own)
    found = with_headers(given, OURS)

    assert found is not given
    assert sorted([*own, *PAIRS]) == sorted(sent(found))
    if not isinstance(given, Iterator):
        assert sorted(own) == sorted(sent(given))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_bytes_gets_bytes(kind):
    found = with_headers(KINDS[kind]([(b"A", b"b")]), OURS)

    assert sorted([(b"A", b"b"), *AS_BYTES.items()]) == sorted(sent(found))


@pytest.mark.parametrize("kind", KINDS | MESSAGES)
@pytest.mark.parametrize("name", ["traceparent", "TraceParent", "TRACEPARENT", "tracestate", "TraceState"])
def test_a_trace_of_the_caller_is_the_only_one_in_every_kind(kind, name):
    make = (KINDS | MESSAGES)[kind]

    assert [(name, "mine")] == sent(with_headers(make([(name, "mine")]), OURS))
    if kind in KINDS:
        assert [(name.encode(), b"mine")] == sent(with_headers(make([(name.encode(), b"mine")]), OURS))


@pytest.mark.parametrize("kind", KINDS | MESSAGES)
def test_a_signed_request_of_every_kind_stays_as_it_is(kind):
    given = (KINDS | MESSAGES)[kind]([("X-Amz-Date", "20261129T000000Z")])

    assert [("X-Amz-Date", "20261129T000000Z")] == sent(with_headers(given, OURS))


@pytest.mark.parametrize("kind", BYTES)
def test_names_of_any_kind_of_bytes(kind):
    own = [(BYTES[kind](b"TraceParent"), b"mine")]

    assert own is with_headers(own, OURS)
    assert 3 == len(with_headers([(BYTES[kind](b"A"), b"b")], OURS))


@pytest.mark.parametrize("kind", [Multi, list, iter, *(partial(message, made) for made in (Message, HTTPMessage))])
def test_a_header_that_occurs_twice_stays_so(kind):
    own = [("Cookie", "a=1"), ("Cookie", "b=2")]
    given = kind(*own) if isinstance(kind, partial) else kind(own)

    assert [*own, *PAIRS] == sent(with_headers(given, OURS))


def test_what_has_a_header_twice_and_cannot_be_copied_is_refused():
    with pytest.raises(UnknownHeaders, match="ReadOnly, which cannot be copied"):
        with_headers(ReadOnly(("Cookie", "a=1"), ("Cookie", "b=2")), OURS)


class AnyCase(ReadOnly):
    """Finds a name in any case."""

    def __getitem__(self, name):
        return {known.lower(): value for known, value in self.pairs}[name.lower()]


class AnyCaseItself(AnyCase):
    def copy(self):
        return self


class Listing(ReadOnly):
    """Gives all values of a header."""

    def getlist(self, name):
        return [value for known, value in self.pairs if known == name]


def of_library(module: str, name: str) -> type:
    """Return a class of a library that comes with a plugin."""
    found = pytest.importorskip(module, reason=f"not with the core only: a plugin installs {module.split('.')[0]}")
    return getattr(found, name)


READ_ONLY = {
    "Werkzeug": lambda: EnvironHeaders({"HTTP_X_SHOP": "tea"}),
    "Django": lambda: of_library("django.http.request", "HttpHeaders")({"HTTP_X_SHOP": "tea"}),
    "any case": lambda: AnyCase(("X-Shop", "tea")),
    "any case, copies itself": lambda: AnyCaseItself(("X-Shop", "tea")),
    "any case, bytes": lambda: AnyCase((b"X-Shop", b"tea")),
    "several values": lambda: Listing(("X-Shop", "tea")),
}


@pytest.mark.parametrize("kind", READ_ONLY)
def test_a_mapping_that_no_dict_can_replace_is_refused(kind):
    given = READ_ONLY[kind]()
    before = list(given.items())

    with pytest.raises(UnknownHeaders, match=f"type {type(given).__name__}, which cannot be copied"):
        with_headers(given, OURS)
    assert before == list(given.items())


COPIED = {
    "Starlette": lambda pairs: of_library("starlette.datastructures", "Headers")(
        raw=[(name.lower().encode(), value.encode()) for name, value in pairs]
    ),
    "Werkzeug": ToSend,
    "requests": CaseInsensitiveDict,
    "HTTPX": lambda pairs: of_library("httpx", "Headers")(pairs),
    "urllib3": HTTPHeaderDict,
    "message": lambda pairs: message(HTTPMessage, *pairs),
}


@pytest.mark.parametrize("kind", COPIED)
def test_a_copy_finds_headers_in_every_case_as_its_original_does(kind):
    pairs = [("X-Shop", "tea"), ("Cookie", "a=1"), ("X-Size", "2")]
    given = COPIED[kind](pairs)
    found = with_headers(given, OURS)

    for name, value in [*pairs, *PAIRS]:
        assert {value} == {found[form] for form in (name, name.lower(), name.upper(), name.swapcase())}
    assert [*given.items(), *PAIRS] == list(found.items())
    assert issubclass(type(found), type(given))
    assert [(name.lower(), value) for name, value in pairs] == [(name.lower(), value) for name, value in given.items()]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("Starlette", "getlist"),
        ("Werkzeug", "getlist"),
        ("HTTPX", "get_list"),
        ("urllib3", "getlist"),
        ("message", "get_all"),
    ],
)
def test_a_copy_has_all_values_of_a_header(kind, values):
    given = COPIED[kind]([("Accept", "a"), ("X-Shop", "tea"), ("Accept", "b")])
    found = with_headers(given, OURS)

    assert ["a", "b"] == getattr(found, values)("ACCEPT") == getattr(given, values)("accept")
    assert [*sent(given), *PAIRS] == sent(found)
    if kind == "Starlette":
        assert [*given.raw, *AS_BYTES.items()] == found.raw


def test_a_message_keeps_its_class_and_the_library_may_change_what_it_gets():
    given = message(HTTPMessage, ("A", "b"))
    found = with_headers(given, OURS)
    found["B"] = "c"

    assert (HTTPMessage, [("A", "b"), *PAIRS, ("B", "c")]) == (type(found), found.items())
    assert [("A", "b")] == given.items()


def test_an_iterator_is_read_by_the_library_and_its_exception_passes():
    steps = []

    def pairs():
        steps.append("first")
        yield "A", "b"
        steps.append("second")
        raise KeyError("plan")

    found = with_headers(pairs(), OURS)
    assert [] == steps
    assert ("A", "b") == next(found)
    assert ["first"] == steps
    with pytest.raises(KeyError) as caught:
        next(found)
    assert caught.value.__context__ is None


class Hostile(tuple):
    __slots__ = ()

    def __len__(self):
        raise OSError("headers")


@pytest.mark.parametrize("item", ["a: b", 5, ("a",), Hostile(("a", "b"))], ids=lambda item: type(item).__name__)
def test_an_iterator_of_other_items_than_pairs_gives_only_them_and_is_noted(item):
    noted = []
    found = with_headers(iter([("A", "b"), item, ("B", "c")]), OURS, noted.append)
    assert [] == noted

    assert [("A", "b"), item, ("B", "c")] == list(found)
    assert ["type list_iterator with other items than pairs"] == noted


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
        {"a"},
        {"a": "b"}.values(),
        {"a": "b"}.keys(),
        deque(["a: b"]),
        Pairs([("a", "b")]),
    ],
    ids=lambda given: type(given).__name__,
)
def test_what_is_not_known_as_headers_is_refused_and_not_read(given):
    before = repr(given)

    with pytest.raises(UnknownHeaders):
        with_headers(given, OURS)
    assert before == repr(given)


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


class Folding(dict):
    """Finds names in every case by a table of its own."""

    def __init__(self):
        super().__init__()
        self.names = {}

    def __setitem__(self, name, value):
        self.names[name.lower()] = name
        super().__setitem__(name, value)

    def __getitem__(self, name):
        return super().__getitem__(self.names[name.lower()])

    def __contains__(self, name):
        return name.lower() in self.names

    def get(self, name, default=None):
        return super().get(self.names.get(name.lower()), default)


class Ordered(dict):
    def __init__(self):
        super().__init__()
        self.order = []

    def __setitem__(self, name, value):
        self.order.append(name)
        super().__setitem__(name, value)

    def items(self):
        return [(name, self[name]) for name in self.order]


class Wrapping(UserDict):
    def __setitem__(self, name, value):
        super().__setitem__(name, [value])


@pytest.mark.parametrize("kind", [Folding, Ordered, Wrapping])
def test_a_dict_that_stores_in_its_own_way_stays_as_it_is(kind):
    given = kind()
    given["Accept"] = "tea"
    before = list(given.items())
    try:
        found = with_headers(given, OURS)
    except UnknownHeaders:
        found = None

    assert before == list(given.items())
    assert "traceparent" not in given
    assert found is None or [*before, *PAIRS] == list(found.items())


class Plain(UserDict):
    pass


def test_a_shared_mapping_is_never_empty_meanwhile():
    """``UserDict.copy`` of a derived class takes the items out of the original while it copies."""
    given, seen = Plain({"Accept": "tea"}), []

    def look(frame, event, argument):
        seen.append(len(given.data))

    sys.setprofile(look)
    try:
        found = with_headers(given, OURS)
    finally:
        sys.setprofile(None)

    assert {1} == set(seen)
    assert (Plain, [("Accept", "tea"), *PAIRS]) == (type(found), list(found.items()))


class Looking(list):
    def get(self, name):
        return dict(self).get(name)


class Named(tuple):
    __slots__ = ()

    def get(self, name):
        return dict(self).get(name)


@pytest.mark.parametrize("kind", [Looking, Named])
def test_a_list_with_methods_of_its_own_is_refused(kind):
    with pytest.raises(UnknownHeaders, match=f"type {kind.__name__}, which answers otherwise than a list"):
        with_headers(kind([("a", "b")]), OURS)
