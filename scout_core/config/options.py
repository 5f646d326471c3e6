"""Every option of the core: default, kind and meaning, each written once.

``docs/configuration.md`` and ``scout-core config`` are generated from this table.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

from scout_core.config.kinds import (
    BOOLEAN,
    COUNT,
    EXCEPTIONS,
    MODULES,
    NAMES,
    PLACES,
    PREFIXES,
    SECONDS,
    SHARE,
    SHARES,
    TEXT,
    URL,
    WEIGHTS,
    Kind,
    choice_of,
    optional,
    within,
)
from scout_core.config.values import is_secret


@frozen(eq=False)
class Option:
    """An option, of the core or of a plugin."""

    key: str
    """As in the configuration file, a dot for each table: ``plugins.disable``, ``plugins.team.prefix`` of the plugin team."""
    default: Any  # Any: each option has its own type
    kind: Kind
    help: str
    aliases: tuple[str, ...] = ()
    """Former names that keep working."""
    plugin: str = ""
    """The plugin that declares it; empty for the core."""

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.removeprefix(f"plugins.{self.plugin}.") if self.plugin else self.key

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return self.variables[0]

    @property
    def variables(self) -> tuple[str, ...]:
        """Its environment variables: that of its key, then those of its aliases."""
        key = self.key.removeprefix("plugins.") if self.plugin else self.key
        return tuple(variable_of(name) for name in (key, *self.aliases))

    @property
    def is_secret(self) -> bool:
        """Whether its name suggests that its value must not be shown."""
        return is_secret(self.name)


def variable_of(key: str) -> str:
    """Return the environment variable of a key: ``SCOUT_PLUGINS_DISABLE`` for ``plugins.disable``."""
    return "SCOUT_" + key.replace(".", "_").replace("-", "_").upper()


DURATION: Final = within(SECONDS, gt=0)
LONGEST_TIMEOUT: Final = 86_400.0
"""A day: far below what a lock can wait, which differs between platforms."""

OPTIONS: Final = (
    Option("monitor", True, BOOLEAN, "Whether to record. When false, nothing is wrapped and no thread starts."),
    Option("name", "Python App", TEXT, "Name of the application; all processes of one name are shown together."),
    Option("hostname", "", TEXT, "Name of this machine. Empty: the name that the operating system has for it."),
    Option("revision_sha", "", TEXT, "Revision of the application's code that is running. Empty: that of Heroku, Kamal, Capistrano, Mina, or of the git repository around the working directory."),
    Option("report_period", 60.0, DURATION,
           "Time between two reports. Unless it is set, a collector on this machine may request more frequent reports."),
    Option("traces_per_period", 10, COUNT, "Traces of web requests that are kept in each period, and as many traces of jobs."),
    Option("reserved_places", {}, SHARES,
           "Shares of traces_per_period that are reserved for the trace groups of plugins, by plugin: ``error_traces:0.3``. Those that are not listed share the rest equally with the groups by name."),
    Option("max_spans", 1500, COUNT, "Spans that are listed in a transaction; further spans are counted and summed."),
    Option("slow_span_seconds", 0.5, within(SECONDS, ge=0, le=LONGEST_TIMEOUT),
           "The calls that led to a span are noted when it takes longer than this, so that its trace shows the code. 0: never."),
    Option("n_plus_one_calls", 5, COUNT,
           "Calls of one line of the application, with the same statement, that are an N+1 if a transaction makes that many, and they take n_plus_one_seconds. 0: none are looked for."),
    Option("n_plus_one_seconds", 0.15, within(SECONDS, ge=0, le=LONGEST_TIMEOUT), "The time that such calls take together."),
    Option("max_names", 500, COUNT, "Distinct transaction names in one process; further names are counted as Controller/other or Job/other."),
    Option("max_operations", 200, COUNT,
           "Statements, hosts, templates and other operations whose figures a report has: those with the most time; the rest of a kind is counted as its ``other``. 0: none."),
    Option("max_queue", 10_000, COUNT, "Finished transactions that may wait for the agent's thread; further transactions are only counted and timed."),
    Option("sample_rate", 1.0, SHARE, "Share of all transactions that are recorded. Values above 1 are percentages: 50 means 0.5."),
    Option("endpoint_sample_rate", None, optional(SHARE), "As sample_rate, for web requests only."),
    Option("job_sample_rate", None, optional(SHARE), "As sample_rate, for jobs only."),
    Option("sample_endpoints", {}, SHARES, "As sample_rate, for web requests whose name starts with a prefix: ``users:0.5, admin:10``."),
    Option("sample_jobs", {}, SHARES, "As sample_rate, for jobs whose name starts with a prefix."),
    Option("ignore", (), PREFIXES, "Web requests whose path starts with one of these are not recorded."),
    Option("ignore_endpoints", (), PREFIXES, "Web requests whose name starts with one of these are not recorded."),
    Option("ignore_jobs", (), PREFIXES, "Jobs whose name starts with one of these are not recorded."),
    Option("collect_remote_ip", True, BOOLEAN, "Tag web requests with the address of the client."),
    Option("propagate_threads", False, BOOLEAN,
           "Whether spans in threads, and in the jobs of thread pools, belong to the transaction that started them. See also scout_core.propagate."),
    Option("uri_reporting", "filtered_params", choice_of(["filtered_params", "path"]),
           "The tag path: with the query, whose secrets are filtered, or without it."),
    Option("filtered_names", (), NAMES,
           "Further names whose values are replaced by [FILTERED], in tags, parameters, URLs and messages: ``iban`` is also ``customer_iban``, ``customerIban`` and ``ibans``. In a text, all up to the next comma, bracket or line is removed.",
           aliases=("errors_filtered_params",)),
    Option("trust_incoming_trace", True, BOOLEAN,
           "Whether a web request continues the trace that its headers name. When false, each begins a trace of its own, as in a service that is open to the public."),
    Option("trace_hosts", ("*",), NAMES,
           "Hosts that calls send trace headers to, with or without a port, such as ``*.shop.example, localhost:8080``. * stands for any characters."),
    Option("trace_hosts_exclude", (), NAMES, "Hosts among them that are sent no trace headers."),
    Option("in_app_include", (), PLACES,
           "Modules or folders whose code is the application's own although it is installed: ``shop, /srv/shared``. For the frames of errors."),
    Option("in_app_exclude", (), PLACES, "Modules or folders whose code is not the application's own."),
    Option("errors_enabled", True, BOOLEAN, "Whether errors are recorded. When false, failed transactions are only counted."),
    Option("errors_ignored_exceptions", (), EXCEPTIONS,
           "Exceptions that are not errors, and those that inherit from them: ``KeyError, shop.errors.NotFound``. They do not make a transaction fail, and are counted."),
    Option("slow_hook_seconds", 0.005, DURATION,
           "A plugin's function on the agent's thread is switched off when the median of its last 100 timed calls, at least 10, is longer than this. on_report and measure_process may take 100 times as long."),
    Option("hook_budget_seconds", 0.0002, DURATION,
           "A plugin's function on the application's thread is reported as slow when the 95th percentile of its last 100 timed calls, at least 20, is longer than this. With plugins.strict it is switched off."),
    Option("shutdown_timeout_seconds", 2.0, within(SECONDS, ge=0, le=LONGEST_TIMEOUT), "Time that the process may wait at its end for reports to be sent. 0: it does not wait."),
    Option("state_dir", "", TEXT,
           "Private directory where agents and collector find each other. Empty: scout-core below $XDG_STATE_HOME or ~/.local/state."),
    Option("collector_url", "", URL, "Address of the collector. Empty: the collector that is announced in the state directory."),
    Option("collector_token", "", TEXT, "Secret for collector_url."),
    Option("plugins", (), MODULES, "Modules to load as plugins although they are not installed as plugins."),
    Option("plugins.autoload", True, BOOLEAN, "Whether to load every installed plugin. When false, only those in plugins.enable are loaded."),
    Option("plugins.enable", (), NAMES, "Installed plugins to load when plugins.autoload is false."),
    Option("plugins.disable", (), NAMES, "Plugins not to load. * means all.", aliases=("disabled_instruments",)),
    Option("plugins.require", (), NAMES, "Plugins that must be active; otherwise start() raises."),
    Option("plugins.order", (), NAMES, "Plugins whose hooks are called first, in this order; others follow by name."),
    Option("plugins.allow", (), NAMES, "Distributions whose plugins may be loaded, such as ``scout-*, acme-*``. Empty: all."),
    Option("plugins.strict", False, BOOLEAN, "For CI: start() raises when a plugin has failed, and slow functions of plugins are switched off."),
    Option("plugins.reraise", False, BOOLEAN, "For tests: exceptions of plugins are raised instead of being caught."),
    Option("policies", {}, WEIGHTS, "Weights of policies, by name: ``speed:2`` doubles the points of speed, and 0 mutes it."),
)  # fmt: skip

BY_KEY: Final = {option.key: option for option in OPTIONS}
ALIASES: Final = {alias: option.key for option in OPTIONS for alias in option.aliases}
