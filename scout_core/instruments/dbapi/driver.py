"""
``Driver``: the three ways to record the statements of a database driver.

Describers are for cursors whose class is written in Python. Cursors written in C refuse new methods: a subclass of them is recorded
where the driver takes one, and any other is given a proxy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from scout_core.instruments.dbapi.proxied import ConnectionProxy, CursorProxy, connection_class, cursor_class, original
from scout_core.instruments.dbapi.statements import FETCH, MANY, QUERY, call_of, statement_of
from scout_core.instruments.dbapi.subclassed import recorded_subclass, shortcut
from scout_core.recording.outermost import OutermostSpan

if TYPE_CHECKING:
    from scout_core.boundary.wrap import Wrap

_Class = TypeVar("_Class", bound=type)
_MOST_CLASSES: Final = 256


class Driver:
    """
    One driver, in one agent: the ``instrument`` of a plugin makes it, and passes its methods to ``wrap``.

    Args:
        wrap: what ``instrument`` gets. When the agent stops, nothing more is recorded, also of connections that are still open.
        dialect: of the SQL, so that literals can be found in it: ``sqlite``, ``mysql``, ``postgresql``. It is a tag of the spans.
        queries: further methods whose first argument is a statement, such as ``copy_expert``; each call is ``SQL/Query``.
        fetches: time ``fetchall`` and ``fetchmany``, too, as ``SQL/Fetch``.
        unwrapping: methods of a connection that are written in C and take another connection or cursor, such as ``backup``.
    """

    def __init__(
        self,
        wrap: Wrap,
        dialect: str,
        *,
        queries: Iterable[str] = (),
        fetches: bool = False,
        unwrapping: Iterable[str] = (),
    ) -> None:
        self.wrap = wrap
        self.dialect = dialect
        self.unwrapping = tuple(unwrapping)
        self.operations: dict[str, str] = {
            "execute": QUERY, "executemany": MANY, "executescript": QUERY, "callproc": QUERY, **dict.fromkeys(queries, QUERY),
            **(dict.fromkeys(("fetchall", "fetchmany"), FETCH) if fetches else {}),
        }  # fmt: skip
        """Name of a method to the operation of its calls."""
        self._classes: dict[tuple[Callable[..., Any], type], Any] = {}
        self._recorded: set[type] = set()

    def execute(self, cursor: object, /, *args: Any, **kwargs: Any) -> OutermostSpan:
        """Describe a statement: ``wrap("pymysql.cursors:Cursor.execute", driver.execute)``."""
        return OutermostSpan(QUERY, statement=args[0] if args else statement_of(kwargs), dialect=self.dialect)

    def executemany(self, cursor: object, /, *args: Any, **kwargs: Any) -> OutermostSpan:
        """Describe a statement for many rows: one span, however the driver sends them."""
        return OutermostSpan(MANY, statement=args[0] if args else statement_of(kwargs), dialect=self.dialect)

    def callproc(self, cursor: object, /, *args: Any, **kwargs: Any) -> OutermostSpan:
        """Describe the call of a stored procedure, by its name."""
        return OutermostSpan(QUERY, procedure=call_of(args, kwargs), dialect=self.dialect)

    def connect(
        self, wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Give what ``connect`` returns a proxy: ``wrap.around("duckdb:connect", driver.connect)``."""
        return self.proxied(wrapped(*args, **kwargs))

    def pass_originals(
        self, wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call a function written in C with what proxies stand for: ``wrap.around("driver:register", driver.pass_originals)``."""
        return wrapped(*map(original, args), **{name: original(value) for name, value in kwargs.items()})

    def proxied(self, connection: Any) -> Any:  # Any: a connection of the driver, and what stands for it
        """Return a proxy for a connection; the connection itself if it is recorded already."""
        if isinstance(connection, ConnectionProxy) or self.is_recorded(connection):
            return connection
        return self._class(connection_class, type(connection))(connection)

    def proxied_cursor(self, cursor: Any, connection: Any = None) -> Any:  # Any: as above
        """
        Return a proxy for a cursor; the cursor itself if it is recorded already.

        Args:
            connection: the proxy that is ``cursor.connection``; None: the cursor's own.
        """
        if isinstance(cursor, CursorProxy) or self.is_recorded(cursor):
            return cursor
        return self._class(cursor_class, type(cursor))(cursor, connection)

    def subclass(self, base: _Class, **methods: Callable[..., Any]) -> _Class | None:
        """
        Return a subclass of a driver's class of cursors or connections whose statements are recorded; the same one each time.

        C code accepts its objects, so use it where a driver takes classes, as ``sqlite3.connect(factory=…)`` does. Also for a class
        of the application, whose own methods are recorded from the outside, and whose calls of each other from the inside.

        Args:
            methods: of the subclass, in place of recorded ones.

        Returns:
            The class itself if it is recorded already. None: making a subclass could have effects, because the class has a
            metaclass or ``__init_subclass__``, or cannot be done; use ``proxied`` for the object then.
        """
        if base in self._recorded:
            return base
        known = self._classes.get((recorded_subclass, base))
        if known is not None:  # for every cursor but the first
            return cast("_Class", known)

        def make(_: Driver, kind: type) -> type | None:
            made = recorded_subclass(self, kind, methods)
            if made is not None:
                self._recorded.add(made)
            return made

        return cast("_Class | None", self._class(recorded_subclass, base, make))

    def shortcut(self, make_cursor: Callable[..., Any], cursor: type | None, name: str) -> Callable[..., Any]:
        """
        Return a method of a connection, for ``subclass``: it makes a cursor, calls its method of that name, and returns the cursor.

        Its frames are left out of recorded calls, as all of this package; those of a plugin are not.

        Args:
            make_cursor: called with the connection and the class of the cursor: ``sqlite3.Connection.cursor``.
            cursor: a class that ``subclass`` has made.
            name: of the method, such as ``execute``.
        """
        return shortcut(make_cursor, cursor, name)

    def is_recorded(self, found: object) -> bool:
        """Whether an object is of a class that ``subclass`` has made."""
        return type(found) in self._recorded

    def _class(
        self, kind: Callable[..., Any], of: type, make: Callable[[Driver, type], Any] | None = None
    ) -> Any:  # Any: a class, or None
        """Return the class that was made of another one, and make it the first time."""
        key = (kind, of)
        if key not in self._classes:
            if len(self._classes) >= _MOST_CLASSES:  # an application that makes classes all the time
                self._classes.clear()
                self._recorded.clear()
            self._classes[key] = (make or kind)(self, of)
        return self._classes[key]
