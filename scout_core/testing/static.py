"""The rules that need no calls. They import the plugin and its library, so they run in a fresh process."""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from types import ModuleType

from scout_core.boundary.hooks import Hooks
from scout_core.boundary.implementations import marked, unfilled
from scout_core.boundary.plugins import Plugins
from scout_core.config.config import read_config
from scout_core.config.kinds import Unsupported
from scout_core.errors import PluginError, ScoutError, with_kind
from scout_core.suggest import similar
from scout_core.testing.before import Before
from scout_core.testing.defining import defining_name
from scout_core.testing.leaks import LeftBehind, raw_target
from scout_core.testing.metadata import check_metadata
from scout_core.testing.problems import Violation
from scout_core.testing.scout import recording
from scout_core.testing.targets import Target, import_targets, targets_of
from scout_core.text.message import error_message

_NEAR = 0.85
"""Similarity from which a name counts as a misspelling of another."""


def static_rules(module: str, *, packaged: bool, begin: Callable[[str], None]) -> Iterator[Violation]:
    """
    Check one rule after the other; stop at a problem that prevents later rules.

    Args:
        begin: called with the name of each rule before it is checked, so that the caller knows which one ended the process.
    """
    begin("import")
    with recording(plugins_autoload=False):  # load what the core itself needs
        loaded = _tops()
    before = Before(module)
    start = perf_counter()
    try:
        plugin = importlib.import_module(module)
    except SystemExit as error:
        evidence = f"{module} calls sys.exit({error.code!r}) when it is imported"
        yield Violation("import", evidence, "remove the call", is_fatal=True)
        return
    except BaseException as error:  # noqa: BLE001  # any error is reported
        evidence = f"{module} cannot be imported: {_described(error)}"
        yield Violation("import", evidence, "fix this first", is_fatal=True)
        return
    before.is_imported(perf_counter() - start)
    yield from _imported(loaded, module, f"importing {module}")

    begin("hooks")
    try:
        hooks = Hooks()
        hooks.register(plugin, module)
        yield from _unfilled(plugin)
        before.can_end = bool(hooks.frozen("on_stop"))
        targets = targets_of(plugin)
        before.start()
    except PluginError as error:
        if error.kind != "missing-target":  # the rule `targets` reports it
            yield Violation(
                "hooks", f"{module}: {error}", "compare it with the documentation of the hooks", is_fatal=True
            )
            return
    except LeftBehind:
        pass  # the rule `undo` reports it, once the library is imported
    except BaseException as error:  # noqa: BLE001  # from instrument, on_start or on_stop
        evidence = f"starting the agent with it raises {_described(error)}"
        yield Violation("hooks", evidence, "fix this first", is_fatal=True)
        return
    yield from _unsupported_options(plugin)
    if not any(target.package in loaded for target in targets):
        yield from _imported(loaded, module, f"starting the agent with {module}")

    begin("targets")
    failed = import_targets(targets)
    yield from _missing(targets, failed)
    yield from _not_wrappable(targets)
    yield from _named_twice(targets)
    yield from _re_exported(targets)

    begin("undo")
    before.reset({target.package for target in targets})
    try:
        before.start()
    except LeftBehind as left:
        before.replaced.append(str(left))
    except PluginError:
        pass  # a missing target: the rule `targets` has reported it
    for evidence in dict.fromkeys(before.replaced):
        yield Violation("undo", evidence, "replace only by wrap, which restores the original")

    begin("process")
    yield from before.process_problems
    yield from before.at_exit()

    if packaged:
        begin("metadata")
        yield from check_metadata(module, targets)


def _tops() -> set[str]:
    return {name.partition(".")[0] for name in sys.modules}


def _imported(loaded: set[str], module: str, doing: str) -> Iterator[Violation]:
    own = {module.partition(".")[0], "scout_core", "__mp_main__", *sys.stdlib_module_names}
    others = sorted(name for name in _tops() - loaded - own if not name.startswith("_sysconfigdata_"))
    loaded.update(others)  # reported once
    if others:
        advice = "import it inside the describer, where it is already loaded, or under TYPE_CHECKING"
        yield Violation("import", f"{doing} imports {', '.join(others)}", advice)


def _described(error: BaseException) -> str:
    return with_kind(type(error).__name__, str(error) if isinstance(error, ScoutError) else error_message(error))


def _unfilled(plugin: ModuleType) -> Iterator[Violation]:
    for attribute, hook, _ in marked(plugin):
        for evidence, advice in unfilled(hook, getattr(plugin, attribute)):
            yield Violation("hooks", evidence, advice)


def _unsupported_options(plugin: ModuleType) -> Iterator[Violation]:
    """Report options whose annotation is not supported; the class itself was read when the agent started."""
    config = read_config({"plugins.reraise": True})
    plugins = Plugins(config, Hooks.from_config(config))
    plugins.add_object(plugin, plugin.__name__)
    plugins.read_options()
    for option in config.options.values():
        if option.plugin == plugin.__name__ and isinstance(option.kind, Unsupported):
            evidence = f"the option {option.name} has a type that is not supported: {option.kind.form}"
            yield Violation(
                "hooks", evidence, "give it a supported type, see 'Options' in docs/writing-a-plugin.md, or a converter"
            )


def _missing(targets: tuple[Target, ...], failed: dict[str, str]) -> Iterator[Violation]:
    """
    Report missing targets. A name similar to one of the library's is misspelled; others may belong to another version.

    Args:
        failed: modules that cannot be imported, each with its error.
    """
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
    for target in targets:
        name = defining_name(target.name)
        if name is not None and target.is_there:
            evidence = f"{target.name} is a re-export, which other code may have replaced before the agent starts"
            yield Violation("targets", evidence, f"name the module that defines it: {name}")


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
