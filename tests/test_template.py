"""Plugins generated from the template: built, installed, tested, checked, and listed by the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from scout_core.scaffold import KINDS, make_plan, render

ROOT = Path(__file__).resolve().parent.parent
GENERATED = {
    **{f"my-{kind}": ["--kind", kind] for kind in KINDS},
    "clicks": ["--target", "click.core:Command.invoke"],
    "click-jobs": ["--kind", "framework", "--target", "click.core:Group.invoke", "--library", "click"],
    "digests": ["--target", "hashlib:pbkdf2_hmac"],
}
"""Name of a plugin to the options that create it: every kind, and other targets than the default."""

SEPARATE = "my-exporter"
"""Installed separately: it would receive the reports of the agents in the tests of other plugins, too."""


def run(*command: object, cwd: Path, path: str = "") -> str:
    """Run a command that must succeed, away from this checkout and environment; return its standard output."""
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("SCOUT_", "PYTEST_", "PYTHON", "MYPY"))
    }
    environment = {**kept, "XDG_STATE_HOME": str(cwd / ".state"), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": path}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def build(project: Path, out: Path, target: str = "wheel") -> Path:
    run(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", out, cwd=project)
    return next(out.glob("*.whl" if target == "wheel" else "*.tar.gz"))


@pytest.fixture(scope="module")
def author(tmp_path_factory):
    """Return the folder of programs of an environment with scout-core and pytest."""
    folder = tmp_path_factory.mktemp("author")
    venv.create(folder / "venv", with_pip=True)
    core = build(ROOT, folder / "core")
    pip = [folder / "venv/bin/python", "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    run(*pip, core, "pytest>=8.2", cwd=folder)
    return folder / "venv" / "bin"


@pytest.fixture(scope="module")
def packages(author, tmp_path_factory):
    """Create and install all plugins with the installed command; return name to folder."""
    folder = tmp_path_factory.mktemp("packages")
    for name, options in GENERATED.items():
        run(author / "scout-core", "plugins", "new", name, *options, cwd=folder)
    wheels = {name: build(folder / f"scout-{name}", folder / "dist" / name) for name in GENERATED}
    pip = [author / "python", "-m", "pip", "install", "-q", "--no-index"]
    run(*pip, "--no-deps", "--target", folder / "separate", wheels.pop(SEPARATE), cwd=folder)
    run(*pip, *wheels.values(), cwd=folder)
    return {name: folder / f"scout-{name}" for name in GENERATED}


@pytest.fixture
def separate(packages):
    """Directory of the exporter, for ``PYTHONPATH``."""
    return str(packages[SEPARATE].parent / "separate")


@pytest.mark.parametrize("name", GENERATED)
def test_an_installed_plugin_passes_its_tests(author, packages, separate, name):
    path = separate if name == SEPARATE else ""
    output = run(author / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=packages[name], path=path)

    assert " passed" in output
    assert [] == [line for line in output.splitlines() if line.startswith("SKIPPED") and "not with" not in line]


def test_the_command_shows_every_plugin_as_active(author, packages, separate, tmp_path):
    output = run(author / "scout-core", "plugins", "--json", cwd=tmp_path, path=separate)
    listed = {plugin["name"]: plugin for plugin in json.loads(output)}

    assert dict.fromkeys(GENERATED, "active") == {
        name: listed[name]["state"].replace("waiting", "active") for name in GENERATED
    }
    assert {f"scout-{name}" for name in GENERATED} == {listed[name]["distribution"] for name in GENERATED}


def test_an_exporter_writes_the_reports_of_an_application(author, separate, tmp_path):
    """Installing it is enough."""
    app = "import scout_core\nscout_core.start(name='Shop')\nwith scout_core.transaction('Job/a'): pass\nscout_core.stop(10)\n"
    run(author / "python", "-W", "error", "-c", app, cwd=tmp_path, path=separate)
    (line,) = (tmp_path / "reports.jsonl").read_text(encoding="utf-8").splitlines()

    assert ["Job/a"] == [figures["name"] for figures in json.loads(line)["transactions"]]


@pytest.mark.parametrize(
    "rules", [["--config", str(ROOT / "pyproject.toml")], []], ids=["rules of this repository", "generated rules"]
)
@pytest.mark.parametrize("arguments", [["check"], ["format", "--check"]], ids=" ".join)
def test_the_code_passes_ruff(packages, arguments, rules):
    folders = packages.values()

    assert folders
    for folder in folders:
        run(sys.executable, "-m", "ruff", *arguments, "--no-cache", *rules, ".", cwd=folder)


def test_the_code_passes_mypy(packages, tmp_path):
    sources = [folder / "src" / folder.name.replace("-", "_") for folder in packages.values()]

    output = run(sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", *sources, cwd=tmp_path)

    assert "no issues found" in output


def test_a_wheel_contains_the_package_and_a_source_archive_also_the_tests(packages, tmp_path):
    folder = packages["my-library"]
    with zipfile.ZipFile(build(folder, tmp_path / "wheel")) as wheel:
        code = {name for name in wheel.namelist() if ".dist-info/" not in name}
        licences = [name for name in wheel.namelist() if name.endswith("LICENSE")]
    with tarfile.open(build(folder, tmp_path / "sdist", "sdist")) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}

    assert {"scout_my_library/__init__.py", "scout_my_library/py.typed"} == code
    assert 1 == len(licences)
    assert {
        "tests/test_my_library.py",
        "CHANGELOG.md",
        "README.md",
        "LICENSE",
        "src/scout_my_library/py.typed",
    } <= sources


@pytest.mark.parametrize(("name", "options"), [("mailqueue", {"kind": kind}) for kind in KINDS])
def test_a_plugin_in_this_repository_passes_ruff(tmp_path, name, options):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8"), encoding="utf-8")
    render(make_plan(name, **options), tmp_path / "plugins")

    for arguments in (["check"], ["format", "--check"]):
        run(sys.executable, "-m", "ruff", *arguments, "--no-cache", ".", cwd=tmp_path)


def test_the_script_of_the_template_runs_the_command():
    output = run(sys.executable, ROOT / "template" / "render.py", "--help", cwd=ROOT)

    assert "Create a package for a plugin" in output


def test_the_installed_template_is_the_same_as_in_the_checkout(author):
    layers = ROOT / "template" / "layers"
    code = "from pathlib import Path; import scout_core.scaffold as s; print(Path(s.__file__).parent / 'template')"
    installed = Path(run(author / "python", "-c", code, cwd=author).strip())

    assert "site-packages" in installed.parts
    assert {str(path.relative_to(layers)): path.read_bytes() for path in layers.rglob("*.in")} == {
        str(path.relative_to(installed)): path.read_bytes() for path in installed.rglob("*") if path.is_file()
    }
