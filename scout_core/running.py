"""The agent of this process: started once, stopped at the end, and started again in a forked child."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from scout_core.agent import Agent
from scout_core.config.config import Config, read_config
from scout_core.config.files import settings_here
from scout_core.errors import PluginError, ScoutError
from scout_core.log import Log
from scout_core.recording import context
from scout_core.recording.early import Early
from scout_core.sending.ending import at_exit
from scout_core.threads import LateLock
from scout_core.uwsgi import watch_uwsgi

log = Log("scout_core")

_running: Agent | None = None
_starting = LateLock()
_is_starting = False
"""Set while ``_starting`` is held: a plugin that is being imported may call ``start`` again."""


def start(**settings: Any) -> Agent | None:
    """
    Start the agent of this process; if it is already running, add the settings to it.

    Args:
        settings: any option, as in ``start(name="Shop", report_period=10)``; ``scout-core config`` lists them. ``plugin_options``
            has those of plugins: ``start(plugin_options={"team": {"prefix": "Job/"}})``.

    Returns:
        The agent; None when ``monitor`` is false.

    Raises:
        PluginError: a plugin that is named here, or required, cannot be used, or a plugin calls this while it is imported.
            Nothing else is raised: other problems are logged, and ``scout-core config --check`` shows them.
    """
    return _start(settings, None)


def start_from_settings(
    framework: str, settings: Mapping[Any, Any], *, early: Early | None = None, plugin: str = ""
) -> Agent | None:
    """
    Start the agent with the settings of a framework; if it is already running, add the settings to it.

    Args:
        framework: its name, as problems show it: ``Flask``.
        settings: its settings. Those whose names are environment variables of options are used: ``SCOUT_NAME``,
            ``SCOUT_TEAM_PREFIX``. What ``start()`` is given in code is stronger.
        early: what was recorded before; an agent that starts takes it over if this ``plugin`` is active.

    Returns:
        As ``start``.

    Raises:
        PluginError: as ``start``.
    """
    return _start({}, (framework, settings), early, plugin)


def _start(
    code: Mapping[str, Any],
    framework: tuple[str, Mapping[Any, Any]] | None,
    early: Early | None = None,
    plugin: str = "",
) -> Agent | None:
    global _running, _is_starting
    with _starting.held():
        if _running is not None and _running.is_running:
            if code or framework:
                _running.add_settings(code, framework)
            if _running.config.get("monitor"):
                return _running
            log.info("recording stops: monitor is false (%s)", _running.config.origin("monitor"))
            stop()
            return None
        if _is_starting:
            raise PluginError("the agent is already starting; a plugin must not start it")
        config = read_config(code, framework=framework, settings=settings_here())
        if not config.get("monitor"):
            log.info("not recording: monitor is false (%s)", config.origin("monitor"))
            return None
        _is_starting = True
        try:
            _running = _started(config, early, plugin)
        finally:
            _is_starting = False
        if _running is not None:
            at_exit(stop)
        return _running


def _started(config: Config, early: Early | None, plugin: str) -> Agent | None:
    """Start a new agent; return None when a fault of our own keeps it from starting."""
    agent = None
    try:
        agent = Agent(config)
        if early is not None and agent.has_active(plugin):
            agent.take_over(early)
        agent.start()
        watch_uwsgi(agent.plugins.watch, _after_fork_in_c)
    except BaseException as error:
        if agent is not None:
            agent.abandon()
        if not isinstance(error, Exception) or isinstance(error, ScoutError) or config.get("plugins.reraise"):
            raise
        log.error("not recording, because of a fault in scout-core; the application is not affected", exc_info=True)
        return None
    return agent


def stop(timeout: float | None = None) -> None:
    """Stop the agent of this process, if one is running: send what is left and restore what was wrapped."""
    global _running
    with _starting.held():
        agent, _running = _running, None
    if agent is not None:
        agent.stop(timeout)


def flush(timeout: float | None = None) -> None:
    """
    Send what was recorded until now, and continue: for a process that may be about to end without running exit handlers.

    Returns when the report has arrived, or could not be sent. Without an agent, in a process that has recorded nothing, and on a thread
    of the agent, as in a hook, nothing happens.

    Args:
        timeout: seconds it may take, at most a day; None: ``shutdown_timeout_seconds``.
    """
    agent = _running
    if agent is not None:
        agent.flush(timeout)


def use(agent: Agent | None) -> Agent | None:
    """Make this the agent that ``start`` and ``stop`` refer to, for tests; return the previous one."""
    global _running
    before, _running = _running, agent
    return before


def _after_fork() -> None:
    global _starting, _is_starting
    _starting, _is_starting = LateLock(), False
    if _running is not None:
        _running.after_fork()
        at_exit(stop)
    elif context.tracer is not None:  # another thread was about to start the agent; it continues in the parent only
        context.tracer.retire()
        context.tracer = None


def _after_fork_in_c() -> None:
    if _running is not None and _running.process.pid != os.getpid():
        _after_fork()


os.register_at_fork(after_in_child=_after_fork)
