"""The state before a plugin did something, and everything that it has changed since, with and without its library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import perf_counter
from types import ModuleType

from scout_core.boundary.import_state import ImportState
from scout_core.testing.rules.interpreter_state import is_compared
from scout_core.testing.rules.originals import Originals, all_originals, changed
from scout_core.testing.rules.problems import Violation
from scout_core.testing.rules.process import Process
from scout_core.testing.scout import recording


class Before:
    """Compares modules and the process with how they were; create it before the plugin is imported."""

    def __init__(self, module: str) -> None:
        self.replaced: list[str] = []
        """Messages about attributes of modules."""
        self.process_problems: list[Violation] = []
        self.can_end = False
        """It implements ``on_stop``, which may end its threads."""
        self._module = module
        self._ours = ("scout_core", module.partition(".")[0])
        self._process = Process()
        with recording(plugins_autoload=False):
            self._process.learn()
        self.reset()
        self._imports = ImportState()

    def reset(self, packages: Iterable[str] = ()) -> None:
        """Take a new snapshot: earlier changes do not count."""
        self._packages = set(packages)
        self._process.reset()
        self._originals = self._callables()

    def is_imported(self, seconds: float) -> None:
        """
        Compare after the import.

        Args:
            seconds: the time that it took.
        """
        doing = f"importing {self._module}"
        self.process_problems += [*self._process.changed(doing), *self._process.threads(doing)]
        self.process_problems += self._process.slow(doing, seconds)
        if self._imports.broken_thing():  # the other rules could not be checked
            self._imports.restore()
        self._compare()
        self.reset()

    def start_part(self, part: ModuleType | None) -> None:
        """Do the same with the part of the plugin that can be started; None: nothing of it can be."""
        if part is not None:
            self.start(part)

    def start(self, part: ModuleType | None = None) -> None:
        """
        Start an agent with the plugin, and stop it.

        Raises:
            LeftBehind: something is still open, wrapped or running. Exceptions of the plugin pass, too.
        """
        doing = f"starting the agent with {self._module}"
        start = perf_counter()
        try:
            with recording(plugins_autoload=False, plugins=[part or self._module]):
                self.process_problems += self._process.slow(doing, perf_counter() - start)
                self.process_problems += self._process.changed(doing, agent_runs=True)
        finally:
            self.process_problems += [*self._process.changed(f"stopping the agent with {self._module}")]
            self.process_problems += self._process.threads(doing, can_end=self.can_end)
            self._compare()

    def at_exit(self) -> Iterator[Violation]:
        """Run what the plugin has registered for the end of the process, and report what takes too long."""
        yield from self._process.slow_at_exit(self._module)

    def _callables(self) -> Originals:
        found = all_originals(self._ours, self._packages)
        return {name: place for name, place in found.items() if not is_compared(name)}

    def _compare(self) -> None:
        self.replaced += changed(self._originals, self._callables(), self._ours)
