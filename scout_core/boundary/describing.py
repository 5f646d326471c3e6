"""How the wrapper of a target is made. The modules that send headers are loaded when a plugin first names some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from scout_core.boundary.bound_calls import Function, Original
from scout_core.boundary.guard import Guard
from scout_core.boundary.wrappers import describing_wrapper
from scout_core.fork_lock import importing

if TYPE_CHECKING:
    from scout_core.boundary.header_places import DefaultHeaders, HeaderParameter


def header_parameter(headers: str | None, default: DefaultHeaders) -> HeaderParameter | None:
    """Return what a plugin passes as ``headers`` and ``default_headers``; None if it passes neither."""
    if headers is None and default is None:
        return None
    with importing:  # a plugin may name targets on any thread
        import scout_core.boundary.sending  # noqa: F401  # for the function below
        from scout_core.boundary.header_places import HeaderParameter
    return HeaderParameter(cast(str, headers), tuple(default.items()) if isinstance(default, Mapping) else default)


def describe_or_send(guard: Guard, is_root: bool, headers: HeaderParameter | None, original: Original) -> Function:
    """Return the wrapper of a target: one that sends headers through this parameter, or any other for None."""
    guard = original.guard(guard)
    if headers is not None:
        from scout_core.boundary.sending import sending_wrapper

        return sending_wrapper(original, guard, headers, is_root=is_root)
    return describing_wrapper(original.function, guard, is_root=is_root, is_constructor=original.is_constructor)
