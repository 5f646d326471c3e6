"""Which plugins the configuration lets in: ``plugins.disable``, ``allow``, ``enable``, ``require`` and ``autoload``, in this order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from scout_core.boundary.plugin import OWN, Plugin
from scout_core.boundary.versions import canonicalize_name
from scout_core.problems import join_clauses
from scout_core.suggest import did_you_mean

if TYPE_CHECKING:
    from scout_core.config.config import Config


def why_disabled(config: Config, name: str, *, distribution: str | None, is_named: bool) -> str:
    """
    Why a plugin is not loaded; empty when it is.

    Args:
        distribution: that it was found in; None for a module that the user named.
        is_named: whether the user named its module.
    """
    disable = config.get("plugins.disable")
    if name in disable or "*" in disable:
        what = "" if name in disable else "* in "
        return f"by {what}plugins.disable ({config.origin('plugins.disable')}); take that out to load it"
    if distribution is not None and not is_named and not _is_allowed(config, distribution):
        origin = config.origin("plugins.allow")
        return f"its distribution {distribution} is not among plugins.allow ({origin}); add it there to load it"
    if is_named or name in config.get("plugins.enable") or name in config.get("plugins.require"):
        return ""
    if not config.get("plugins.autoload"):
        origin = config.origin("plugins.autoload")
        return f"plugins.autoload is false ({origin}) and plugins.enable does not name it; try: scout-core plugins enable {name}"
    return ""


def missing(config: Config, plugins: Mapping[str, Plugin]) -> list[str]:
    """What ``plugins.require`` names and is not there, one phrase each."""
    found = []
    for name in config.get("plugins.require"):
        if name not in plugins:
            found.append(join_clauses(f"{name} is not installed", did_you_mean(name, plugins)))
        elif plugins[name].state != "active":
            found.append(f"{name} is {plugins[name].state}: {plugins[name].reason}")
    return found


def unknown_names(config: Config, plugins: Mapping[str, Plugin]) -> Iterator[str]:
    """A sentence for each name in the configuration that no plugin has."""
    written = [
        (key, name, config.origin(key))
        for key in ("plugins.disable", "plugins.enable", "plugins.order", "policies")
        for name in config.get(key)
    ]
    written += [(f"plugins.{name}", name, origin) for name, origin in config.layers.configured_plugins().items()]
    for key, name, origin in written:
        if name != "*" and name not in plugins:
            hint = did_you_mean(name, plugins) or "'scout-core plugins' shows all"
            yield f"{key} names {name!r} ({origin}), and there is no such plugin; {hint}"
    found = {plugin.found.distribution for plugin in plugins.values() if plugin.found is not None}
    for pattern in config.get("plugins.allow"):
        if not any(_matches(distribution, pattern) for distribution in found):
            origin = config.origin("plugins.allow")
            text = f"plugins.allow names {pattern!r} ({origin}), and no plugin comes from such a distribution"
            yield join_clauses(text, did_you_mean(pattern, found))


def _is_allowed(config: Config, distribution: str) -> bool:
    patterns = config.get("plugins.allow")
    return not patterns or distribution == OWN or any(_matches(distribution, pattern) for pattern in patterns)


def _matches(distribution: str, pattern: str) -> bool:
    return fnmatchcase(canonicalize_name(distribution), canonicalize_name(pattern))
