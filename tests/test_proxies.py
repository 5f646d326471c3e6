"""Objects that stand for others: real cursors and connections of sqlite3, files, awaitables."""

from __future__ import annotations

import asyncio
import collections
import copy
import datetime
import decimal
import io
import operator
import os
import pathlib
import pickle
import sqlite3
import subprocess
import sys
from types import ModuleType

import pytest

from scout_core import hookimpl, span, transaction
from scout_core.proxies import Proxy
from scout_core.testing import recording


class Cursor(Proxy):
    """Times ``execute``."""

    def execute(self, statement, *parameters):
        with span("SQL/Query", statement=statement):
            self.__wrapped__.execute(statement, *parameters)
        return self


class Connection(Proxy):
    def __init__(self, connection, name):
        super().__init__(connection)
        self._self_name = name

    def cursor(self, *args):
        return Cursor(self.__wrapped__.cursor(*args))


class Plain(Proxy):
    pass


@pytest.fixture
def connection():
    connection = sqlite3.connect(":memory:")
    yield connection
    connection.close()


def test_statements_of_a_cursor_written_in_c_are_recorded(connection):
    plugin = ModuleType("database")

    @hookimpl
    def instrument(wrap):
        wrap.around("sqlite3:connect", connect)

    def connect(wrapped, instance, args, kwargs):
        return Connection(wrapped(*args, **kwargs), "main")

    plugin.instrument = instrument
    with recording(plugins=[plugin], plugins_disable=["collector", "sqlite3"]) as scout:
        with transaction("Job/mail.send"):
            with sqlite3.connect(":memory:") as opened:
                assert type(opened) is not sqlite3.Connection
                cursor = opened.cursor()
                rows = list(cursor.execute("select 1 union select 2 order by 1"))
            opened.close()
        assert ["SQL/Query", "Job/mail.send"] == scout.operations

    assert [(1,), (2,)] == rows
    assert "main" == opened._self_name


def test_it_is_an_instance_of_both_classes(connection):
    proxy, cursor = Connection(connection, "main"), Cursor(connection.cursor())

    assert isinstance(proxy, sqlite3.Connection)
    assert isinstance(proxy, Connection)
    assert isinstance(proxy, Proxy)
    assert isinstance(cursor, sqlite3.Cursor)
    assert isinstance(cursor, collections.abc.Iterator)
    assert not isinstance(proxy, collections.abc.Iterable)
    assert "Connection" == type(proxy).__name__
    assert proxy.__wrapped__ is connection
    assert proxy == connection


def test_it_is_iterated_as_the_other_object_is_and_stays_the_proxy(connection):
    cursor = Cursor(connection.cursor())
    cursor.execute("select 1 union select 2 union select 3 order by 1")

    assert iter(cursor) is cursor
    assert (1,) == next(cursor)
    assert [(2,), (3,)] == [*cursor]
    with pytest.raises(StopIteration):
        next(cursor)


def test_attributes_are_those_of_the_other_object(connection):
    proxy = Connection(connection, "main")
    proxy.row_factory = sqlite3.Row
    proxy.isolation_level = None

    assert (sqlite3.Row, None) == (connection.row_factory, connection.isolation_level)
    assert not hasattr(connection, "_self_name")
    assert not hasattr(proxy, "missing")
    assert 0 == proxy.total_changes
    with pytest.raises(sqlite3.ProgrammingError):
        proxy.execute("select ?", ())


def test_with_gives_the_proxy_and_its_end_is_that_of_the_other_object(connection):
    proxy = Connection(connection, "main")
    with proxy as entered:
        assert entered is proxy
        entered.cursor().execute("create table a (b)").execute("insert into a values (1)")
    with pytest.raises(KeyError), proxy:
        proxy.cursor().execute("insert into a values (2)")
        raise KeyError

    assert [(1,)] == connection.execute("select * from a").fetchall()


def test_lists_files_and_other_objects():
    items, text = Plain([3, 1]), Plain(io.StringIO("first\nsecond"))

    assert (2, [3, 1], 1, True) == (len(items), list(items), items[1], 3 in items)
    items.append(5)
    assert [3, 1, 5] == items.__wrapped__
    assert iter(items) is not items
    assert ["first\n", "second"] == list(text)
    assert os.fspath(Plain(pathlib.PurePath("a"))) == "a"
    assert not callable(items)
    assert 3 == Plain(max)(1, 3)
    assert not Plain([])
    assert {Plain("a"): 1}["a"] == 1


def test_special_methods_that_the_other_object_lacks_are_missing():
    for value in (5, object(), None):
        proxy = Plain(value)
        for use in (iter, next, len, os.fspath, lambda it: it(), lambda it: it.__enter__()):
            with pytest.raises((TypeError, AttributeError)):
                use(proxy)
        assert not isinstance(proxy, (collections.abc.Iterable, collections.abc.Awaitable, collections.abc.Callable))


class Resource:
    """An object that is awaited, entered and iterated in the async way."""

    def __init__(self):
        self.left = [1, 2]
        self.is_open = False

    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return self

    async def __aenter__(self):
        self.is_open = True
        return self

    async def __aexit__(self, *error):
        self.is_open = False
        return True

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop(0)


def test_await_async_with_and_async_for():
    async def main():
        proxy = Plain(Resource())
        assert await proxy is proxy
        async with proxy as entered:
            assert entered is proxy
            assert proxy.is_open
            assert [1, 2] == [item async for item in proxy]
            raise KeyError  # which the resource suppresses
        assert not proxy.is_open
        assert isinstance(proxy, (collections.abc.AsyncIterator))

    asyncio.run(main())


def test_what_is_pickled_and_copied_is_the_other_object():
    proxy = Plain([1, [2]])
    shallow, deep = copy.copy(proxy), copy.deepcopy(proxy)

    assert [list] * 3 == [type(it) for it in (shallow, deep, pickle.loads(pickle.dumps(proxy)))]
    assert shallow[1] is proxy[1]
    assert deep[1] is not proxy[1]


def test_proxies_of_different_objects_have_classes_of_their_own_and_share_them():
    assert type(Plain([])) is type(Plain([1]))
    assert type(Plain([])) is not type(Plain(5))


class Hashless:
    __hash__ = None
    __iter__ = None

    def __getitem__(self, index):
        raise IndexError


class Sized(list):
    __iter__ = None


SPECIAL = [
    "__len__", "__iter__", "__next__", "__aiter__", "__anext__", "__await__", "__enter__", "__exit__", "__aenter__", "__aexit__",
    "__call__", "__getitem__", "__setitem__", "__delitem__", "__contains__", "__reversed__", "__length_hint__", "__bool__",
    "__int__", "__index__", "__float__", "__complex__", "__round__", "__bytes__", "__fspath__", "__add__", "__radd__", "__iadd__",
    "__mod__", "__or__", "__ior__", "__matmul__", "__divmod__", "__neg__", "__abs__", "__trunc__", "__get__", "__set_name__",
    "__del__", "__missing__", "__hash__", "__eq__", "__lt__", "__format__", "__sizeof__",
]  # fmt: skip
ABSTRACT = [getattr(collections.abc, name) for name in collections.abc.__all__ if name not in ("ByteString", "Buffer")]


def subjects():
    with sqlite3.connect(":memory:") as connection:
        yield from (connection, connection.cursor())
    connection.close()
    yield from (
        object(), None, 5, 2.5, 1j, True, "text", b"bytes", [1], (1,), {"a": 1}, {1}, range(3), iter([1]), (i for i in "a"),
        io.BytesIO(b"a"), io.StringIO("a"), pathlib.PurePath("a"), collections.Counter("a"), collections.deque([1]), max, len,
        Resource(), Hashless(), Sized([1]), Plain([1]), datetime.timedelta(1), decimal.Decimal(1), int, ValueError("a"),
    )  # fmt: skip


def test_it_has_exactly_the_special_methods_of_the_other_object():
    checked = 0
    for value in subjects():
        proxy = Plain(value)
        has = {name: hasattr(proxy, name) for name in SPECIAL}
        assert {name: hasattr(value, name) for name in SPECIAL} == has, value
        assert [isinstance(value, kind) for kind in ABSTRACT] == [isinstance(proxy, kind) for kind in ABSTRACT], value
        assert callable(value) is callable(proxy)
        checked += 1
    assert checked > 30


def test_functions_of_python_give_what_they_give_for_the_other_object():
    uses = {
        "len": len, "list": list, "bool": bool, "int": int, "float": float, "bytes": bytes, "repr": repr,
        "str": str, "format": format, "hash": hash, "abs": abs, "round": round, "index": operator.index, "neg": operator.neg,
        "two": lambda it: it * 2, "reflected": lambda it: 10 - it, "or": lambda it: it | {9: 9},
        "first": lambda it: it[0], "in": lambda it: 1 in it, "equal": lambda it: (it == it, it == [1], [1] == it),
        "less": lambda it: it < it, "hint": operator.length_hint, "dir": dir, "reversed": lambda it: list(reversed(it)),
        "divmod": lambda it: divmod(it, 2), "pow": lambda it: pow(it, 2, 3), "rpow": lambda it: 2**it, "path": os.fspath,
    }  # fmt: skip

    def result(use, value):
        try:
            return use(value)
        except (TypeError, ValueError, AttributeError, LookupError):
            return "refused"

    values = [5, 2.5, 1j, True, None, [1], (1,), {"a": 1}, {1}, range(3), pathlib.PurePath("a"), Hashless, Sized([1])]
    for value in values:
        for name, use in uses.items():
            assert result(use, value) == result(use, Plain(value)), (name, value)


def test_what_changes_in_place_stays_the_proxy():
    proxy = items = Plain([1])
    proxy += [2]
    proxy *= 2
    number = Plain(1)
    number += 1

    assert proxy is items
    assert [1, 2, 1, 2] == items.__wrapped__
    assert 2 == number
    assert type(number) is int


def test_a_proxy_s_own_special_method_comes_first_and_may_be_additional():
    class Counted(Proxy):
        def __len__(self):
            return 7

        def __enter__(self):
            return "entered"

        def __exit__(self, *error):
            return True

    with Counted(5) as entered:
        assert "entered" == entered
        raise KeyError
    assert (7, 7) == (len(Counted(5)), len(Counted([])))


def test_a_static_special_method_gets_no_object():
    class Odd:
        __call__ = staticmethod(lambda *args: args)
        __exit__ = staticmethod(lambda *args: args)

    assert (1, 2) == Plain(Odd())(1, 2)
    assert (1, 2) == Plain(Odd()).__exit__(1, 2)


def test_wrapt_is_not_imported():
    code = (
        "import sys\nfrom scout_core.proxies import Proxy\nclass P(Proxy): pass\nP([])\nprint('wrapt' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "False" == done.stdout.strip()
