"""Names of options: which option an environment variable sets, and which names are unknown."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from scout_core.config.foreign import FOREIGN, for_service
from scout_core.config.layers import PREFIX, Layers
from scout_core.config.options import BY_KEY, Option, variable_of
from scout_core.config.origin import Layer, Origin
from scout_core.config.values import unknown
from scout_core.problems import Problem
from scout_core.suggest import did_you_mean

_ENVIRONMENT = Origin(Layer.ENVIRONMENT)
_FOREIGN = {variable_of(key): key for key in FOREIGN}
"""Environment variables of options that other agents have."""


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


def unknown_names(
    layers: Layers, options: Mapping[str, Option], plugins: Collection[str], others: Collection[str]
) -> Iterator[Problem]:
    """
    Yield a problem for each name that is not an option.

    Args:
        plugins: plugins whose options are known; options of other plugins are not checked.
        others: further names of plugins, which are not loaded.
    """
    yield from _in_code_and_file(layers, options, plugins)
    owners = owners_of(options)
    for variable, value in layers.framework.items():
        if variable in owners:
            continue
        if variable in _FOREIGN:
            yield for_service(_FOREIGN[variable], variable, value.origin)
        else:
            yield unknown(variable, value.origin, owners, prefix=PREFIX)
    names = {
        name: variable_of(f"{name}.") for name in (*others, *plugins)
    }  # the loaded one of two that share a prefix is last
    for variable in sorted(layers.environment):
        if variable.startswith(PREFIX) and variable not in owners and layers.environment[variable].strip():
            # Only those that are of a plugin, or nearly an option: other programs have variables that begin with SCOUT_, too.
            plugin = max(
                (name for name in names if variable.startswith(names[name])),
                key=lambda name: (len(name), name in plugins),
                default=None,
            )
            if plugin is not None and plugin in plugins:
                yield _of_plugin(variable, _ENVIRONMENT, plugin, options, owners)
            elif plugin is None and variable in _FOREIGN:
                yield for_service(_FOREIGN[variable], variable, _ENVIRONMENT)
            elif plugin is None and did_you_mean(variable, owners, cutoff=0.9):
                yield unknown(variable, _ENVIRONMENT, owners, prefix=PREFIX)


def _of_plugin(
    name: str, origin: Origin, plugin: str, options: Mapping[str, Option], owners: Collection[str] = ()
) -> Problem:
    """
    Return the problem of an unknown option of a plugin.

    Args:
        name: a key, or an environment variable.
        owners: all environment variables, if it is one.
    """
    keys = [option.key for option in options.values() if option.plugin == plugin]
    own, prefix = keys, f"plugins.{plugin}."
    if owners:
        own, prefix = [options[key].variable for key in keys], variable_of(f"{plugin}.")
    hint = did_you_mean(name, own, prefix=prefix) or did_you_mean(name, owners, cutoff=0.9)
    otherwise = f"see 'scout-core plugins {plugin}' for its options" if own else f"the plugin {plugin} has no options"
    return Problem("unknown-option", name, f"unknown option {name} ({origin}) is ignored", hint or otherwise)


def _in_code_and_file(layers: Layers, options: Mapping[str, Option], plugins: Collection[str]) -> Iterator[Problem]:
    in_code = [key.replace(".", "_") for key in BY_KEY]
    for layer, names in ((layers.code, in_code), (layers.file, list(BY_KEY))):
        for key, value in layer.items():
            plugin = layers.plugins.get(key)
            if key in options or (plugin is not None and plugin not in plugins):
                continue
            if plugin is None and key in FOREIGN:
                yield for_service(key, key, value.origin)
            elif plugin is None:
                yield unknown(key, value.origin, names)
            else:
                yield _of_plugin(key, value.origin, plugin, options)
