"""A plugin that is made from the template is one that could be published."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
FILES = {
    "CHANGELOG.md",
    "README.md",
    "changelog.d/1.added.md",
    "pyproject.toml",
    "src/scout_mailqueue/__init__.py",
    "src/scout_mailqueue/py.typed",
    "tests/test_mailqueue.py",
}


@pytest.fixture
def render():
    specification = importlib.util.spec_from_file_location("render", ROOT / "template" / "render.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.render


@pytest.fixture
def plugin(render, tmp_path):
    return render(tmp_path, name="mailqueue", library="mail_queue", oldest="2.1")


def test_it_has_seven_files_and_no_placeholder_is_left(plugin):
    files = {str(path.relative_to(plugin)): path for path in plugin.rglob("*") if path.is_file()}

    assert FILES == set(files)
    assert [] == [name for name, path in files.items() if "{{" in path.read_text(encoding="utf-8")]


def test_an_existing_plugin_is_left_alone(render, plugin):
    with pytest.raises(FileExistsError):
        render(plugin.parent, name="mailqueue", library="mail_queue", oldest="2.1")


def test_its_project_file_names_the_library_and_the_entry_point(plugin):
    facts = tomllib.loads((plugin / "pyproject.toml").read_text(encoding="utf-8"))

    assert "scout-mailqueue" == facts["project"]["name"]
    assert {"mailqueue": "scout_mailqueue"} == facts["project"]["entry-points"]["scout_core"]
    assert ["mail_queue>=2.1"] == facts["project"]["optional-dependencies"]["instruments"]
    assert ["mail_queue==2.1"] == facts["tool"]["scout-test"]["oldest"]


def test_its_code_follows_our_rules(plugin):
    for arguments in (["check"], ["format", "--check"]):
        command = [
            sys.executable,
            "-m",
            "ruff",
            *arguments,
            "--no-cache",
            "--config",
            str(ROOT / "pyproject.toml"),
            ".",
        ]
        done = subprocess.run(command, cwd=plugin, capture_output=True, text=True)

        assert 0 == done.returncode, done.stdout + done.stderr


@pytest.fixture
def wheel(plugin, tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "out")]
    subprocess.run(command, cwd=plugin, check=True, capture_output=True)
    return next(tmp_path.glob("out/*.whl"))


def test_it_becomes_a_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert {"scout_mailqueue/__init__.py", "scout_mailqueue/py.typed"} == names


def test_it_times_the_library(plugin, wheel, tmp_path):
    """Installed beside a library of three lines, the plugin passes the tests that came with it."""
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "mail_queue.py").write_text("class Client:\n    def call(self):\n        return 1\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(plugin / "tests")]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(site)}, capture_output=True, text=True)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "2 passed" in done.stdout
