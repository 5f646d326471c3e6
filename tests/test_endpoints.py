"""Names of endpoints: views with the same name are named apart, and a view has one name."""

from __future__ import annotations

import asyncio
import functools
import gc
import operator
from weakref import WeakSet

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scout_core.endpoints import EndpointOperations, endpoint_names, may_share_name, view_name

HERE = __name__


def home():
    return "home"


def factory(word):
    def view():
        return word

    return view


def logged(function):
    def wrapper(*args):
        return function(*args)

    return wrapper


class Admin:
    def index_view(self):
        return "admin"

    @classmethod
    def listing(cls):
        return "list"

    def __call__(self):
        return "called"


class Hostile:
    def __getattribute__(self, name):
        raise RuntimeError(name)


class OddName:
    __module__ = HERE
    __name__ = 7


USERS, POSTS = Admin(), Admin()


@pytest.mark.parametrize(
    ("views", "names"),
    [
        ({}, {}),
        ({"home": home}, {"home": f"{HERE}.home"}),
        ({"home": home, "start": home}, {"home": f"{HERE}.home", "start": f"{HERE}.home"}),
        ({"a": factory("a")}, {"a": f"{HERE}.view"}),
        ({"a": factory("a"), "b": factory("b"), "home": home}, {"a": "a", "b": "b", "home": f"{HERE}.home"}),
        ({"a": logged(home), "b": logged(len)}, {"a": "a", "b": "b"}),
        (
            {"users.index": USERS.index_view, "posts.index": POSTS.index_view},
            {"users.index": "users.index", "posts.index": "posts.index"},
        ),
        (
            {"users.index": USERS.index_view, "users.first": USERS.index_view},
            dict.fromkeys(("users.index", "users.first"), f"{HERE}.index_view"),
        ),
        ({"x": Admin.listing, "y": Admin.listing}, dict.fromkeys("xy", f"{HERE}.listing")),
        ({"f": home, "g": functools.wraps(home)(lambda: 1)}, {"f": "f", "g": "g"}),
        # without a name
        ({"one": lambda: 1, "two": lambda: 2}, {"one": f"{HERE}.one", "two": f"{HERE}.two"}),
        (dict.fromkeys(("one", "two"), lambda: 1), dict.fromkeys(("one", "two"), f"{HERE}.one")),
        (
            {"p": functools.partial(home), "o": USERS, "h": Hostile(), "n": OddName()},
            {"p": "p", "o": "o", "h": "h", "n": "n"},
        ),
        ({"later": None}, {"later": "later"}),
        # a view that has several endpoints, and a name that others have, too
        (
            dict(zip("abc", [view := factory("a"), view, factory("c")], strict=True)),
            {"a": "a", "b": "a", "c": "c"},
        ),
        # an endpoint that is the name of another view
        (
            {f"{HERE}.home": factory("a"), "b": factory("b"), "c": home},
            {f"{HERE}.home": f"{HERE}.home", "b": "b", "c": "c"},
        ),
    ],
)
def test_names_of_endpoints(views, names):
    assert names == endpoint_names(views)


def test_the_name_of_a_view():
    assert [f"{HERE}.home", "operator.attrgetter", None, None] == [
        view_name(view) for view in (home, operator.attrgetter, lambda: 1, Hostile())
    ]


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, GeneratorExit, asyncio.CancelledError])
@pytest.mark.parametrize("attribute", ["__name__", "__module__"])
def test_a_view_whose_name_cannot_be_read_costs_only_its_own(error, attribute):
    def refuse(self):
        raise error

    views = {"bad": type("Bad", (), {attribute: property(refuse)})(), "home": home}

    assert {"bad": "bad", "home": f"{HERE}.home"} == endpoint_names(views)


def test_ctrl_c_while_a_name_is_read_passes():
    class Interrupted:
        @property
        def __name__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        view_name(Interrupted())


POOL = [home, *(factory(word) for word in "ab"), *(logged(home) for _ in "ab"), lambda: 1, lambda: 2, USERS, Hostile()]
ENDPOINTS = st.sampled_from(["home", "view", f"{HERE}.home", f"{HERE}.view", f"{HERE}.wrapper", "a.b", "c"])


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(ENDPOINTS, st.integers(0, len(POOL) + 1)))
def test_endpoints_share_a_name_if_and_only_if_they_share_a_view(chosen):
    def view(number):
        return POOL[number] if number < len(POOL) else (USERS, POSTS)[number - len(POOL)].index_view

    names = endpoint_names({endpoint: view(number) for endpoint, number in chosen.items()})

    assert chosen.keys() == names.keys()
    for endpoint, name in names.items():
        assert {other for other in names if names[other] == name} == {
            other for other in chosen if chosen[other] == chosen[endpoint]
        }


class App:
    def __init__(self, views):
        self.views = views


class Counted(dict):
    """Views that count how often they are listed."""

    read = 0

    def items(self):
        self.read += 1
        return super().items()


def test_the_views_of_an_application_are_read_once_and_again_for_a_new_endpoint():
    app = App(Counted(a=factory("a")))
    operation = EndpointOperations(lambda app: app.views)

    assert [f"Controller/{HERE}.view"] * 3 == [operation(app, "a") for _ in range(3)]
    assert 1 == app.views.read

    app.views["b"] = factory("b")

    assert ["Controller/b", "Controller/a"] * 2 == [operation(app, endpoint) for endpoint in "baba"]
    assert 2 == app.views.read


def test_an_endpoint_without_a_view_is_read_once():
    app = App(Counted())
    operation = EndpointOperations(lambda app: app.views)

    assert ["Controller/lost"] * 2 == [operation(app, "lost") for _ in range(2)]
    assert 1 == app.views.read


def test_applications_do_not_share_names_and_are_not_kept_alive():
    operation = EndpointOperations(lambda app: app.views)
    alive = WeakSet()
    for number in range(50):
        app = App({"a": home} if number % 2 else {"a": factory("a"), "b": factory("b")})
        alive.add(app)

        assert (f"Controller/{HERE}.home" if number % 2 else "Controller/a") == operation(app, "a")
    del app
    gc.collect()

    assert [] == list(alive)
    assert {} == operation._known


def test_functions_that_may_share_a_name():
    def made(number):
        return lambda: number, decorated(home)

    def decorated(function):
        def wrapper():
            return function()

        return wrapper

    def named(function):
        return functools.wraps(function)(decorated(function))

    assert [True, True, True] == [may_share_name(function) for function in (*made(1), lambda: 1)]
    assert [False, False] == [may_share_name(function) for function in (home, named(home))]
