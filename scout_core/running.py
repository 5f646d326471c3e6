"""The agent of this process: started once, stopped at the end, and started again in a forked child."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from scout_core.added import add_to, remove_from
from scout_core.config.config import Config, read_config
from scout_core.config.files import settings_here
from scout_core.errors import PluginError, ScoutError
from scout_core.fork_lock import importing
from scout_core.log import Log
from scout_core.recording import context
from scout_core.recording.early import Early
from scout_core.sending.ending import at_exit
from scout_core.threads import LateLock
from scout_core.uwsgi import watch_uwsgi

if TYPE_CHECKING:
    from scout_core.agent import Agent

log = Log("scout_core")

in_children: Final[list[Callable[[], None]]] = []
"""Functions that are called in a forked child, after the agent has continued there."""
_added: Final[dict[str, object]] = {}
"""Name of a plugin that was added as an object to that object; each agent has them."""
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
            ``SCOUT_TEAM_PREFIX``. None removes what was set before. What ``start()`` is given in code is stronger.
        early: what was recorded before; an agent that starts takes it over, unless a ``plugin`` is named that is not active.

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
        agent = _agent_class()(config)
        _add_all(agent)
        if early is not None and (not plugin or agent.has_active(plugin)):
            agent.take_over(early)
        agent.start()
        _add_all(agent)  # those that came while it started
        watch_uwsgi(agent.plugins.watch, _after_fork_in_c)
    except BaseException as error:
        if agent is not None:
            agent.abandon()
        if not isinstance(error, Exception) or isinstance(error, ScoutError) or config.get("plugins.reraise"):
            raise
        log.error("not recording, because of a fault in scout-core; the application is not affected", exc_info=True)
        return None
    return agent


@cache
def _agent_class() -> type[Agent]:
    """Import most of the core, which nobody needs while ``monitor`` is false."""
    with importing:
        from scout_core.agent import Agent
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(
            after_in_child=_continue_in_child
        )  # now, so that other functions of the core are called before
    return Agent


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


def add_plugin(plugin: object, name: str) -> None:
    """
    Use an object as a plugin, in the agent that runs and in each that is started later.

    Raises:
        PluginError: an agent is running, and the plugin implements no hook, or one that does not exist, or its name is taken.
    """
    with _starting.held():
        if _running is not None and _running.is_running:
            add_to(_running, plugin, name)
        _added[name] = plugin


def _add_all(agent: Agent) -> None:
    for name, plugin in list(_added.items()):
        if name not in agent.plugins.all:
            add_to(agent, plugin, name)


def remove_plugin(name: str) -> None:
    """Call a plugin that was added in this way no more."""
    with _starting.held():
        del _added[name]
        if _running is not None and _running.is_running:
            remove_from(_running, name)


def hold(hand_over: Callable[[bytes], bool]) -> None:
    """
    In a forked child whose parent sends what it records: give that to a function when it is flushed, or ends.

    Args:
        hand_over: returns whether the parent will have it; if not, this process sends it, and everything that follows.
    """
    if _running is not None:
        _running.recorder.hand_over = hand_over


def receive(packed: bytes) -> None:
    """Record what a child has handed over, as if it had been recorded here."""
    if _running is not None and _running.is_running:
        _running.recorder.receive(packed)


def use(agent: Agent | None) -> Agent | None:
    """Make this the agent that ``start`` and ``stop`` refer to, for tests; return the previous one."""
    global _running
    _agent_class()  # its children continue, too
    before, _running = _running, agent
    return before


def _forget_start() -> None:
    """Forget a start in another thread, which continues in the parent only, and the lock that it held."""
    global _starting, _is_starting
    _starting, _is_starting = LateLock(), False
    if _running is None and context.tracer is not None:
        context.tracer.retire()
        context.tracer = None


def _continue_in_child() -> None:
    if _running is not None:
        _running.after_fork()
        at_exit(stop)
    for step in in_children:
        step()


def _after_fork_in_c() -> None:
    if _running is not None and _running.process.pid != os.getpid():
        _forget_start()
        _continue_in_child()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_start)
