"""Names of options: which option an environment variable sets, and which names are unknown."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from scout_core.config.layers import PREFIX, Layers
from scout_core.config.options import BY_KEY, Option
from scout_core.config.values import unknown
from scout_core.problems import Problem
from scout_core.suggest import did_you_mean


def owners_of(options: Mapping[str, Option]) -> dict[str, Option]:
    """Map each environment variable to the option that it sets: the first that was declared, so the core's win."""
    owners: dict[str, Option] = {}
    for option in options.values():
        for variable in option.variables:
            owners.setdefault(variable, option)
    return owners


def shared_variables(options: Mapping[str, Option]) -> Iterator[Problem]:
    """Yield a problem for each option whose environment variable sets another option."""
    owners = owners_of(options)
    for option in options.values():
        for variable in option.variables:
            owner = owners[variable]
            if owner is not option:
                yield Problem(
                    "shared-variable",
                    variable,
                    f"{variable} is the environment variable of {owner.key} and of {option.key}, and sets only {owner.key}",
                    f"set {option.key} in the file or in code",
                )


def unknown_names(layers: Layers, options: Mapping[str, Option], plugins: Collection[str]) -> Iterator[Problem]:
    """
    Yield a problem for each name that is not an option.

    Args:
        plugins: plugins whose options are known; options of other plugins are not checked.
    """
    yield from _in_code_and_file(layers, options, plugins)
    owners = owners_of(options)
    for variable, value in layers.framework.items():
        if variable not in owners:
            yield unknown(variable, value.origin, owners, prefix=PREFIX)
    for variable in sorted(layers.environment):
        if variable.startswith(PREFIX) and variable not in owners and layers.environment[variable].strip():
            # Only those that are nearly an option: other programs have variables that begin with SCOUT_, too.
            hint = did_you_mean(variable, owners, cutoff=0.9)
            if hint:
                detail = f"unknown option {variable} (environment) is ignored"
                yield Problem("unknown-option", variable, detail, hint)


def _in_code_and_file(layers: Layers, options: Mapping[str, Option], plugins: Collection[str]) -> Iterator[Problem]:
    in_code = [key.replace(".", "_") for key in BY_KEY]
    for layer, names in ((layers.code, in_code), (layers.file, list(BY_KEY))):
        for key, value in layer.items():
            plugin = layers.plugins.get(key)
            if key in options or (plugin is not None and plugin not in plugins):
                continue
            if plugin is None:
                yield unknown(key, value.origin, names)
            else:
                own = [option.key for option in options.values() if option.plugin == plugin]
                yield unknown(key, value.origin, own, prefix=f"plugins.{plugin}.")
