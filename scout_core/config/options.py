"""Every key of the configuration: default, conversion and meaning, each written once.

``docs/configuration.md`` and ``scout-core config`` are made from this table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import frozen

from scout_core.config import convert


@frozen
class Option:
    """One key."""

    key: str
    """Python name; ``SCOUT_<KEY>`` in the environment. A dot is a table of the file, an underscore in the environment."""
    default: Any  # Any: each option has its own type
    convert: Callable[[Any], Any]
    help: str
    aliases: tuple[str, ...] = ()
    """Former names that keep working."""

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return variable_of(self.key)


def variable_of(key: str) -> str:
    """``plugins.disable`` is ``SCOUT_PLUGINS_DISABLE``."""
    return "SCOUT_" + key.replace(".", "_").replace("-", "_").upper()


OPTIONS: Final = (
    Option("monitor", True, convert.boolean, "Record at all. When false nothing is wrapped and no thread starts."),
    Option("name", "Python App", convert.text, "Name of the application; all processes of one name are shown together."),
    Option("hostname", "", convert.text, "Name of this machine. Empty: what the operating system says."),
    Option("revision_sha", "", convert.text, "Revision of the application's code that is running."),
    Option("report_period", 60.0, convert.positive,
           "Seconds between two reports. Unless set, a collector on this machine may ask for more frequent ones."),
    Option("traces_per_period", 10, convert.count, "How many traces of web requests, and as many of jobs, are kept in a period."),
    Option("max_spans", 1500, convert.count, "Spans kept of one transaction; further ones are counted and summed, not listed."),
    Option("max_names", 500, convert.count, "Transaction names told apart in one process; further ones are counted as other."),
    Option("max_queue", 10_000, convert.count, "Finished transactions that may wait for the agent's thread; further ones are dropped and counted."),
    Option("sample_rate", 1.0, convert.rate, "Share of all transactions that are recorded, 0 to 1; what is above 1 is per cent, so 50 is 0.5."),
    Option("endpoint_sample_rate", None, convert.optional_rate, "The same for web requests only."),
    Option("job_sample_rate", None, convert.optional_rate, "The same for jobs only."),
    Option("sample_endpoints", {}, convert.rates, "The same for web requests whose name starts so: ``users:0.5, admin:10``."),
    Option("sample_jobs", {}, convert.rates, "The same for jobs whose name starts so."),
    Option("ignore", (), convert.prefixes, "Web requests whose path starts with one of these are not recorded."),
    Option("ignore_endpoints", (), convert.prefixes, "Web requests whose name starts with one of these are not recorded."),
    Option("ignore_jobs", (), convert.prefixes, "Jobs whose name starts with one of these are not recorded."),
    Option("collect_remote_ip", True, convert.boolean, "Tag web requests with the address of the client."),
    Option("uri_reporting", "filtered_params", convert.one_of("filtered_params", "path"),
           "What the tag path holds: with the query, secrets filtered, or the path alone."),
    Option("slow_hook_seconds", 0.005, convert.positive,
           "A plugin's function on the agent's thread is switched off when the median of its last 100 calls, at least 10, is longer than this. on_report may take 100 times as long."),
    Option("hook_budget_seconds", 0.0002, convert.positive,
           "A plugin's function on the application's thread is reported as slow when the 95th percentile of its last 100 timed calls, at least 20, is longer than this. With plugins.strict it is switched off."),
    Option("shutdown_timeout_seconds", 2.0, convert.number, "How long the end of the process may wait for reports to be sent; 0: not at all."),
    Option("state_dir", "", convert.text,
           "Private directory where agents and collector find each other. Empty: scout-core below $XDG_STATE_HOME or ~/.local/state."),
    Option("collector_url", "", convert.text, "Where the collector listens. Empty: the one that announced itself in the state directory."),
    Option("collector_token", "", convert.text, "The secret that goes with collector_url."),
    Option("plugins", (), convert.modules, "Modules that are plugins without being installed as such."),
    Option("plugins.autoload", True, convert.boolean, "Load every installed plugin. When false: only those in plugins.enable."),
    Option("plugins.enable", (), convert.names, "Installed plugins to load although autoload is false."),
    Option("plugins.disable", (), convert.names, "Plugins not to load; * is all.", aliases=("disabled_instruments",)),
    Option("plugins.require", (), convert.names, "Plugins without which start() raises."),
    Option("plugins.order", (), convert.names, "Plugins that are called first, in this order; the others after them, by name."),
    Option("plugins.allow", (), convert.names, "Distributions whose plugins may be loaded, such as ``scout-*, acme-*``. Empty: all."),
    Option("plugins.strict", False, convert.boolean, "start() raises when a plugin failed, and slow functions of plugins are switched off: for CI."),
    Option("plugins.reraise", False, convert.boolean, "Let exceptions of plugins through instead of guarding the application: for tests."),
    Option("policies", {}, convert.weights, "Policy name to the weight of its points: ``speed = 2.0``; 0 mutes it."),
)  # fmt: skip

BY_KEY: Final = {option.key: option for option in OPTIONS}
ALIASES: Final = {alias: option.key for option in OPTIONS for alias in option.aliases}
