"""
For extensions of frameworks and for middleware: the first request of an application starts the agent, with the settings that hold by
then.

Other requests may arrive in the meantime. They do not wait, and are recorded as later ones are, except that the spans inside them
are those of libraries that are wrapped already.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Final

from scout_core.boundary import wrappers
from scout_core.boundary.guard import Guard
from scout_core.boundary.wrappers import Describer, describing_wrapper
from scout_core.errors import LeftAlone, ScoutError
from scout_core.log import Log
from scout_core.recording import context
from scout_core.recording.early import Early
from scout_core.recording.safety.silence import Silence
from scout_core.recording.tracer import Tracer
from scout_core.running import start_from_settings

_beginning: Final = Lock()
"""Held for a few assignments only, so that no request waits."""
LONGEST_WAIT: Final = 1.0
"""Seconds for it: in a forked child nobody may be left to release it."""


class FirstRequests:
    """
    The requests of one application until the agent has started.

    An extension of a framework whose plugin wraps a function names that plugin, its target and its describer. Middleware, which
    records requests itself, leaves them out: after ``enter`` it records a request if an agent runs, and also while one starts.

    Args:
        framework: as for ``start_from_settings``, like ``settings``, which are read at the first request.
        log: where a failing start is logged.
        plugin: its plugin; while it is disabled, nothing is recorded. Empty: none is needed.
        target: the function that its plugin wraps for each request, and ``describer`` of it, as given to ``wrap``.
    """

    def __init__(
        self,
        framework: str,
        settings: Mapping[Any, Any],
        *,
        log: Log,
        plugin: str = "",
        target: str = "",
        describer: Describer | None = None,
    ) -> None:
        self.is_over = False
        self._framework = framework
        self._settings = settings
        self._plugin = plugin
        self._guard = describer and Guard(plugin, target, describer, has_steps=inspect.isgeneratorfunction(describer))
        self._log = log
        self._begun_in = 0
        self._tracer: Tracer | None = None
        """Records while the agent starts."""
        self._wrapper: Callable[..., Any] | None = None

    def enter(self, function: Callable[..., Any] | None = None) -> Callable[..., Any] | None:
        """
        Start the agent if this is the first request.

        Args:
            function: what the target is now, before the agent wraps it. None: there is no describer, or nothing that comes while the
                agent starts is to be recorded.

        Returns:
            The function to call instead of the target, which records; None: the target itself, as it is now.
        """
        early = None
        is_held = _beginning.acquire(timeout=LONGEST_WAIT)
        try:
            pid = os.getpid()
            is_first, self._begun_in = not self.is_over and self._begun_in != pid, pid
            if is_first:
                if context.tracer is None:
                    early = Early()
                    early.begin()
                if context.tracer is not None and context.tracer.has_no_agent and function is not None:
                    self._tracer = context.tracer
                    self._wrapper = self._recording(function)
        finally:
            if is_held:
                _beginning.release()
        if is_first:
            try:
                self._start(early)
            finally:
                self.is_over = True
        is_recording = not self.is_over and context.tracer is self._tracer  # otherwise the agent did not take it over
        return self._wrapper if is_recording else None

    def _recording(self, function: Callable[..., Any]) -> Callable[..., Any] | None:
        code = getattr(function, "__code__", None)
        if (
            code is not None and code.co_filename == wrappers.__file__
        ):  # the start of another application has wrapped it
            return None
        try:
            return None if self._guard is None else describing_wrapper(function, self._guard, is_root=True)
        except LeftAlone:
            return None

    def _start(self, early: Early | None) -> None:
        try:
            if early is None:
                start_from_settings(self._framework, self._settings)
                return
            with Silence(early.tracer):  # plugins may trace while they are imported
                start_from_settings(self._framework, self._settings, early=early, plugin=self._plugin)
        except ScoutError as error:
            self._log.warning("not recording: %s; the application is not affected", error)
        finally:
            if early is not None:
                early.drop()
