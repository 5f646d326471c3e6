"""Statements of ``sqlite3`` as spans: ``SQL/Query``, or ``SQL/Many`` for many rows at once, tagged with ``statement``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from scout_core import hookimpl
from scout_core.instruments.dbapi import Driver

if TYPE_CHECKING:
    from scout_core.boundary.wrap import Wrap

SHORTCUTS: Final = ("execute", "executemany", "executescript")
"""Methods of a connection that make a cursor, run the method of that name, and return the cursor."""
FACTORY: Final = 5
"""Position of ``factory`` among the parameters of ``connect``; Python 3.15 accepts it by keyword only."""


@frozen
class SqliteOptions:
    """The options of this plugin."""

    fetches: bool = field(default=False, metadata={"help": "time fetchall and fetchmany, too, as SQL/Fetch"})


@hookimpl
def register_options() -> type[SqliteOptions]:
    """Return the options of this plugin."""
    return SqliteOptions


@hookimpl
def instrument(wrap: Wrap, options: SqliteOptions | None) -> None:
    """Let connections be objects of subclasses: those of ``sqlite3`` are written in C, so that their methods cannot be replaced."""
    driver = Driver(wrap, "sqlite", fetches=options is not None and options.fetches, unwrapping=["backup"])
    # SQLAlchemy and Django use that of dbapi2. It is found through sqlite3, which copies it while dbapi2 has just been imported:
    # a wrapper that it copied could not be removed.
    for target in ("sqlite3:connect", "sqlite3:dbapi2.connect"):
        wrap.around(target, partial(connect, driver))


def connect(
    driver: Driver, wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:  # Any: a connection, of whatever class the application wants
    """Open a connection of a recorded subclass. A proxy is for what a factory of the application returns that is not a class."""
    from sqlite3 import Connection

    factory = args[FACTORY] if len(args) > FACTORY else kwargs.get("factory", Connection)
    recorded = recorded_connection(driver, factory) if isinstance(factory, type) else None
    if recorded is not None and len(args) > FACTORY:
        args = (*args[:FACTORY], recorded, *args[FACTORY + 1 :])
    elif recorded is not None:
        kwargs = {**kwargs, "factory": recorded}
    return driver.proxied(wrapped(*args, **kwargs))


def recorded_connection(driver: Driver, base: type) -> type | None:
    """Return a subclass of a class of connections; None if it should have none."""
    from sqlite3 import Connection, Cursor

    if not issubclass(base, Connection):
        return None
    own: Any = Connection.cursor
    makes_own = getattr(base, "cursor") is own  # noqa: B009  # mypy knows only its calls
    inherited = getattr(base, "cursor")  # noqa: B009
    usual = recorded_cursor(driver, Cursor) if makes_own else None

    def cursor(connection: Any, /, *args: Any, **kwargs: Any) -> Any:
        if usual is not None and not args and not kwargs:  # every ORM
            return own(connection, usual)
        if makes_own:
            recorded = recorded_cursor(driver, args[0] if args else kwargs.get("factory", Cursor))
            if recorded is not None:
                if args:
                    return own(connection, recorded, *args[1:], **kwargs)
                kwargs["factory"] = recorded
                return own(connection, **kwargs)
        return driver.proxied_cursor(inherited(connection, *args, **kwargs), connection)

    methods: dict[str, Any] = {"cursor": cursor}
    for name in SHORTCUTS:
        if getattr(base, name) is getattr(Connection, name):
            # Python 3.10 calls `cursor`, as above; later ones make an object of Cursor itself.
            has_own = sys.version_info >= (3, 11)
            methods[name] = (
                driver.shortcut(own, driver.subclass(Cursor), name) if has_own else getattr(Connection, name)
            )
    return driver.subclass(base, **methods)


def recorded_cursor(driver: Driver, factory: Any) -> type | None:  # Any: what the application passes
    """Return a subclass of a class of cursors; None for other factories."""
    return driver.subclass(factory) if isinstance(factory, type) else None
