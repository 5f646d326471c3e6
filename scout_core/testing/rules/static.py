"""The rules that need no calls. They import the plugin and its library, so they run in a fresh process."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import perf_counter
from types import ModuleType

from scout_core.boundary.hooks import Hooks
from scout_core.boundary.implementations import invalid_hooks, marked, unfilled
from scout_core.boundary.plugin import MISSING_TARGET
from scout_core.boundary.plugins import Plugins
from scout_core.config.config import read_config
from scout_core.config.kinds import Unsupported
from scout_core.errors import PluginError, ScoutError, with_kind
from scout_core.testing.leaks import LeftBehind
from scout_core.testing.rules.answers import check_answers
from scout_core.testing.rules.before import Before
from scout_core.testing.rules.grouping import check_groups
from scout_core.testing.rules.metadata import check_metadata
from scout_core.testing.rules.named import check_targets
from scout_core.testing.rules.problems import Violation
from scout_core.testing.rules.targets import Target, import_targets, named_targets, with_hooks
from scout_core.testing.scout import recording
from scout_core.text.message import error_message


def static_rules(module: str, *, packaged: bool, begin: Callable[[str], None]) -> Iterator[Violation]:
    """
    Check one rule after the other, and everything that a problem does not prevent from being checked.

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
    starts = True
    targets: tuple[Target, ...] = ()
    invalid = _invalid_hooks(plugin)
    for evidence in invalid:
        yield _not_started(f"{module}: {evidence}")
    valid = with_hooks(plugin)
    if valid is not None:
        yield from _unfilled(valid)
        before.can_end = any(hook == "on_stop" for _, hook, _ in marked(valid))
        targets, problems, raised = named_targets(valid)
        for problem in problems:
            yield _not_started(f"{module}: plugin {module!r}: {problem}")
        starts = not (invalid or problems)
        try:
            if raised is not None:
                raise raised
            before.start_part(plugin if starts else with_hooks(valid, without=("instrument",)))
        except PluginError as error:
            if error.kind != MISSING_TARGET:  # the rule `targets` reports it
                starts = False
                yield _not_started(f"{module}: {error}")
        except LeftBehind:
            pass  # the rule `undo` reports it, once the library is imported
        except BaseException as error:  # noqa: BLE001  # from instrument, on_start or on_stop
            starts = False
            yield _not_started(f"starting the agent with it raises {_described(error)}", "fix this first")
        yield from _unsupported_options(valid)
        if not any(target.package in loaded for target in targets):
            yield from _imported(loaded, module, f"starting the agent with {module}")

    begin("targets")
    yield from check_targets(targets, import_targets(targets))

    if valid is not None and starts:
        yield from _started(module, valid, before, targets, begin)
    if packaged:
        begin("metadata")
        yield from check_metadata(module, targets)


def _started(
    module: str, plugin: ModuleType, before: Before, targets: tuple[Target, ...], begin: Callable[[str], None]
) -> Iterator[Violation]:
    """Check the rules of ``STARTED_RULES``; a plugin whose targets are missing is started without them."""
    begin("undo")
    before.reset({target.package for target in targets})
    try:
        before.start()
    except LeftBehind as left:
        before.replaced.append(str(left))
    except PluginError:  # a missing target: the rule `targets` has reported it
        with suppress(LeftBehind):
            before.start_part(with_hooks(plugin, without=("instrument",)))
    for evidence in dict.fromkeys(before.replaced):
        yield Violation("undo", evidence, "replace only by wrap, which restores the original")

    begin("process")
    yield from before.process_problems
    yield from before.at_exit()

    begin("groups")
    yield from check_groups(plugin)

    begin("answers")
    yield from check_answers(plugin)
    begin("gauges")  # found with the others


def _invalid_hooks(plugin: ModuleType) -> list[str]:
    return list(invalid_hooks(plugin).values()) if marked(plugin) else ["it has no function marked with @hookimpl"]


def _not_started(evidence: str, advice: str = "compare it with the documentation of the hooks") -> Violation:
    return Violation("hooks", evidence, advice, is_fatal=True)


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
    try:
        plugins.add_object(plugin, plugin.__name__)
        plugins.read_options()
    except BaseException:  # noqa: BLE001  # starting the agent has raised it, too
        return
    for option in config.options.values():
        if option.plugin == plugin.__name__ and isinstance(option.kind, Unsupported):
            evidence = f"the option {option.name} has a type that is not supported: {option.kind.form}"
            yield Violation(
                "hooks", evidence, "give it a supported type, see 'Options' in docs/writing-a-plugin.md, or a converter"
            )
