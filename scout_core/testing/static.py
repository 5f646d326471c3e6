"""The rules that need no calls. They import the plugin and its library, so they run in a fresh process."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from scout_core.boundary.hooks import Hooks
from scout_core.errors import PluginError
from scout_core.suggest import similar
from scout_core.testing.leaks import LeftBehind, raw_target
from scout_core.testing.metadata import check_metadata
from scout_core.testing.originals import all_originals, changed
from scout_core.testing.problems import Problem
from scout_core.testing.process import Process
from scout_core.testing.scout import recording
from scout_core.testing.targets import Target, import_targets, targets_of

_NEAR = 0.85
"""Similarity from which a name counts as a misspelling of another."""


def static_rules(module: str, *, packaged: bool, begin: Callable[[str], None]) -> Iterator[Problem]:
    """
    Check one rule after the other; stop at a problem that prevents later rules.

    Args:
        begin: called with the name of each rule before it is checked, so that the caller knows which one ended the process.
    """
    begin("import")
    with recording(plugins_autoload=False):  # load what the core itself needs
        loaded = _tops()
    before = _Before(module)
    try:
        plugin = importlib.import_module(module)
    except Exception as error:  # noqa: BLE001  # any error is reported
        yield Problem(
            "import",
            f"{module} cannot be imported: {type(error).__name__}: {error}",
            "fix this first",
            is_fatal=True,
        )
        return
    except SystemExit as error:
        evidence = f"{module} calls sys.exit({error.code!r}) when it is imported"
        yield Problem("import", evidence, "remove the call", is_fatal=True)
        return
    yield from _imported(loaded, module, f"importing {module}")
    before.is_imported()

    begin("hooks")
    try:
        hooks = Hooks()
        hooks.register(plugin, module)
        before.can_end = bool(hooks.frozen("on_stop"))
        targets = targets_of(plugin)
        before.start()
    except PluginError as error:
        if error.kind != "missing-target":  # the rule `targets` reports it
            yield Problem(
                "hooks", f"{module}: {error}", "compare it with the documentation of the hooks", is_fatal=True
            )
            return
    except LeftBehind:
        pass  # the rule `undo` reports it, once the library is imported
    except Exception as error:  # noqa: BLE001  # from instrument, on_start or on_stop
        evidence = f"starting the agent with it raises {type(error).__name__}: {error}"
        yield Problem("hooks", evidence, "fix this first", is_fatal=True)
        return
    if not any(target.package in loaded for target in targets):
        yield from _imported(loaded, module, f"starting the agent with {module}")

    begin("targets")
    yield from _missing(targets, import_targets(targets))

    begin("undo")
    before.reset({target.package for target in targets})
    try:
        before.start()
    except LeftBehind as left:
        before.replaced.append(str(left))
    except PluginError:
        pass  # a missing target: the rule `targets` has reported it
    for evidence in dict.fromkeys(before.replaced):
        yield Problem("undo", evidence, "replace only by wrap, which restores the original")

    begin("process")
    yield from before.process_problems

    if packaged:
        begin("metadata")
        yield from check_metadata(module, targets)


class _Before:
    """State before the plugin did something, and everything that it has changed since, with and without its library."""

    def __init__(self, module: str) -> None:
        self.replaced: list[str] = []
        """Messages about attributes of modules."""
        self.process_problems: list[Problem] = []
        self.can_end = False
        """It implements ``on_stop``, which may end its threads."""
        self._module = module
        self._ours = ("scout_core", module.partition(".")[0])
        self._process = Process()
        self.reset()

    def reset(self, packages: Iterable[str] = ()) -> None:
        """Take a new snapshot: earlier changes do not count."""
        self._packages = set(packages)
        self._process.reset()
        self._originals = all_originals(self._ours, self._packages)

    def is_imported(self) -> None:
        """Compare after the import."""
        doing = f"importing {self._module}"
        self.process_problems += [*self._process.changed(doing), *self._process.threads(doing)]
        self._compare()
        self.reset()

    def start(self) -> None:
        """
        Start an agent with the plugin, and stop it.

        Raises:
            LeftBehind: something is still open, wrapped or running. Exceptions of the plugin pass, too.
        """
        doing = f"starting the agent with {self._module}"
        try:
            with recording(plugins_autoload=False, plugins=[self._module]):
                self.process_problems += self._process.changed(doing)
        finally:
            self.process_problems += [*self._process.changed(f"stopping the agent with {self._module}")]
            self.process_problems += self._process.threads(doing, can_end=self.can_end)
            self._compare()

    def _compare(self) -> None:
        self.replaced += changed(self._originals, all_originals(self._ours, self._packages), self._ours)


def _tops() -> set[str]:
    return {name.partition(".")[0] for name in sys.modules}


def _imported(loaded: set[str], module: str, doing: str) -> Iterator[Problem]:
    own = {module.partition(".")[0], "scout_core", *sys.stdlib_module_names}
    others = sorted(_tops() - loaded - own)
    loaded.update(others)  # reported once
    if others:
        advice = "import it inside the describer, where it is already loaded, or under TYPE_CHECKING"
        yield Problem("import", f"{doing} imports {', '.join(others)}", advice)


def _missing(targets: tuple[Target, ...], failed: dict[str, str]) -> Iterator[Problem]:
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
        is_fatal = not is_module and not target.is_optional  # the agent then wraps none of the plugin's targets
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
        yield Problem("targets", f"{target.name} does not exist{why}", advice, is_fatal=is_fatal)


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
