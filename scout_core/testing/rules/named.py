"""The rule about what a plugin names to be wrapped: it is there, it can be wrapped, and it is named once, where it is defined."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from scout_core.suggest import similar
from scout_core.testing.leaks import raw_target
from scout_core.testing.rules.defining import defining_name
from scout_core.testing.rules.problems import Violation
from scout_core.testing.rules.targets import Target

_NEAR = 0.85
"""Similarity from which a name counts as a misspelling of another."""


def check_targets(targets: tuple[Target, ...], failed: Mapping[str, str]) -> Iterator[Violation]:
    """
    Check the targets of a plugin, whose modules have been imported.

    Args:
        failed: modules that cannot be imported, each with its error.
    """
    yield from _missing(targets, failed)
    yield from _not_wrappable(targets)
    yield from _named_twice(targets)
    yield from _re_exported(targets)
    yield from _unfollowed(targets)
    yield from _left_out(targets)


def _missing(targets: tuple[Target, ...], failed: Mapping[str, str]) -> Iterator[Violation]:
    """Report missing targets. A name similar to one of the library's is misspelled; others may belong to another version."""
    named = {target.name for target in targets}
    packages = {target.package for target in targets if target.is_there}
    for target in targets:
        if target.is_there:
            continue
        is_module = target.module in failed
        is_fatal = (
            not is_module and not target.is_optional and target.group is None
        )  # the agent then wraps none of the plugin's targets
        near = [name for name in _near(target, is_module=is_module) if name not in named]
        if near:
            advice = f"did you mean {near[0]}?"
        elif is_fatal:
            advice = "use optional=True if only some of the supported versions have it"
        elif target.package not in packages:
            advice = "install a supported version of the library, and name a target that it has"
        else:
            continue
        why = f" ({failed[target.module]})" if is_module else ""
        yield Violation("targets", f"{target.name} does not exist{why}", advice, is_fatal=is_fatal)


def _not_wrappable(targets: tuple[Target, ...]) -> Iterator[Violation]:
    for target in targets:
        if target.obstacle:
            evidence = f"{target.name} cannot be wrapped: {target.obstacle}"
            yield Violation(
                "targets",
                evidence,
                "name something that can be called",
                is_fatal=not target.is_optional and target.group is None,
            )


def _named_twice(targets: tuple[Target, ...]) -> Iterator[Violation]:
    for (name, is_around), count in Counter((target.name, target.is_around) for target in targets).items():
        if count > 1:
            what = "functions for wrap.around" if is_around else "describers"
            yield Violation("targets", f"{name} has {count} {what}, and only the first is called", "make them one")


def _re_exported(targets: tuple[Target, ...]) -> Iterator[Violation]:
    """Report re-exports, except where another version of the library defines what another target names in this one."""
    defined = {id(raw_target(target.name)) for target in targets if defining_name(target.name) is None}
    for target in targets:
        name = defining_name(target.name)
        if name is not None and target.is_there and (target.is_needed or id(raw_target(target.name)) not in defined):
            evidence = f"{target.name} is a re-export, which other code may have replaced before the agent starts"
            yield Violation("targets", evidence, f"name the module that defines it: {name}")


def _unfollowed(targets: tuple[Target, ...]) -> Iterator[Violation]:
    advice = "if there is work to do by then, use keep_open() in the describer, and end() where it is done"
    for target in targets:
        for result in target.unfollowed:
            evidence = f"the spans of {target.name} end with the call, though it returns {result.text}"
            if result.followed_if:
                evidence = f"{target.name} returns {result.text}: its spans end with the call unless that is {result.followed_if}"
            yield Violation("targets", evidence, advice, is_note=True)


def _left_out(targets: tuple[Target, ...]) -> Iterator[Violation]:
    """Report what is not wrapped with the installed version of the library, though the plugin may be right."""
    absent: dict[str, list[str]] = {}
    for target in targets:
        if target.group is not None and not (target.is_optional or target.is_there):
            absent.setdefault(target.group, []).append(target.name)
    advice = "if this version should have it, correct the target"
    for group, names in absent.items():
        evidence = f"nothing of the group {group!r} is wrapped, because {' and '.join(names)} cannot be found"
        yield Violation("targets", evidence, advice, is_note=True)
    for target in targets:
        if target.is_optional and not target.is_there:
            yield Violation("targets", f"{target.name} is optional, and cannot be found", advice, is_note=True)


def _near(target: Target, *, is_module: bool) -> list[str]:
    if is_module:
        package, _, last = target.module.rpartition(".")
        folders = [Path(folder) for folder in getattr(sys.modules.get(package), "__path__", ())]
        names = {path.stem for folder in folders for path in folder.glob("*") if path.stem.isidentifier()}
        return [f"{package}.{name}" for name in similar(last, names, cutoff=_NEAR)]
    owner, _, last = target.name.rpartition(":")[2].rpartition(".")
    holder = raw_target(f"{target.module}:{owner}") if owner else sys.modules.get(target.module)
    if holder is None:
        place, names = "", set(vars(sys.modules[target.module]))
        return [f"{target.module}:{name}" for name in similar(owner, names, cutoff=_NEAR)]
    place, names = f"{owner}." if owner else "", set(dir(holder))
    return [f"{target.module}:{place}{name}" for name in similar(last, names, cutoff=_NEAR)]
