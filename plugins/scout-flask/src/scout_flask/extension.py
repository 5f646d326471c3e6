"""The Flask extension: starts the agent with the application's settings at its first request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scout_core.first_requests import FirstRequests
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


# The method is replaced on this object until the agent has started, which puts the original back, so that later requests do not
# pass through here. A wrapper around `wsgi_app` could not be removed once another one has been put around it.
def _before_first_request(app: Flask) -> None:
    from scout_flask import dispatch

    before = vars(app).get(METHOD)
    first = FirstRequests(
        "Flask", app.config, plugin="flask", target=f"flask.app:Flask.{METHOD}", describer=dispatch, log=log
    )

    def first_request(*context: object) -> Response:
        # Whether another extension's method is recorded is up to the method that it calls.
        recording = first.enter(getattr(type(app), METHOD) if before is None else None)
        if recording is not None:
            return recording(app, *context)  # type: ignore[no-any-return]  # it returns what the method returns
        if first.is_over and vars(app).get(METHOD) is first_request:
            vars(app).pop(METHOD, None)
            vars(app).update({} if before is None else {METHOD: before})
        method = before or getattr(type(app), METHOD).__get__(app)
        return method(*context)  # type: ignore[no-any-return]  # as above

    app.full_dispatch_request = first_request  # type: ignore[method-assign]  # first_request removes it
