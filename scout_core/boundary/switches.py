"""Decide which plugins are loaded: ``plugins.disable``, ``allow``, ``enable``, ``require`` and ``autoload`` decide, in this order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from scout_core.boundary.plugin import OWN, Plugin
from scout_core.boundary.versions import canonicalize_name
from scout_core.problems import Problem, join_clauses
from scout_core.states import State
from scout_core.suggest import did_you_mean

if TYPE_CHECKING:
    from scout_core.config.config import Config


def why_disabled(config: Config, name: str, *, distribution: str | None, is_named: bool) -> Problem | None:
    """
    Return why a plugin is not loaded; the subject is the key of the option that keeps it out.

    Args:
        distribution: the distribution it was found in; None for a module that the user named.
        is_named: whether the user named its module.

    Returns:
        None when it is loaded.
    """
    disable = config.get("plugins.disable")
    if name in disable or "*" in disable:
        entry = "it" if name in disable else "*"
        detail = f"plugins.disable ({config.origin('plugins.disable')}) contains {entry}"
        return Problem("disabled", "plugins.disable", detail)
    if distribution is not None and not is_named and not _is_allowed(config, distribution):
        origin = config.origin("plugins.allow")
        detail = f"plugins.allow ({origin}) does not contain its distribution {distribution}"
        return Problem("disabled", "plugins.allow", detail)
    if is_named or name in config.get("plugins.enable") or name in config.get("plugins.require"):
        return None
    if not config.get("plugins.autoload"):
        detail = (
            f"plugins.autoload is false ({config.origin('plugins.autoload')}) and plugins.enable does not contain it"
        )
        return Problem("disabled", "plugins.autoload", detail)
    return None


def missing(config: Config, plugins: Mapping[str, Plugin]) -> list[str]:
    """Return a clause for each plugin in ``plugins.require`` that is not active."""
    found = []
    for name in config.get("plugins.require"):
        if name not in plugins:
            found.append(join_clauses(f"{name} is not installed", did_you_mean(name, plugins)))
        elif plugins[name].state is not State.ACTIVE:
            found.append(f"{name} {plugins[name].state.predicate}: {plugins[name].reason}")
    return found


def unknown_names(config: Config, plugins: Mapping[str, Plugin]) -> Iterator[Problem]:
    """Yield a problem for each name in the configuration that matches no plugin."""
    named = [
        (key, name, config.origin(key))
        for key in ("plugins.disable", "plugins.enable", "plugins.order", "policies", "reserved_places")
        for name in config.get(key)
    ]
    named += [(f"plugins.{name}", name, origin) for name, origin in config.layers.configured_plugins().items()]
    for key, name, origin in named:
        if name != "*" and name not in plugins:
            advice = did_you_mean(name, plugins) or "'scout-core plugins' lists all plugins"
            yield Problem(
                "unknown-plugin", name, f"{key} ({origin}) names {name!r}, which is not a plugin here", advice
            )
    distributions = {plugin.found.distribution for plugin in plugins.values() if plugin.found is not None}
    for pattern in config.get("plugins.allow"):
        if not any(_matches(distribution, pattern) for distribution in distributions):
            origin = config.origin("plugins.allow")
            detail = f"plugins.allow ({origin}) names {pattern!r}, which matches no distribution with a plugin"
            yield Problem("unknown-distribution", pattern, detail, did_you_mean(pattern, distributions))


def _is_allowed(config: Config, distribution: str) -> bool:
    patterns = config.get("plugins.allow")
    return not patterns or distribution == OWN or any(_matches(distribution, pattern) for pattern in patterns)


def _matches(distribution: str, pattern: str) -> bool:
    return fnmatchcase(canonicalize_name(distribution), canonicalize_name(pattern))
