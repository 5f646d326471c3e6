"""Every option of the core: default, kind and meaning, each written once.

``docs/configuration.md`` and ``scout-core config`` are generated from this table.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

from scout_core.config.kinds import (
    BOOLEAN,
    COUNT,
    MODULES,
    NAMES,
    PREFIXES,
    SECONDS,
    SHARE,
    SHARES,
    TEXT,
    WEIGHTS,
    Kind,
    choice_of,
    optional,
    within,
)
from scout_core.config.values import is_secret


@frozen
class Option:
    """One option, of the core or of a plugin."""

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
        """Whether its value must not be shown, judging by its name."""
        return is_secret(self.name)


def variable_of(key: str) -> str:
    """Return the environment variable of a key: ``SCOUT_PLUGINS_DISABLE`` for ``plugins.disable``."""
    return "SCOUT_" + key.replace(".", "_").replace("-", "_").upper()


DURATION: Final = within(SECONDS, gt=0)

OPTIONS: Final = (
    Option("monitor", True, BOOLEAN, "Record at all. When false nothing is wrapped and no thread starts."),
    Option("name", "Python App", TEXT, "Name of the application; all processes of one name are shown together."),
    Option("hostname", "", TEXT, "Name of this machine. Empty: what the operating system says."),
    Option("revision_sha", "", TEXT, "Revision of the application's code that is running."),
    Option("report_period", 60.0, DURATION,
           "Seconds between two reports. Unless set, a collector on this machine may ask for more frequent ones."),
    Option("traces_per_period", 10, COUNT, "How many traces of web requests, and as many of jobs, are kept in a period."),
    Option("max_spans", 1500, COUNT, "Spans kept of one transaction; further ones are counted and summed, not listed."),
    Option("max_names", 500, COUNT, "Transaction names told apart in one process; further ones are counted as other."),
    Option("max_queue", 10_000, COUNT, "Finished transactions that may wait for the agent's thread; further ones are dropped and counted."),
    Option("sample_rate", 1.0, SHARE, "Share of all transactions that are recorded, 0 to 1; what is above 1 is per cent, so 50 is 0.5."),
    Option("endpoint_sample_rate", None, optional(SHARE), "The same for web requests only."),
    Option("job_sample_rate", None, optional(SHARE), "The same for jobs only."),
    Option("sample_endpoints", {}, SHARES, "The same for web requests whose name starts so: ``users:0.5, admin:10``."),
    Option("sample_jobs", {}, SHARES, "The same for jobs whose name starts so."),
    Option("ignore", (), PREFIXES, "Web requests whose path starts with one of these are not recorded."),
    Option("ignore_endpoints", (), PREFIXES, "Web requests whose name starts with one of these are not recorded."),
    Option("ignore_jobs", (), PREFIXES, "Jobs whose name starts with one of these are not recorded."),
    Option("collect_remote_ip", True, BOOLEAN, "Tag web requests with the address of the client."),
    Option("uri_reporting", "filtered_params", choice_of(["filtered_params", "path"]),
           "What the tag path holds: with the query, secrets filtered, or the path alone."),
    Option("slow_hook_seconds", 0.005, DURATION,
           "A plugin's function on the agent's thread is switched off when the median of its last 100 calls, at least 10, is longer than this. on_report may take 100 times as long."),
    Option("hook_budget_seconds", 0.0002, DURATION,
           "A plugin's function on the application's thread is reported as slow when the 95th percentile of its last 100 timed calls, at least 20, is longer than this. With plugins.strict it is switched off."),
    Option("shutdown_timeout_seconds", 2.0, within(SECONDS, ge=0), "How long the end of the process may wait for reports to be sent; 0: not at all."),
    Option("state_dir", "", TEXT,
           "Private directory where agents and collector find each other. Empty: scout-core below $XDG_STATE_HOME or ~/.local/state."),
    Option("collector_url", "", TEXT, "Where the collector listens. Empty: the one that announced itself in the state directory."),
    Option("collector_token", "", TEXT, "The secret that goes with collector_url."),
    Option("plugins", (), MODULES, "Modules that are plugins without being installed as such."),
    Option("plugins.autoload", True, BOOLEAN, "Load every installed plugin. When false: only those in plugins.enable."),
    Option("plugins.enable", (), NAMES, "Installed plugins to load although autoload is false."),
    Option("plugins.disable", (), NAMES, "Plugins not to load; * is all.", aliases=("disabled_instruments",)),
    Option("plugins.require", (), NAMES, "Plugins without which start() raises."),
    Option("plugins.order", (), NAMES, "Plugins that are called first, in this order; the others after them, by name."),
    Option("plugins.allow", (), NAMES, "Distributions whose plugins may be loaded, such as ``scout-*, acme-*``. Empty: all."),
    Option("plugins.strict", False, BOOLEAN, "start() raises when a plugin failed, and slow functions of plugins are switched off: for CI."),
    Option("plugins.reraise", False, BOOLEAN, "Let exceptions of plugins through instead of guarding the application: for tests."),
    Option("policies", {}, WEIGHTS, "Policy name to the weight of its points: ``speed = 2.0``; 0 mutes it."),
)  # fmt: skip

BY_KEY: Final = {option.key: option for option in OPTIONS}
ALIASES: Final = {alias: option.key for option in OPTIONS for alias in option.aliases}
