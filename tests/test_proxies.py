"""Objects that stand for others: real cursors and connections of sqlite3, files, awaitables."""

from __future__ import annotations

import asyncio
import collections
import copy
import io
import os
import pathlib
import pickle
import sqlite3
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
    with recording(plugins=[plugin]) as scout:
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
    assert type(Plain([])) is type(Plain(()))
    assert type(Plain([])) is not type(Plain(5))


def test_wrapt_is_imported_with_the_library_and_not_with_the_class_of_proxies(monkeypatch):
    code = "import sys\nfrom scout_core.proxies import Proxy, prepare\nprepare()\nclass P(Proxy): pass\n"
    code += "print('wrapt' in sys.modules)\nprepare()\nprint('wrapt' in sys.modules)"
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ["False", "True"] == done.stdout.split()
