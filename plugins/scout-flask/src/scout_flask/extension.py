"""The Flask extension: starts the agent with the application's settings at its first request."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final

import scout_core
from scout_core.errors import ScoutError
from scout_core.log import Log

if TYPE_CHECKING:
    from flask import Flask, Response

log = Log("scout_core.flask")

METHOD: Final = "full_dispatch_request"


class ScoutApm:
    """
    Record a Flask application: ``ScoutApm(app)``, or ``ScoutApm().init_app(app)`` in an application factory.

    Settings are the keys ``SCOUT_*`` of ``app.config``: ``SCOUT_NAME``, and options of plugins such as ``SCOUT_TEAM_PREFIX``.
    They are read at the first request, so they may be set after this. If an agent is already running, as under
    ``scout-core run``, they are added to it.
    """

    def __init__(self, app: Flask | None = None) -> None:
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Attach to one application; calling it again has no effect."""
        if "scout" not in app.extensions:
            app.extensions["scout"] = self
            _before_first_request(app)


# The method is replaced on this object until its first call, which puts the original back, so that later requests do not
# pass through here. A wrapper around `wsgi_app` could not be removed once another one has been put around it.
def _before_first_request(app: Flask) -> None:
    before = vars(app).get(METHOD)
    once = Lock()

    def first_request(*context: object) -> Response:
        if once.acquire(blocking=False):  # never released: only one of several first requests starts the agent
            if vars(app).get(METHOD) is first_request:
                del vars(app)[METHOD]
                vars(app).update({} if before is None else {METHOD: before})
            _start(app)
        method = before or getattr(type(app), METHOD).__get__(app)
        return method(*context)  # type: ignore[no-any-return]  # it returns the result of a method that returns one

    app.full_dispatch_request = first_request  # type: ignore[method-assign]  # first_request removes it


def _start(app: Flask) -> None:
    try:
        scout_core.start_from_settings("Flask", app.config)
    except ScoutError as error:
        log.warning("not recording: %s; the application is not affected", error)
