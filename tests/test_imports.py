"""Being called when the application imports a module, in whatever way it does."""

from __future__ import annotations

import importlib
import importlib.util
import json
import pkgutil
import runpy
import sys
import zipfile
from importlib.machinery import BuiltinImporter, FrozenImporter, SourceFileLoader
from threading import Barrier, Thread
from types import ModuleType

import pytest

from scout_core.boundary import imports
from scout_core.boundary.imports import ImportWatch
from tests.workbench import write_modules


@pytest.fixture
def watch():
    """A watch that is removed after the test."""
    before = list(sys.meta_path)
    made = ImportWatch()
    yield made
    made.forget()
    assert before == sys.meta_path


def calls_of(watch, *names):
    """The modules that the watch has called back with."""
    calls = []
    for name in names:
        watch.when_imported(name, lambda module, name=name: calls.append((name, module)))
    return calls


def test_it_calls_back_when_the_code_of_the_module_has_run(watch, site):
    write_modules(site, later="import sys\nbefore = 1\nseen = list(vars())\nafter = 2\n")
    seen = []
    watch.when_imported("later", lambda module: seen.append((module, module.after)))
    assert [] == seen
    import later

    assert [(later, 2)] == seen
    import later

    assert 1 == len(seen)


def test_it_calls_back_at_once_for_an_imported_module(watch):
    assert [("json", importlib.import_module("json"))] == calls_of(watch, "json")


def test_all_callbacks_are_called_in_order(watch, site):
    write_modules(site, later="")
    calls = []
    for number in range(3):
        watch.when_imported("later", lambda module, number=number: calls.append(number))
    importlib.import_module("later")
    watch.when_imported("later", lambda module: calls.append("at once"))

    assert [0, 1, 2, "at once"] == calls


def test_a_submodule_is_waited_for_and_its_package_not(watch, site):
    package = site / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text("value = 1")
    (package / "other.py").write_text("")
    calls = calls_of(watch, "package.inner")
    importlib.import_module("package.other")
    assert [] == calls

    assert [("package.inner", importlib.import_module("package.inner"))] == calls


def test_a_package_that_imports_its_own_submodule(watch, site):
    package = site / "package"
    package.mkdir()
    (package / "__init__.py").write_text("from package.inner import value")
    (package / "inner.py").write_text("value = 1")
    calls = calls_of(watch, "package", "package.inner")
    importlib.import_module("package")

    assert ["package.inner", "package"] == [name for name, _ in calls]


def test_an_import_that_fails_is_waited_for_until_it_works(watch, site):
    write_modules(site, broken="raise RuntimeError('not today')")
    calls = calls_of(watch, "broken")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="not today"):
            importlib.import_module("broken")
    assert [] == calls
    assert "broken" not in sys.modules
    (site / "broken.py").write_text("value = 'today it works'")
    importlib.invalidate_caches()
    module = importlib.import_module("broken")

    assert ([("broken", module)], "today it works") == (calls, module.value)


def test_a_module_that_does_not_exist_fails_as_ever(watch, site):
    calls = calls_of(watch, "nowhere", "nowhere.inner")
    with pytest.raises(ModuleNotFoundError, match="No module named 'nowhere'"):
        importlib.import_module("nowhere.inner")

    assert importlib.util.find_spec("nowhere") is None
    assert [] == calls


def test_a_module_that_is_blocked_fails_as_ever(watch, site, monkeypatch):
    write_modules(site, blocked="")
    monkeypatch.setitem(sys.modules, "blocked", None)
    calls = calls_of(watch, "blocked")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("blocked")

    assert [] == calls


def test_it_calls_back_after_every_reload(watch, site):
    write_modules(site, later="def function(): pass")
    calls = calls_of(watch, "later")
    module = importlib.import_module("later")
    first = module.function
    importlib.reload(module)
    importlib.reload(module)

    assert [("later", module)] * 3 == calls
    assert module.function is not first


def test_it_calls_back_after_a_reload_of_a_module_that_was_imported_before(watch, site):
    write_modules(site, earlier="")
    module = importlib.import_module("earlier")
    calls = calls_of(watch, "earlier")
    importlib.reload(module)

    assert [("earlier", module)] * 2 == calls


def test_a_module_that_is_half_imported_is_waited_for(watch, site):
    """An application starts the agent at the head of a module that a plugin wraps."""
    write_modules(site, application="import starter\nstarter.start()\ndef function(): pass\n", starter="", another="")
    starter = importlib.import_module("starter")
    seen = []
    starter.start = lambda: watch.when_imported("application", lambda module: seen.append(hasattr(module, "function")))
    importlib.import_module("application")
    assert [] == seen
    importlib.import_module("another")  # whatever is imported next

    assert [True] == seen


def test_a_module_that_bypassed_the_watch_is_found_at_the_next_import(watch, site, monkeypatch):
    write_modules(site, another="", third="")
    calls = calls_of(watch, "handmade")
    handmade = ModuleType("handmade")
    monkeypatch.setitem(sys.modules, "handmade", handmade)
    importlib.import_module("another")
    importlib.import_module("third")

    assert [("handmade", handmade)] == calls


def test_no_method_of_an_object_in_place_of_a_module_is_called(watch, monkeypatch):
    class Refuses:
        def __getattr__(self, name):
            raise RuntimeError(name)

    refuses = Refuses()
    monkeypatch.setitem(sys.modules, "refuses", refuses)

    ((_, given),) = calls_of(watch, "refuses")
    assert given is refuses


def test_a_module_that_puts_something_else_in_its_place(watch, site):
    write_modules(site, magic="import sys, types\nmade = sys.modules[__name__] = types.SimpleNamespace(value=1)\n")
    calls = calls_of(watch, "magic")
    import magic

    assert (1, [("magic", magic)]) == (magic.value, calls)


def test_a_lazy_module_is_not_loaded_on_our_behalf(watch, site):
    write_modules(
        site, lazy="import note\nnote.loaded.append(1)\nvalue = 5\n", note="loaded = []\n", another="", more=""
    )
    note = importlib.import_module("note")

    def make_lazy(name):
        spec = importlib.util.find_spec(name)
        spec.loader = importlib.util.LazyLoader(spec.loader)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    early = make_lazy("lazy")
    calls = calls_of(watch, "lazy")
    importlib.import_module("another")
    assert ([], []) == (note.loaded, calls)
    assert 5 == early.value
    importlib.import_module("more")
    assert [("lazy", early)] == calls
    del sys.modules["lazy"]
    late = make_lazy("lazy")
    assert [1] == note.loaded
    assert 5 == late.value

    assert [("lazy", early), ("lazy", late)] == calls
    assert ModuleType is type(late)


def test_in_a_namespace_package(watch, site):
    (site / "space").mkdir()
    (site / "space" / "inner.py").write_text("value = 1")
    calls = calls_of(watch, "space.inner", "space")
    module = importlib.import_module("space.inner")

    assert ("space.inner", module) in calls
    assert 1 == module.value
    assert list(sys.modules["space"].__path__) == [str(site / "space")]


def test_from_a_zip_whose_modules_share_a_loader(watch, site, monkeypatch):
    with zipfile.ZipFile(site / "library.zip", "w") as archive:
        for name in ("zipped_a", "zipped_b", "zipped_c"):
            archive.writestr(f"{name}.py", f"value = {name!r}")
    monkeypatch.syspath_prepend(str(site / "library.zip"))
    calls = calls_of(watch, "zipped_a", "zipped_b")
    for name in ("zipped_a", "zipped_b", "zipped_a"):
        assert importlib.util.find_spec(name) is not None
    assert [] == calls
    modules = {name: importlib.import_module(name) for name in ("zipped_c", "zipped_b", "zipped_a")}

    assert [("zipped_b", modules["zipped_b"]), ("zipped_a", modules["zipped_a"])] == calls
    assert {name: name for name in modules} == {name: module.value for name, module in modules.items()}


@pytest.mark.parametrize(("importer", "name"), [(BuiltinImporter, "_symtable"), (FrozenImporter, "__hello__")])
def test_modules_of_the_interpreter_itself(watch, monkeypatch, importer, name, capsys):
    monkeypatch.delitem(sys.modules, name, raising=False)
    before = dict(vars(importer))
    calls = calls_of(watch, name)
    module = importlib.import_module(name)

    assert [(name, module)] == calls
    assert before == dict(vars(importer))
    assert module.__spec__.loader is importer
    assert module.__loader__ is importer


def test_looking_whether_a_module_is_there_changes_nothing(watch, site):
    write_modules(site, later="value = 1")
    plain = importlib.util.find_spec("later")
    calls = calls_of(watch, "later")
    spec = importlib.util.find_spec("later")

    assert isinstance(spec.loader, SourceFileLoader)
    assert (plain.name, plain.origin, plain.cached, plain.has_location) == (
        spec.name,
        spec.origin,
        spec.cached,
        spec.has_location,
    )
    assert "value = 1" == spec.loader.get_source("later")
    assert ([], False) == (calls, "later" in sys.modules)


def test_a_module_sees_the_loader_that_it_would_have_seen(watch, site):
    source = "seen = (type(__loader__), type(__spec__.loader), __loader__ is __spec__.loader)"
    write_modules(site, later=source)
    calls_of(watch, "later")
    import later

    assert (SourceFileLoader, SourceFileLoader, True) == later.seen
    assert SourceFileLoader is type(later.__loader__) is type(later.__spec__.loader)


def test_data_of_a_package_that_is_not_imported_can_be_read(watch, site):
    package = site / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "data.txt").write_text("data")
    calls = calls_of(watch, "package")

    assert b"data" == pkgutil.get_data("package", "data.txt")
    assert ["package"] == [name for name, _ in calls]


def test_running_it_as_a_program(watch, site):
    write_modules(site, program="value = __name__")
    calls_of(watch, "program")

    assert "__main__" == runpy.run_module("program", run_name="__main__")["value"]


def test_loading_it_by_hand(watch, site):
    write_modules(site, later="value = 1")
    calls = calls_of(watch, "later")
    spec = importlib.util.find_spec("later")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    assert [("later", module)] == calls


def test_imports_from_several_threads_call_once(watch, site):
    write_modules(site, later="value = sum(range(100_000))", other="import later")
    calls = calls_of(watch, "later", "other")
    barrier = Barrier(8)

    def work(name):
        barrier.wait()
        importlib.import_module(name)

    threads = [Thread(target=work, args=(name,)) for name in ["later", "other"] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ["later", "other"] == [name for name, _ in calls]
    assert all(module.value if name == "later" else module.later for name, module in calls)


def test_waiting_in_a_thread_while_another_thread_imports_misses_nothing(watch, site):
    names = [f"racing{number}" for number in range(60)]
    write_modules(site, **dict.fromkeys(names, "value = 1"), another="")
    barrier = Barrier(2)
    calls = []

    def work():
        barrier.wait()
        for name in names:
            importlib.import_module(name)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        thread = Thread(target=work)
        thread.start()
        barrier.wait()
        for name in names:
            watch.when_imported(name, lambda module, name=name: calls.append(name))
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    importlib.import_module("another")

    assert sorted(names) == sorted(calls)


def test_two_watches_of_the_same_module_both_call_back(watch, site):
    other = ImportWatch()
    try:
        write_modules(site, later="value = 1")
        seen = []
        watch.when_imported("later", lambda module: seen.append("first"))
        other.when_imported("later", lambda module: seen.append("second"))
        module = importlib.import_module("later")
    finally:
        other.forget()

    assert ["first", "second"] == sorted(seen)
    assert SourceFileLoader is type(module.__loader__)


def test_a_finder_that_asks_all_others_again(watch, site, monkeypatch):
    """Finders of other agents do so."""

    class Asks:
        asking = False

        def find_spec(self, name, path=None, target=None):
            if self.asking or name != "later":
                return None
            self.asking = True
            try:
                return importlib.util.find_spec(name)
            finally:
                self.asking = False

    write_modules(site, later="value = 1")
    monkeypatch.setattr(sys, "meta_path", [Asks(), *sys.meta_path])
    calls = calls_of(watch, "later")
    module = importlib.import_module("later")
    watch.forget()

    assert [("later", module)] == calls
    assert SourceFileLoader is type(module.__loader__)


def test_exceptions_of_other_finders_pass(watch, site, monkeypatch):
    class Fails:
        def find_spec(self, name, path=None, target=None):
            if name == "later":
                raise ImportError("not from here")

    class Old:
        """Has no ``find_spec``."""

    monkeypatch.setattr(sys, "meta_path", [Old(), Fails(), *sys.meta_path])
    calls = calls_of(watch, "later", "earlier")
    write_modules(site, later="", earlier="")
    with pytest.raises(ImportError, match="not from here"):
        importlib.import_module("later")
    importlib.import_module("earlier")
    watch.forget()

    assert ["earlier"] == [name for name, _ in calls]


def test_a_module_of_a_loader_without_exec_module_is_found_later(watch, site, monkeypatch):
    class OldLoader:
        def create_module(self, spec):
            return None

        def load_module(self, name):
            sys.modules[name] = module = ModuleType(name)
            module.__spec__ = importlib.machinery.ModuleSpec(name, self)
            return module

    class Finder:
        def find_spec(self, name, path=None, target=None):
            return importlib.machinery.ModuleSpec(name, OldLoader()) if name == "old" else None

    write_modules(site, another="")
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    calls = calls_of(watch, "old")
    with pytest.warns(ImportWarning):
        module = importlib.import_module("old")
    importlib.import_module("another")
    watch.forget()

    assert [("old", module)] == calls


def test_nothing_is_called_after_forget(watch, site):
    write_modules(site, later="", found="")
    calls = calls_of(watch, "later", "found")
    spec = importlib.util.find_spec("found")
    assert watch in sys.meta_path
    watch.forget()
    assert watch not in sys.meta_path
    importlib.import_module("later")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    watch.forget()

    assert [] == calls
    assert SourceFileLoader is type(module.__loader__)


def test_it_can_wait_again_after_it_has_forgotten(watch, site):
    write_modules(site, later="")
    watch.forget()
    calls = calls_of(watch, "later")
    importlib.import_module("later")

    assert ["later"] == [name for name, _ in calls]


def test_modules_that_no_callback_waits_for_keep_their_loader(watch, site):
    write_modules(site, other="")
    calls_of(watch, "later")

    assert watch.find_spec("other") is None
    assert SourceFileLoader is type(importlib.import_module("other").__loader__)


def test_a_target_costs_the_same_however_many_there_are(monkeypatch):
    """10,000 targets took 25 seconds while every module was looked at again for each."""
    looked_at = []
    is_complete = imports.is_complete
    monkeypatch.setattr(imports, "is_complete", lambda module: looked_at.append(module) or is_complete(module))
    watch = imports.ImportWatch()
    called = []
    try:
        for number in range(100):
            watch.when_imported(f"no_such_module_{number}", called.append)
            watch.when_imported("json", called.append)
    finally:
        watch.forget()

    assert [json] * 100 == called
    assert len(looked_at) <= 2 * 200
