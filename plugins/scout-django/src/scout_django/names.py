"""Names of views: module and qualified name, with the method of an admin class or view set that answers."""

from __future__ import annotations

from functools import lru_cache, partial
from types import FunctionType, MethodType
from typing import Any, Final

from scout_core.endpoints import may_share_name
from scout_core.operations import CONTROLLER

_NINJA: Final = "ninja.operation"
"""Module of the views of Django Ninja, and of the class of the paths that they belong to; one view answers several HTTP methods."""


def operation_of(view: Any, method: str | None, route: str) -> str:
    """
    Return ``Controller/<name of the view>``; that of a function is made once for each route.

    Args:
        view: what the URL is resolved to.
        method: of HTTP; the views of a view set differ by it.
        route: follows the name where several views may share one, because their figures must not be added up.
    """
    if type(view) is FunctionType:
        has_methods = view.__module__ == _NINJA or hasattr(view, "actions")
        return _operation_of(view, method if has_methods else None, route)
    return f"{CONTROLLER}/{view_name(view, method, route)}"


@lru_cache(maxsize=1000)
def _operation_of(view: FunctionType, method: str | None, route: str) -> str:
    return f"{CONTROLLER}/{view_name(view, method, route)}"


def view_name(view: Any, method: str | None = None, route: str = "") -> str:
    """
    Return ``<module>.<qualified name>`` of a view: of its function, of its class, or of the class of an object.

    The route follows for a ``functools.partial``, a lambda, a bound method, an object, and a function from a factory or a decorator
    that has given it no name of its own.
    """
    is_shared = False
    while type(view) is partial:
        view, is_shared = view.func, True
    view = _ninja_function(view, method) or view
    if type(view) is MethodType:
        view, is_shared = view.__func__, True
    owner = _class_of(view)
    if owner is not None:
        return f"{_name(owner)}{_method_of(view, method)}"
    if type(view) is FunctionType:
        is_shared = is_shared or may_share_name(view)
    elif not isinstance(view, type):
        view, is_shared = type(view), True
    return f"{_name(view)} {route}" if is_shared and route else _name(view)


def _name(found: Any) -> str:
    name, qualified = found.__name__, found.__qualname__
    # `api_view` of Django REST framework makes a class for a function, and sets only its name.
    return f"{found.__module__}.{qualified if qualified.endswith(name) else name}"


def _class_of(view: Any) -> type | None:
    """Return the class behind a view: that of ``as_view()``, also of Django REST framework, or the admin class of a model."""
    admin = getattr(view, "model_admin", None)
    if admin is not None:
        return type(admin)
    return getattr(view, "cls", None) or getattr(view, "view_class", None)


def _method_of(view: Any, method: str | None) -> str:
    if getattr(view, "model_admin", None) is not None:
        return f".{view.__name__}"
    actions = getattr(view, "actions", None)
    action = actions.get((method or "").lower()) if isinstance(actions, dict) else None
    return f".{action}" if action else ""


def _ninja_function(view: Any, method: str | None) -> Any:
    """Return the function that answers a method where this is a view of Django Ninja; otherwise, and for another method, None."""
    if type(view) is MethodType:  # in its older versions
        objects = [view.__self__]
    elif type(view) is FunctionType and view.__module__ == _NINJA:
        objects = [cell.cell_contents for cell in view.__closure__ or ()]
    else:
        return None
    operations = [
        operation
        for found in objects
        if type(found).__module__ == _NINJA
        for operation in getattr(found, "operations", ())
    ]
    return next((operation.view_func for operation in operations if method in operation.methods), None)
