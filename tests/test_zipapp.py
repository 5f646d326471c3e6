"""Applications that are shipped as an archive: a zipapp, a PEX, a wheel on ``sys.path``. Plugins in the archive load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipapp
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from shutil import copytree

import pytest
from packaging.requirements import Requirement

from tests.faults.installing import build_wheel, install
from tests.test_third_party import clean_environment

ROOT = Path(__file__).resolve().parent.parent

PLUGIN = """
    from scout_core import hookimpl, span


    @hookimpl
    def instrument(wrap):
        wrap("json:dumps", dumps)


    def dumps(*args, **kwargs):
        return span("Json/Dumps")
"""

APP = """
import json, sys

import scout_core

agent = scout_core.start(name="Shop", report_period=100)
with scout_core.transaction("Controller/home") as transaction:
    json.dumps({})
status = next(status for status in agent.plugin_statuses() if status.name == "dumps")
operations = [span.operation for span in transaction.spans]
scout_core.stop(10)
print(json.dumps([status.state, status.reason, status.distribution, operations, scout_core.__file__]))
"""


@pytest.fixture
def plugin(tmp_path):
    """Wheel of the plugin ``dumps``."""
    return build_wheel(
        tmp_path / "wheels", "scout-dumps", modules={"scout_dumps": PLUGIN}, entries="dumps = scout_dumps"
    )


def run_app(*command: object, folder: Path, **environment: str) -> list[object]:
    """State, reason, distribution of the plugin; the operations recorded; where the core is."""
    settings = {"HOME": str(folder), "SCOUT_EXPORTERS": "[]", **environment}
    done = subprocess.run(
        [sys.executable, "-W", "error", *map(str, command)],
        cwd=folder,
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (0, "") == (done.returncode, done.stderr)
    return json.loads(done.stdout)


def requirements_of(name: str) -> Iterator[Distribution]:
    """A distribution and all that it needs, as installed here."""
    pending, done = [name], set()
    while pending:
        found = distribution(pending.pop())
        if found.metadata["Name"] in done:
            continue
        done.add(found.metadata["Name"])
        yield found
        needs = map(Requirement, found.requires or ())
        pending += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]


def copy_installed(found: Distribution, folder: Path) -> None:
    """Copy what was installed, apart from scripts; of an editable installation the metadata."""
    for file in found.files or ():
        if ".." not in file.parts and file.suffix not in (".pyc", ".pth"):
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(Path(str(found.locate_file(file))).read_bytes())


def test_a_plugin_in_a_zipapp_loads(tmp_path, plugin):
    """The core is in the environment, the application and its plugin are in the archive."""
    install(plugin, tmp_path / "content")
    (tmp_path / "content" / "__main__.py").write_text(APP)
    zipapp.create_archive(tmp_path / "content", tmp_path / "app.pyz")

    *outcome, core = run_app("app.pyz", folder=tmp_path)

    assert ["active", "", "scout-dumps", ["Json/Dumps"]] == outcome
    assert "app.pyz" not in core


def test_an_application_in_a_single_archive_with_the_core_and_plugins_runs(tmp_path, plugin):
    """As ``pip install --target`` and ``python -m zipapp --compress`` make it; nothing else can be imported."""
    content = tmp_path / "content"
    install(plugin, content)
    for found in requirements_of("scout-core"):
        copy_installed(found, content)
    if not (content / "scout_core" / "__init__.py").exists():  # an editable installation
        copytree(ROOT / "scout_core", content / "scout_core", dirs_exist_ok=True)
    (content / "__main__.py").write_text(APP)
    zipapp.create_archive(content, tmp_path / "app.pyz", compressed=True)

    *outcome, core = run_app("-I", "-S", "app.pyz", folder=tmp_path)

    assert ["active", "", "scout-dumps", ["Json/Dumps"]] == outcome
    assert core.startswith(f"{tmp_path / 'app.pyz'}{os.sep}")


def test_a_plugin_in_a_folder_of_an_archive_loads(tmp_path, plugin):
    """A launcher in the archive puts the folder with the libraries on ``sys.path``."""
    install(plugin, tmp_path / "content" / "lib")
    launcher = f"import os, sys\nsys.path.insert(0, os.path.dirname(__file__) + '/lib')\n{APP}"
    (tmp_path / "content" / "__main__.py").write_text(launcher)
    zipapp.create_archive(tmp_path / "content", tmp_path / "app.pyz")

    *outcome, _ = run_app("app.pyz", folder=tmp_path)

    assert ["active", "", "scout-dumps", ["Json/Dumps"]] == outcome


@pytest.mark.parametrize("is_relative", [False, True], ids=["absolute", "relative"])
def test_a_wheel_on_the_path_loads(tmp_path, plugin, is_relative):
    (tmp_path / "app.py").write_text(APP)
    path = os.path.relpath(plugin, tmp_path) if is_relative else plugin

    *outcome, _ = run_app("app.py", folder=tmp_path, PYTHONPATH=str(path))

    assert ["active", "", "scout-dumps", ["Json/Dumps"]] == outcome


def test_the_command_lists_a_plugin_from_an_archive(tmp_path, plugin):
    done = run_app("-m", "scout_core", "plugins", "--json", folder=tmp_path, PYTHONPATH=str(plugin))

    (shown,) = [plugin for plugin in done if plugin["name"] == "dumps"]
    assert ("active", "scout-dumps", "1.0") == (shown["state"], shown["distribution"], shown["version"])
