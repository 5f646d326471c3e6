"""The agent: owns every part of one process, starts and stops them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from scout_core.boundary.discovery import find_plugins
from scout_core.boundary.guard import Guard
from scout_core.boundary.hooks import AT_RUN_TIME, Hooks, RunTimeHooks
from scout_core.boundary.importing import search_path
from scout_core.boundary.plugin import Plugin
from scout_core.boundary.plugins import Plugins
from scout_core.config.config import Config
from scout_core.config.options import OPTIONS
from scout_core.deadlines import deadline_after
from scout_core.log import Log
from scout_core.recording import context
from scout_core.recording.early import Early
from scout_core.recording.safety import collecting
from scout_core.recording.safety.silence import Silence
from scout_core.recording.tracer import Tracer
from scout_core.recording.transaction import reseed
from scout_core.sending.ledger import Ledger
from scout_core.sending.recorder import Recorder
from scout_core.sending.registration import register_exporters
from scout_core.signals import is_from_signal_handler
from scout_core.states import State
from scout_core.this_process import forked, this_process
from scout_core.threads import is_own_thread
from scout_core.uwsgi import may_still_fork

if TYPE_CHECKING:
    from scout_core.measuring.report import Counters, PluginStatus

log = Log("scout_core")

VERSION = "0.1.0"
READ_AT_START: Final = ("hostname", "state_dir", "slow_hook_seconds", "hook_budget_seconds", "propagate_threads")
FIXED_AT_START: Final = frozenset(
    option.key for option in OPTIONS if option.key.startswith(("plugins", "collector_")) or option.key in READ_AT_START
)
"""Options that are read once: plugins are loaded with them, and the exporters made."""


class Agent:
    """
    Everything that records, decides and sends in this process. Made by ``start``.

    Args:
        config: the configuration in effect.
        may_export: whether the exporters of a plugin are used; None: all are.

    Raises:
        PluginError: a plugin that the user named in code, or requires, cannot be used.
    """

    def __init__(self, config: Config, may_export: Callable[[Plugin], bool] | None = None) -> None:
        self.config = config
        self.hooks = Hooks.from_config(config)
        self.plugins = Plugins(config, self.hooks)
        self.plugins.load(find_plugins(search_path()), config.get("plugins"))
        self.plugins.read_options()
        guards = register_exporters(self.plugins, config)
        used = [guard for guard in guards if may_export is None or may_export(self.plugins.all[guard.plugin])]
        self._export_guards = {id(guard.exporter): guard for guard in used}
        self.exporters = [guard.exporter for guard in used]
        self.process = this_process(self.config, VERSION)
        self.is_running = False
        self._must_call_on_start = False
        self._is_threaded = True
        self._early: Early | None = None
        self._begin()

    def _begin(self, tracer: Tracer | None = None) -> None:
        """Make the parts that belong to one process; again in a forked child, perhaps with the tracer that it records into."""
        hooks = self._run_time_hooks()
        self.tracer = tracer or Tracer(self.config, self._first, hooks)
        self.ledger = Ledger(self.tracer)
        self.recorder = Recorder(
            config=self.config,
            hooks=hooks,
            ledger=self.ledger,
            process=self.process,
            exporters=self.exporters,
            export_guards=self._export_guards,
            plugin_statuses=self.plugin_statuses,
            guards=self._guards,
        )

    def has_active(self, plugin: str) -> bool:
        """Whether a plugin of that name is loaded."""
        return plugin in self.plugins.all and self.plugins.all[plugin].state is State.ACTIVE

    def take_over(self, early: Early) -> None:
        """Before ``start``: continue with the transactions that were recorded until now."""
        self._early = early
        self._begin(early.hand_over())
        self.tracer.adopt(self.config, self._first)

    def freeze(self) -> None:
        """Use the implementations of the plugins that are loaded now: after one came or went."""
        hooks = self._run_time_hooks()
        self.recorder.use_hooks(hooks)
        self.tracer.use_hooks(hooks)

    def _run_time_hooks(self) -> RunTimeHooks:
        return RunTimeHooks(**{name: self.implementations(name) for name in AT_RUN_TIME})

    def start(self, *, threaded: bool = True) -> None:
        """
        Wrap what plugins name, and record from now on.

        Args:
            threaded: False: nothing runs by itself, nor in a forked child; the recorder is driven by hand, as tests do.
        """
        self._is_threaded = threaded
        self.plugins.instrument()
        self.is_running = True
        collecting.watch()
        context.tracer = self.tracer
        if threaded and self._early is None:
            self.tracer.await_first()
        self._call("on_start")
        self._log_problems()
        if self._early is not None:
            self._go_on(self._early)

    def _go_on(self, early: Early) -> None:
        """Use the hooks from now on, also for the transactions that were taken over."""
        self._early = None
        self.tracer.use_hooks(self._run_time_hooks())
        early.call_start_hooks()
        self._first()

    def stop(self, timeout: float | None = None) -> None:
        """
        Stop recording, restore the wrapped functions, and send the remaining data.

        Args:
            timeout: seconds it may take, at most a day; None: ``shutdown_timeout_seconds``.
        """
        if not self.is_running:
            return
        self._notice_fork()  # otherwise a thread of the parent would be waited for
        self.is_running = False
        deadline = deadline_after(timeout, self.config)
        if context.tracer is self.tracer:
            context.tracer = None
        on_stop = self.implementations("on_stop")
        self.recorder.stop(deadline, (lambda: self._run(on_stop)) if on_stop else None)
        self._undo()
        self.tracer.retire()
        if context.tracer is None:  # otherwise another agent records
            collecting.unwatch()
        self.ledger.abandon()

    def flush(self, timeout: float | None = None) -> None:
        """
        Send what was recorded until now, and continue: the process may be about to end without notice.

        It waits for the agent's threads, so on one of these, as in a hook, nothing happens.

        Args:
            timeout: seconds it may take, at most a day; None: ``shutdown_timeout_seconds``.
        """
        if self.is_running and not is_own_thread.get():
            self._notice_fork()
            self.recorder.flush(deadline_after(timeout, self.config))

    def abandon(self) -> None:
        """Undo a start that failed: record nothing, send nothing, and put back what was wrapped."""
        self.is_running = False
        if context.tracer is self.tracer:
            context.tracer = None
            collecting.unwatch()
        self._undo()
        self.tracer.retire()

    def _undo(self) -> None:
        self.plugins.undo()

    def add_settings(
        self, code: Mapping[str, Any], framework: tuple[str, Mapping[Any, Any]] | None = None
    ) -> None:  # Any: what a person wrote, before conversion
        """
        Take settings that became known after the start, by code or by a framework; stronger layers still win.

        Args:
            framework: its name and its settings.
        """
        problems: list[object] = [*self.config.add_settings(code, framework, fixed=FIXED_AT_START)]
        problems += self.plugins.check_names()
        for problem in problems:
            log.warning("%s", problem)
        self.tracer.read_limits()
        self.process = evolve(self.process, app=self.config.get("name"), revision=self.config.get("revision_sha"))
        self.recorder.read_options(self.process)
        self.freeze()  # an option may have switched a hook on

    def implementations(self, hook: str) -> tuple[Guard, ...]:
        """Return the implementations of a hook by the plugins that are loaded now, in the order of their calls."""
        return self.plugins.freeze(hook)

    def counters(self, exporter: str = "") -> Counters:
        """Return how many transactions went where so far, for one exporter."""
        return self.ledger.counters(exporter)

    def plugin_statuses(self) -> tuple[PluginStatus, ...]:
        """Every plugin as it is at this moment, by name."""
        from scout_core.boundary.status import status_of  # with the first report

        return tuple(status_of(plugin) for _, plugin in sorted(self.plugins.all.items()))

    def after_fork(self) -> None:
        """In a forked child: nothing of the parent's is counted or sent twice, and no lock of its threads is waited for."""
        was_recording = context.tracer is self.tracer
        self.tracer.retire()
        context.current.set(None)
        self._restart(None)
        if was_recording:
            context.tracer = self.tracer

    def _notice_fork(self) -> None:
        """
        Find out whether this process was forked without a call of ``after_fork``, as C code can do.

        It records already, so its tracer stays. When its first transaction has ended, nothing of the parent's is in it: once the
        parent has recorded anything, a child does not look for its first transaction.
        """
        if os.getpid() != self.process.pid:
            self._restart(self.tracer)

    def _restart(self, tracer: Tracer | None) -> None:
        """Become the agent of a new process, which has none of our threads."""
        collecting.forget_other_threads()
        self.recorder.forget_thread()
        reseed(tracer.forget_parent() if tracer else ())
        self._must_call_on_start = True
        for guard in self._guards():
            guard.forget_calls()
        self.process = forked(self.process)
        self._begin(tracer)
        if tracer is None and self._is_threaded:
            self.tracer.await_first()

    def _first(self) -> None:
        """The first transaction of this process has ended; until then a process has none of our threads."""
        try:
            self._notice_fork()
            self._start_threads()
        except BaseException as error:
            self.tracer.await_first()
            if not isinstance(error, Exception) or is_from_signal_handler(error):
                raise
            self._retire(error)

    def _retire(self, error: Exception) -> None:
        """Record no more in this process: on the application's thread nothing can be raised."""
        if context.tracer is self.tracer:
            context.tracer = None
        self.tracer.retire()
        log.error("not recording: %s: %s; the application is not affected", type(error).__name__, error)

    def _start_threads(self) -> None:
        if may_still_fork() or self.recorder.hand_over is not None:
            self.tracer.await_first()  # its transactions wait; they are sent when it ends
            return
        if self._must_call_on_start:
            self._must_call_on_start = False
            self._call("on_start")
        refused = self.recorder.begin()
        if refused is None:
            return
        self.tracer.await_first()  # the next one tries again
        if refused.is_final:
            self._retire(refused.error)

    def _guards(self) -> tuple[Guard, ...]:
        return tuple(guard for plugin in self.plugins.all.values() for guard in plugin.all_guards)

    def _call(self, hook: str) -> None:
        self._run(self.implementations(hook))

    def _run(self, guards: tuple[Guard, ...]) -> None:
        with Silence(self.tracer):
            for guard in guards:
                guard.run(self)

    def _log_problems(self) -> None:
        for problem in (*self.config.problems, *self.plugins.problems):
            log.warning("%s", problem)
        for plugin in self.plugins.all.values():
            for complaint in plugin.complaints:
                log.warning("plugin %r: %s; the application is not affected", plugin.name, complaint)
        self.plugins.log_states()
