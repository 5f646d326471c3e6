"""The settings of a project: the agent starts with them, or adopts them, when its applications are ready, and again when they change."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from scout_core.first_requests import FirstRequests
from scout_core.log import Log

log = Log("scout_core.django")

PREFIX: Final = "SCOUT_"
BY_APPLICATION: Final = "scout_django"
BY_AGENT: Final = "scout_django.agent"
_followed: Final[set[str]] = set()
"""By which of these changes are followed: at most one."""


def start() -> None:
    """Start the agent for the application of this plugin, or add the settings to the one that runs, and follow changes for good."""
    if not is_reloader():
        _start_from(_settings())
        _follow(BY_APPLICATION)


def adopt() -> None:
    """Do the same for a project without the application, until the agent stops; once, and not before its applications are ready."""
    from django.apps import apps  # type: ignore[import-untyped]  # Django has no types

    if apps.ready and not _followed:
        _start_from(_settings())
        _follow(BY_AGENT)


def forget() -> None:
    """Follow no changes, unless the application does, which may start an agent again."""
    if BY_AGENT in _followed:
        from django.core.signals import setting_changed  # type: ignore[import-untyped]  # as above

        setting_changed.disconnect(dispatch_uid=BY_AGENT)
        _followed.discard(BY_AGENT)


def _follow(who: str) -> None:
    from django.core.signals import setting_changed  # as above

    forget()
    setting_changed.connect(change, dispatch_uid=who)
    _followed.add(who)


def is_reloader() -> bool:
    """Return whether this process answers no requests, but starts ``runserver`` in another one, again whenever a file has changed."""
    return sys.argv[1:2] == ["runserver"] and "--noreload" not in sys.argv and os.environ.get("RUN_MAIN") != "true"


def change(setting: str, value: Any, **_: object) -> None:  # Any: whatever a project sets
    """Take a setting that has changed, or was removed, which is None; a receiver of Django's ``setting_changed``."""
    if setting.startswith(PREFIX):
        # All of them: where `SCOUT_MONITOR` has changed, an agent starts that knows none.
        _start_from({**_settings(), setting: value})
        if not _followed:  # the agent has stopped, because `SCOUT_MONITOR` is false
            _follow(BY_AGENT)


def _settings() -> dict[str, Any]:  # Any: as above
    from django.conf import settings  # type: ignore[import-untyped]  # as above

    return {name: getattr(settings, name) for name in dir(settings) if name.startswith(PREFIX)}


def _start_from(settings: dict[str, Any]) -> None:  # Any: as above
    FirstRequests("Django", settings, plugin="django", log=log).enter()
