"""
Proxies of connections and cursors that record, for drivers whose classes can be neither changed nor inherited from.

Hot code: where nothing is recorded, a method costs two more calls and some comparisons.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from scout_core.instruments.dbapi.statements import HAVE_ROWS, add_rows, rows_of, span_of
from scout_core.operations import kind_of
from scout_core.proxies import Proxy
from scout_core.recording.outermost import records

if TYPE_CHECKING:
    from scout_core.instruments.dbapi.driver import Driver


class ConnectionProxy(Proxy):
    """Stands for a connection: its cursors are proxies, and statements that it runs itself are recorded."""


class CursorProxy(Proxy):
    """
    Stands for a cursor.

    Args:
        wrapped: the cursor.
        connection: the proxy that the attribute ``connection`` gives; None: the cursor's own connection.
    """

    def __init__(self, wrapped: Any, connection: Any = None) -> None:
        super().__init__(wrapped)
        self._self_connection = connection

    @property
    def connection(self) -> Any:
        """The proxy of the connection that the cursor belongs to."""
        found = self.__wrapped__.connection
        proxy = self._self_connection
        return proxy if proxy is not None and proxy.__wrapped__ is found else found

    @connection.setter
    def connection(self, connection: Any) -> None:
        self.__wrapped__.connection = original(connection)


def original(found: Any) -> Any:  # Any: an argument of a call
    """Return the object that a proxy of a connection or cursor stands for; anything else itself."""
    return found.__wrapped__ if issubclass(type(found), (ConnectionProxy, CursorProxy)) else found


def cursor_class(driver: Driver, kind: type) -> type:
    """Return the class of proxies for cursors of a class: with the methods that it has."""
    return _class(CursorProxy, _statements(driver, kind, rows_of(kind)))


def connection_class(driver: Driver, kind: type) -> type:
    """Return the class of proxies for connections of a class."""

    def returned(connection: Any, result: Any) -> Any:
        """The result of a method: a connection that returns a cursor gives a proxy."""
        if result is connection.__wrapped__:
            return connection
        is_cursor = callable(getattr(type(result), "execute", None)) and hasattr(type(result), "fetchone")
        if not is_cursor:
            return result
        if isinstance(result, kind):  # as duckdb's: another connection to the same database
            return driver.proxied(result)
        return driver.proxied_cursor(result, connection)

    def cursor(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return returned(self, self.__wrapped__.cursor(*args, **kwargs))

    methods = _statements(driver, kind, None, returned)
    for name in driver.unwrapping:
        if hasattr(kind, name):
            methods[name] = _with_originals(name)
    if hasattr(kind, "cursor"):
        methods["cursor"] = cursor
    return _class(ConnectionProxy, methods)


def _class(base: type, methods: dict[str, Any]) -> type:
    return type(base.__name__, (base,), {"__module__": base.__module__, "__doc__": base.__doc__, **methods})


def _itself(proxy: Any, result: Any) -> Any:
    return proxy if result is proxy.__wrapped__ else result


def _with_originals(name: str) -> Callable[..., Any]:
    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        kwargs = {key: original(value) for key, value in kwargs.items()}
        return _itself(self, getattr(self.__wrapped__, name)(*map(original, args), **kwargs))

    return method


def _statements(
    driver: Driver,
    kind: type,
    rows: Callable[[Any], int] | None,
    returned: Callable[[Any, Any], Any] = _itself,
) -> dict[str, Any]:
    """Return the recorded methods for objects of a class."""
    found = {name: operation for name, operation in driver.operations.items() if hasattr(kind, name)}
    return {name: _recorded(driver, kind, name, found[name], rows, returned) for name in found}


def _recorded(
    driver: Driver,
    kind: type,
    name: str,
    operation: str,
    rows: Callable[[Any], int] | None,
    returned: Callable[[Any, Any], Any],
) -> Callable[..., Any]:
    span, covering, wrap = span_of(name, operation, driver.dialect), kind_of(operation), driver.wrap
    rows = rows if name in HAVE_ROWS else None

    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        call = getattr(self.__wrapped__, name)
        if not records(covering) or wrap.is_closed:
            return returned(self, call(*args, **kwargs))
        with span(args, kwargs) as timed:
            result = call(*args, **kwargs)
            if rows is not None:
                add_rows(timed, rows, self.__wrapped__)
        return returned(self, result)

    found = getattr(kind, name)
    return functools.update_wrapper(method, found) if hasattr(found, "__name__") else method
