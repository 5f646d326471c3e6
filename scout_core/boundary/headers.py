"""
Add headers to the headers of a call, in a copy: the caller's own object is never changed.

A header that the caller has set is kept. With ``traceparent`` or ``tracestate`` the caller has decided about both. A request that
carries a signature of Amazon Web Services stays as it is, because a signature may cover every header.
"""

from __future__ import annotations

import copy
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

from scout_core.boundary.header_names import HeaderNames
from scout_core.recording.safety.contain import count_invalid
from scout_core.signals import is_from_signal_handler


class UnknownHeaders(TypeError):
    """Headers that are neither a mapping nor pairs."""


def with_headers(given: Any, added: Mapping[str, str]) -> Any:  # Any: whatever the library takes as headers
    """
    Return the headers of a call together with others.

    Args:
        given: None, a mapping, an ``email.message.Message``, or pairs: a list, tuple, set, deque, a view such as ``{...}.items()``,
            an iterator or a generator; names are ``str`` or ``bytes``. Only plain containers are read without calling their own
            methods, and an iterator is read by the library.

    Returns:
        A new object of the same kind; ``given`` itself if nothing may be added. A dict for None and for a mapping that cannot be copied,
        a list for a set, a deque or a view, a generator for an iterator.

    Raises:
        UnknownHeaders: it is something else.
        Exception: whatever a mapping's own methods raise.
    """
    if given is None:
        return dict(added)
    kind = type(given)
    if kind is dict:
        pairs: Iterable[Any] = given.items()
    elif issubclass(kind, (list, tuple)):
        pairs = tuple(given) if kind is list else given
    elif isinstance(given, Mapping) or _is_message(kind) or (hasattr(kind, "items") and hasattr(kind, "copy")):
        pairs = list(given.items())
    elif issubclass(kind, (Set, deque)):
        pairs = list(given)
    elif issubclass(kind, Iterator):
        return _followed(given, added)
    else:
        raise UnknownHeaders(f"headers of type {kind.__name__}")
    names = HeaderNames()
    names.read(pairs)
    if names.are_unknown:
        raise UnknownHeaders(f"a {kind.__name__} of other items than pairs")
    allowed = names.allowed(added)
    return _joined(given, kind, pairs, allowed) if allowed else given


def _joined(given: Any, kind: type, pairs: Iterable[Any], added: Mapping[Any, Any]) -> Any:
    if kind is dict:
        return {**given, **added}
    if issubclass(kind, (list, Set, deque)):
        return [*pairs, *added.items()]
    if issubclass(kind, tuple):
        return (*given, *added.items())
    copied = _copy(given, kind, next(iter(added)))
    if copied is None or copied is given:  # it cannot be changed, so the library only reads it
        copied = _as_dict(pairs, kind)
    for name, value in added.items():
        copied[name] = value
    return copied


def _copy(given: Any, kind: Any, unused: Any) -> Any:
    """
    Return a copy that can be changed; None, or the object itself, if it has none.

    Args:
        unused: a name that the headers do not have.
    """
    if _is_message(kind):
        copied = copy.copy(given)
        del copied[unused]  # a message puts a new list in the place of the one that both of them have
        return copied
    if not hasattr(kind, "copy"):
        return None
    try:
        return copy.copy(given) if kind.copy is dict.copy else given.copy()  # dict's own would return a plain dict
    except TypeError as error:  # as Werkzeug's headers of a request
        if is_from_signal_handler(error):
            raise
        return None


def _as_dict(pairs: Iterable[Any], kind: type) -> dict[Any, Any]:
    found = [(name, value) for name, value in pairs]
    copied = dict(found)
    if len(copied) != len(found):
        raise UnknownHeaders(f"a {kind.__name__} that has a header twice and cannot be copied")
    return copied


def _followed(given: Iterator[Any], added: Mapping[str, str]) -> Iterator[Any]:
    """Yield the pairs of an iterator when the library reads them, and then what may be added."""
    names = HeaderNames()
    for pair in given:
        try:
            names.read((pair,))
        except Exception as error:  # of the pair's own methods
            names.are_unknown = True  # which is counted below
            if is_from_signal_handler(error):
                raise
        yield pair
    if names.are_unknown:
        count_invalid()
    yield from names.allowed(added).items()


def _is_message(kind: type) -> bool:
    """Whether objects of a class are messages, such as ``http.client.HTTPMessage``. Their module is loaded if there is one."""
    module = sys.modules.get("email.message")
    return module is not None and issubclass(kind, module.Message)
