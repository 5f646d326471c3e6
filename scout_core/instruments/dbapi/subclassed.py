"""
Subclasses of a driver's cursors and connections that record.

Hot code: where nothing is recorded, a method costs two more calls and some comparisons.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MethodType
from typing import TYPE_CHECKING, Any

from scout_core.instruments.dbapi.statements import HAVE_ROWS, add_rows, rows_of, span_of
from scout_core.operations import kind_of
from scout_core.recording.outermost import records

if TYPE_CHECKING:
    from scout_core.instruments.dbapi.driver import Driver


def recorded_subclass(
    driver: Driver, base: Any, methods: Mapping[str, Callable[..., Any]]
) -> Any | None:  # Any: classes
    """Return a subclass; None if there should be none. See ``Driver.subclass``."""
    if type(base) is not type or isinstance(base.__init_subclass__, MethodType):  # object's own is a built-in method
        return None
    rows = rows_of(base)
    names: dict[str, Any] = {
        "__slots__": (), "__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__,
        "__class__": property(lambda self: base), **methods,
    }  # fmt: skip
    for name, operation in driver.operations.items():
        original = getattr(base, name, None)
        if original is not None and name not in names:
            names[name] = _recorded(driver, original, name, operation, rows)
    try:
        made: Any = type(base.__name__, (base,), names)
    except TypeError:  # it allows no subclasses
        return None
    del made.__slots__  # so that `dir` is the same
    return made


def _recorded(
    driver: Driver, original: Callable[..., Any], name: str, operation: str, rows: Callable[[Any], int] | None
) -> Callable[..., Any]:
    span, covering, wrap = span_of(name, operation, driver.dialect), kind_of(operation), driver.wrap
    rows = rows if name in HAVE_ROWS else None

    @functools.wraps(original)
    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not records(covering) or wrap.is_closed:
            return original(self, *args, **kwargs)
        with span(args, kwargs) as timed:
            result = original(self, *args, **kwargs)
            if rows is not None:
                add_rows(timed, rows, self)
            return result

    return method


def shortcut(make_cursor: Callable[..., Any], cursor: Any, name: str) -> Callable[..., Any]:  # Any: a class
    """Return a method of a connection; see ``Driver.shortcut``."""
    run = getattr(cursor, name)

    def method(connection: Any, /, *args: Any, **kwargs: Any) -> Any:
        made = make_cursor(connection, cursor)
        run(made, *args, **kwargs)
        return made

    return method
