"""What to do about a plugin, as its state is: one sentence, or nothing."""

from __future__ import annotations

from scout_core.boundary.plugin import Plugin
from scout_core.cli.here import FINE, Here
from scout_core.cli.live import Living
from scout_core.config.origin import Layer
from scout_core.measuring.report import PluginStatus


def next_step(here: Here, plugin: Plugin, status: PluginStatus, running: Living | None) -> str:
    """Empty when there is nothing to do."""
    if status.state == "disabled":
        return _to_enable(here, plugin, status)
    if status.state == "failed":
        return f"mend it, or: scout-core plugins disable {status.name}"
    if running is not None and running.is_bad:
        return f"mend it, and restart the processes where it is {running.state}"
    if status.state == "waiting" and plugin.support.absent and plugin.found:
        return f"pip install {' '.join(repr(one) for one in plugin.found.instruments)}"
    if status.state == "waiting":
        return "nothing: it begins when the application imports its library"
    if status.state in FINE and status.not_found:
        return "some targets are missing in this version of the library; a newer plugin may know it"
    return ""


def _to_enable(here: Here, plugin: Plugin, status: PluginStatus) -> str:
    """By the key that keeps it out, where that was written."""
    disable = here.config.get("plugins.disable")
    culprits = [name for name in ("*", status.name) if name in disable]
    if culprits:
        variable = _variable(here, "plugins.disable")
        if variable:
            return f"take {' and '.join(culprits)} out of {variable}"
        return f"scout-core plugins enable {' '.join(repr(name) if name == '*' else name for name in culprits)}"
    if "plugins.allow" in status.reason and plugin.found:
        place = _variable(here, "plugins.allow") or f"plugins.allow in {here.file}"
        return f"add {plugin.found.distribution} to {place}"
    variable = _variable(here, "plugins.enable")
    return f"add {status.name} to {variable}" if variable else f"scout-core plugins enable {status.name}"


def _variable(here: Here, key: str) -> str:
    """Of the environment, that has the value; empty when it has none."""
    origin = here.config.origin(key)
    return origin.name if origin.layer is Layer.ENVIRONMENT else ""
