"""Names of endpoints and background tasks: module and qualified name."""

from __future__ import annotations

from functools import lru_cache, partial
from types import FunctionType, MethodType

from scout_core.endpoints import may_share_name


def operation_of(kind: str, endpoint: object, template: str) -> str:
    """Return ``<kind>/<name of the endpoint>``; that of a function is made once."""
    if type(endpoint) is FunctionType:
        return _operation_of(kind, endpoint, template)
    return f"{kind}/{endpoint_name(endpoint, template)}"


@lru_cache(maxsize=1000)
def _operation_of(kind: str, endpoint: FunctionType, template: str) -> str:
    return f"{kind}/{endpoint_name(endpoint, template)}"


def endpoint_name(endpoint: object, template: str = "") -> str:
    """
    Return ``<module>.<qualified name>`` of a function or a class; for any other object that of its class.

    Args:
        template: of the path. It follows the name where several endpoints may share one, because their figures must not be added up:
            a lambda, a ``functools.partial``, a bound method, an object, and a function from a factory or a decorator that has given
            it no name of its own.
    """
    is_shared = False
    while type(endpoint) is partial:
        endpoint, is_shared = endpoint.func, True
    if type(endpoint) is MethodType:
        endpoint, is_shared = endpoint.__func__, True
    if type(endpoint) is FunctionType:
        is_shared = is_shared or may_share_name(endpoint)
    elif not isinstance(endpoint, type):
        endpoint, is_shared = type(endpoint), True
    name = f"{endpoint.__module__}.{endpoint.__qualname__}"
    return f"{name} {template}" if is_shared and template else name
