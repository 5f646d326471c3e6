"""
Add headers to the headers of a call, in a copy: the caller's own object is never changed.

A header that the caller has set is kept. With ``traceparent`` or ``tracestate`` the caller has decided about both. A request that
carries a signature of Amazon Web Services stays as it is, because a signature may cover every header.
"""

from __future__ import annotations

import copy
import sys
from collections import UserDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import Any, Final

from scout_core.boundary.header_names import HeaderNames
from scout_core.classes import bases_of, own_names
from scout_core.recording.naming import type_name
from scout_core.signals import is_from_signal_handler

_MISSING: Final = object()
_OF_DICTS: Final = frozenset(dir(dict))
_OF_LISTS: Final = frozenset(dir(list) + dir(tuple))
_OWN_COPIES: Final = (dict.copy, UserDict.copy)
_PYTHONS_OWN: Final = ("collections", "collections.abc", "typing")
_STORING: Final = frozenset(
    {"__contains__", "__delitem__", "__getitem__", "__iter__", "__len__", "__setitem__", "get", "items", "keys", "pop",
     "popitem", "setdefault", "update", "values"}
)  # fmt: skip
"""Methods with which a dict is read and changed."""


class UnknownHeaders(TypeError):
    """Headers that are neither a mapping nor pairs."""


def with_headers(
    given: Any,  # Any: whatever the library takes as headers
    added: Mapping[str, str],
    note: Callable[[str], object] = lambda problem: None,
) -> Any:  # Any: as above
    """
    Return the headers of a call together with others.

    Args:
        given: None, a mapping, an ``email.message.Message``, or pairs: a list, tuple, set, deque, a view such as ``{...}.items()``,
            an iterator or a generator; names are ``str`` or ``bytes``. Only plain containers are read without calling their own
            methods, and an iterator is read by the library.
        note: called with the problem of an iterator, when the library has read it: nothing can be raised then.

    Returns:
        A new object of the same kind; ``given`` itself if nothing may be added. A dict for None, and for a mapping that
        cannot be copied and answers as a dict does; a list for a set, a deque or a view, a generator for an iterator.

    Raises:
        UnknownHeaders: it is something else, or a mapping that can neither be copied nor replaced by a dict.
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
        return _followed(given, added, note)
    else:
        raise UnknownHeaders(f"type {type_name(kind)}")
    names = HeaderNames()
    names.read(pairs)
    if names.are_unknown:
        raise UnknownHeaders(_other_items(kind))
    allowed = names.allowed(added)
    return _joined(given, kind, pairs, allowed) if allowed else given


def _joined(given: Any, kind: type, pairs: Iterable[Any], added: Mapping[Any, Any]) -> Any:
    if kind is dict:
        return {**given, **added}
    if kind is not list and kind is not tuple and issubclass(kind, (list, tuple)) and not _has_only(kind, _OF_LISTS):
        raise UnknownHeaders(f"type {type_name(kind)}, which answers otherwise than a list")
    if issubclass(kind, (list, Set, deque)):
        return [*pairs, *added.items()]
    if issubclass(kind, tuple):
        return (*given, *added.items())
    copied = _copy(given, kind, next(iter(added)))
    if copied is None or copied is given:  # it cannot be changed, so the library only reads it
        copied = _as_dict(given, kind, pairs)
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
    if hasattr(kind, "mutablecopy"):  # Starlette's headers of a request
        return given.mutablecopy()
    if not hasattr(kind, "copy"):
        return None
    try:
        if kind.copy in _OWN_COPIES:  # the first would return a plain dict, the second empties the original meanwhile
            # `copy.copy` shares what the object has besides its items, and stores these by methods of the class.
            return copy.copy(given) if not _replaces_methods(kind) else None
        return given.copy()
    except TypeError as error:  # as Werkzeug's headers of a request
        if is_from_signal_handler(error):
            raise
        return None


def _as_dict(given: Any, kind: type, pairs: Iterable[Any]) -> dict[Any, Any]:
    """
    Return a dict for a mapping that answers as one.

    Raises:
        UnknownHeaders: it has a header twice, finds a name in another case, as the headers of a request of Werkzeug and Django do, or has
            methods that a dict lacks. The library may need all of that.
    """
    found = [(name, value) for name, value in pairs]
    copied = dict(found)
    get = getattr(given, "get", None)
    if (
        len(copied) != len(found)
        or not _has_only(kind, _OF_DICTS)
        or (get is not None and any(get(other, _MISSING) is not _MISSING for other in _other_cases(copied)))
    ):
        raise UnknownHeaders(f"type {type_name(kind)}, which cannot be copied, and answers otherwise than a dict")
    return copied


def _replaces_methods(kind: type) -> bool:
    """Whether a class derived from a dict answers or stores in another way."""
    classes = (base for base in bases_of(kind) if own_names(base).get("__module__") not in _PYTHONS_OWN)
    return any(not _STORING.isdisjoint(own_names(base)) for base in classes if base not in (dict, object))


def _has_only(kind: type, known: Set[str]) -> bool:
    """Whether a class has no further public names than these: a library could call them."""
    return all(name.startswith("_") or name in known for base in bases_of(kind) for name in own_names(base))


def _other_cases(names: Iterable[Any]) -> list[Any]:
    """Return each name in another case, unless that is a name, too. Those of other classes than ``str`` and ``bytes`` have one case."""
    known = {name for name in names if type(name) in (str, bytes)}
    return [name.swapcase() for name in known if name.swapcase() not in known]


def _followed(given: Iterator[Any], added: Mapping[str, str], note: Callable[[str], object]) -> Iterator[Any]:
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
        note(_other_items(type(given)))
    yield from names.allowed(added).items()


def _other_items(kind: type) -> str:
    return f"type {type_name(kind)} with other items than pairs"


def _is_message(kind: type) -> bool:
    """Whether objects of a class are messages, such as ``http.client.HTTPMessage``. Their module is loaded if there is one."""
    module = sys.modules.get("email.message")
    return module is not None and issubclass(kind, module.Message)
