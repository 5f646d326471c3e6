"""
Names of web endpoints, for the operation ``Controller/<name>``: one rule for the plugins of all web frameworks.

A view is named by its module and its own name, ``shop.views.home``. Views from a factory, bound methods of several objects,
and wrappers made without ``functools.wraps`` share that name; they are named after their endpoints, because their figures must
not be added up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FunctionType, MethodType
from typing import Generic, TypeVar
from weakref import ref

from scout_core.operations import CONTROLLER
from scout_core.signals import is_from_outside

_App = TypeVar("_App")


class EndpointOperations(Generic[_App]):
    """
    The operations of each application's endpoints, ``Controller/<name>``: read at its first request, and kept.

    Args:
        views_of: returns the views of an application by endpoint. The application must support weak references.

    ``operation = EndpointOperations(lambda app: app.view_functions).of`` at the module level, then ``operation(app, endpoint)``
    for each request: two look-ups. The views are read again only for an endpoint that was not among them. The object itself can
    be called, too; Python calls a method faster.
    """

    def __init__(self, views_of: Callable[[_App], Mapping[str, object]]) -> None:
        self._views_of = views_of
        self._known: dict[int, tuple[ref[_App], dict[str, str]]] = {}

    def of(self, app: _App, endpoint: str) -> str:
        """Return the operation of an endpoint; an endpoint without a view is named after itself."""
        known = self._known.get(id(app))
        if known is not None and known[0]() is app:  # not another application that had the same id
            operation = known[1].get(endpoint)
            if operation is not None:
                return operation
        return self._read(app).setdefault(endpoint, f"{CONTROLLER}/{endpoint}")

    __call__ = of

    def _read(self, app: _App) -> dict[str, str]:
        names = endpoint_names(self._views_of(app))
        operations = {endpoint: f"{CONTROLLER}/{name}" for endpoint, name in names.items()}
        key, known = id(app), self._known
        known[key] = ref(app, lambda _: known.pop(key, None)), operations
        return operations


def view_name(view: object) -> str | None:
    """
    Return module and name of a view: ``shop.views.home``.

    Returns:
        None when it has no name of its own: a lambda, a ``functools.partial``, an object whose class defines ``__call__``, or
        one whose attributes cannot be read.
    """
    try:
        module, name = view.__module__, view.__name__  # type: ignore[attr-defined]  # foreign: it may lack it
    except (
        BaseException
    ) as error:  # its class may define __getattr__; one bad view must not leave the others without a name
        if is_from_outside(error):
            raise
        return None
    return f"{module}.{name}" if type(module) is type(name) is str and name and name != "<lambda>" else None


def may_share_name(function: FunctionType) -> bool:
    """
    Whether several functions may have the name of this one: a lambda, or what a factory or a decorator has made.

    A decorator with ``functools.wraps`` has given it the name of the view itself.
    """
    return function.__name__ == "<lambda>" or (
        function.__closure__ is not None and "__wrapped__" not in function.__dict__
    )


def endpoint_names(views: Mapping[str, object]) -> dict[str, str]:
    """
    Return the name of each endpoint.

    Args:
        views: by endpoint, in the order of registration.

    Returns:
        ``view_name``. Where different views would share a name, and where a view has none, the endpoint; a lambda's module
        precedes it. A view with several endpoints has one name, if need be after the first of them.
    """
    firsts: dict[object, str] = {}
    owners = {endpoint: firsts.setdefault(_identity(view), endpoint) for endpoint, view in list(views.items())}
    names = {first: _own_name(views[first], first) for first in firsts.values()}
    while shared := _shared(names):  # an endpoint may be the name of another view, which then is shared as well
        names.update((first, first) for first in shared)
    return {endpoint: names[first] for endpoint, first in owners.items()}


def _shared(names: dict[str, str]) -> list[str]:
    """Return the endpoints whose name is not their own and belongs to another view, too."""
    counts: dict[str, int] = {}
    for name in names.values():
        counts[name] = counts.get(name, 0) + 1
    return [endpoint for endpoint, name in names.items() if counts[name] > 1 and name != endpoint]


def _own_name(view: object, endpoint: str) -> str:
    if type(view) is type(view_name) and view.__name__ == "<lambda>" and type(view.__module__) is str:
        return f"{view.__module__}.{endpoint}"
    return view_name(view) or endpoint


def _identity(view: object) -> object:
    """Return the same for the same view; each access to a method makes another object."""
    return (id(view.__self__), id(view.__func__)) if type(view) is MethodType else id(view)
