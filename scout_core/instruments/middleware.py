"""The constructor of the middlewares that are put around an application by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, Generic, TypeVar

from scout_core.first_requests import FirstRequests
from scout_core.log import Log
from scout_core.operations import UNNAMED, WEB_PREFIX
from scout_core.recording.naming import plain_name
from scout_core.recording.web import read_environ

_App = TypeVar("_App")
_Request = TypeVar("_Request")
_MOST_LISTED: Final = 5


class Middleware(Generic[_App, _Request]):
    """
    An application that records the requests of another one. The agent is started at the first request; one that is running is used.

    Args:
        app: the application.
        name: the operation, ``Controller/<name>``, or a function that is given the environ or the scope of a request and returns it. It
            must not contain ids or whole paths. Code inside a request may rename it:
            ``current_transaction().rename("Controller/shop.cart")``.
        settings: options by environment variable, ``{"SCOUT_NAME": "Shop"}``; None: those of the environment and the file only. Other
            keys are ignored, with a warning.

    Raises:
        TypeError: settings are not a mapping.
    """

    _protocol: ClassVar[str]
    _log: ClassVar[Log]

    def __init__(
        self,
        app: _App,
        *,
        name: str | Callable[[_Request], str] = UNNAMED,
        settings: Mapping[str, Any] | None = None,  # Any: values of options
    ) -> None:
        if settings is not None and not isinstance(settings, Mapping):
            raise TypeError(
                f"{type(self).__name__}: settings must be a mapping such as "
                f'{{"SCOUT_NAME": "Shop"}}, got {type(settings).__name__}'
            )
        self.app = app
        self._name = name
        self._first = FirstRequests(self._protocol, settings or {}, log=self._log)
        if settings:
            self._warn_of(settings)

    def _warn_of(self, settings: Mapping[Any, Any]) -> None:
        from scout_core.config.layers import PREFIX  # needed only by hand, where settings are given
        from scout_core.config.options import BY_KEY, variable_of

        texts = []
        for key in settings:
            meant = key.lower().replace("-", "_") if isinstance(key, str) else ""
            if not (isinstance(key, str) and key.startswith(PREFIX)):
                texts.append(f"{key!r} (did you mean {variable_of(meant)}?)" if meant in BY_KEY else repr(key))
        if texts:
            more = f" and {len(texts) - _MOST_LISTED} more" if len(texts) > _MOST_LISTED else ""
            self._log.warning(
                "%s: settings are ignored: %s%s; use environment variables of options, such as SCOUT_NAME",
                type(self).__name__,
                ", ".join(texts[:_MOST_LISTED]),
                more,
            )


def name_for(name: str | Callable[[Any], object], request: Any) -> str:  # Any: an environ or a scope
    """Return the operation of a request, whatever a function of the application returns for it."""
    found = name if isinstance(name, str) else read_environ(name, request)
    if found is None:
        return UNNAMED
    plain = plain_name(found)
    return (plain or UNNAMED) if issubclass(type(found), str) else WEB_PREFIX + plain
