"""The wheels and source archives of this checkout: their files, and their installation into an empty environment."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PROJECTS = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
BESIDE_THE_CODE = {".gitignore", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
"""Files that the build adds to every source archive."""

EVERY_MODULE = """
import importlib, pkgutil, sys
LEFT_OUT = ("__main__", "sitecustomize", "pytest_plugin", "testing", "outcomes", "upstream", "apps")
for package in sys.argv[1:]:
    module = importlib.import_module(package)
    assert "site-packages" in module.__file__, module.__file__
    for found in pkgutil.walk_packages(module.__path__, package + "."):
        if found.name.rpartition(".")[2] not in LEFT_OUT:
            importlib.import_module(found.name)
"""
"""Imports every module, except those that run on import, need pytest, or are imported by Django only."""


def facts(project: Path) -> dict:
    return tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))


def name_of(project: Path) -> str:
    return facts(project)["project"]["name"]


def packages(project: Path) -> list[Path]:
    return [project / path for path in facts(project)["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]


def own_files(project: Path) -> set[str]:
    """Files of its wheel: its packages, and files included from elsewhere."""
    target = facts(project)["tool"]["hatch"]["build"]["targets"]["wheel"]
    places = {project / path: Path(path).name for path in target["packages"]}
    places |= {project / path: place for path, place in target.get("force-include", {}).items()}
    return {f"{place}/{file.relative_to(folder)}" for folder, place in places.items() for file in files_below(folder)}


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}


def build(project: Path, target: str, out: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    pattern = f"{name_of(project).replace('-', '_')}-*" + (".whl" if target == "wheel" else ".tar.gz")
    return next(out.glob(pattern))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Each project's folder to its wheel and sdist."""
    out = tmp_path_factory.mktemp("dist")
    return {project: (build(project, "wheel", out), build(project, "sdist", out)) for project in PROJECTS}


@pytest.fixture
def empty_environment(tmp_path):
    """The interpreter of an environment with nothing but pip."""
    venv.create(tmp_path / "environment", with_pip=True)
    return tmp_path / "environment" / "bin" / "python"


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True)
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("project", PROJECTS, ids=name_of)
def test_a_wheel_holds_its_own_package_and_all_of_it(project, built):
    with zipfile.ZipFile(built[project][0]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert own_files(project) == names
    assert {f"{package.name}/py.typed" for package in packages(project)} <= names


@pytest.mark.parametrize("project", PROJECTS, ids=name_of)
def test_a_source_archive_holds_its_own_files_and_becomes_the_same_wheel(project, built, tmp_path):
    wheel, sdist = built[project]
    named = [project / path for path in facts(project)["tool"]["hatch"]["build"]["targets"]["sdist"]["only-include"]]
    files = {file for path in named for file in ({path} if path.is_file() else files_below(path))}

    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        archive.extractall(tmp_path, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (unpacked,) = tmp_path.iterdir()
    again = build(unpacked, "wheel", tmp_path / "out")

    assert {str(file.relative_to(project)) for file in files} == names - BESIDE_THE_CODE
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert sorted(first.namelist()) == sorted(second.namelist())


def test_the_core_works_with_nothing_else_installed(built, empty_environment, tmp_path):
    run(empty_environment, "-m", "pip", "install", "-q", built[ROOT][0], cwd=tmp_path)

    run(empty_environment, "-W", "error", "-c", EVERY_MODULE, "scout_core", cwd=tmp_path)
    by_name = run(empty_environment.parent / "scout-core", "--help", cwd=tmp_path)
    by_module = run(empty_environment, "-m", "scout_core", "--help", cwd=tmp_path)

    assert "Usage: scout-core" in by_name
    assert by_name == by_module


def test_an_instrument_can_be_installed_and_imported_where_its_library_is_not(built, empty_environment, tmp_path):
    """As after ``pip install scout-core scout-flask``: only the extra installs the library."""
    projects = [project for project in PROJECTS if facts(project)["project"].get("optional-dependencies")]
    modules = [package.name for project in projects for package in packages(project)]
    wheels = [built[project][0] for project in (ROOT, *projects)]
    libraries = [
        line for project in projects for line in facts(project)["project"]["optional-dependencies"]["instruments"]
    ]

    run(empty_environment, "-m", "pip", "install", "-q", *wheels, cwd=tmp_path)
    run(empty_environment, "-W", "error", "-c", EVERY_MODULE, *modules, cwd=tmp_path)
    installed = run(empty_environment, "-m", "pip", "list", cwd=tmp_path).lower().split()

    assert modules
    assert [] == [line for line in libraries if Requirement(line).name.lower() in installed]


def test_every_installed_plugin_is_listed(built, empty_environment, tmp_path):
    entries = [name for project in PROJECTS for name in facts(project)["project"]["entry-points"]["scout_core"]]

    run(empty_environment, "-m", "pip", "install", "-q", *(wheel for wheel, _ in built.values()), cwd=tmp_path)
    listed = json.loads(run(empty_environment.parent / "scout-core", "plugins", "--json", cwd=tmp_path))

    assert sorted(entries) == [plugin["name"] for plugin in listed]
    assert [] == [plugin for plugin in listed if plugin["state"] not in ("active", "waiting")]
