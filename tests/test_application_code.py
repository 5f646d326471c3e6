"""The application's own code: by the directories of the interpreter, the main module, and two options."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import scout_core
from scout_core import record_error, transaction
from scout_core.application_code import ApplicationCode, application_code
from scout_core.testing import recording

SITE = sysconfig.get_path("purelib")
STDLIB = sysconfig.get_path("stdlib")

PATHS = {
    "a project": ("/srv/shop/views.py", True),
    "relative": ("shop/views.py", True),
    "beside the standard library": (f"{STDLIB}-shop/views.py", True),
    "a template": ("/srv/shop/templates/home.html", True),
    "an archive": ("/srv/shop.pyz/shop/views.py", True),
    "this file": (__file__, True),
    "the standard library": (json.__file__, False),
    "its old place": (os.__file__, False),
    "installed": (f"{SITE}/flask/app.py", False),
    "pytest, the main module": (pytest.__file__, False),
    "installed elsewhere": ("/home/ann/.local/lib/python3.11/site-packages/shop/views.py", False),
    "installed by Debian": ("/usr/lib/python3/dist-packages/shop/views.py", False),
    "a command": (f"{sysconfig.get_path('scripts')}/gunicorn", False),
    "this agent": (scout_core.__file__, False),
    "frozen": ("<frozen importlib._bootstrap>", False),
    "compiled": ("<string>", False),
    "no name": ("", True),
}


@pytest.mark.parametrize(("file", "expected"), PATHS.values(), ids=PATHS)
def test_files_outside_the_interpreter_s_directories_are_the_application_s(monkeypatch, file, expected):
    # With pytest-xdist, it has none.
    monkeypatch.setattr(sys.modules["__main__"], "__file__", pytest.__file__, raising=False)

    assert expected is ApplicationCode().has(file)


@pytest.mark.parametrize(
    ("include", "exclude", "file", "expected"),
    [
        (("flask",), (), f"{SITE}/flask/app.py", True),
        (("flask",), (), f"{SITE}/flask/json/__init__.py", True),
        (("flask",), (), f"{SITE}/flask_login/views.py", False),
        (("flask.app",), (), f"{SITE}/flask/app.py", True),
        (("flask.app",), (), f"{SITE}/flask/views.py", False),
        ((f"{SITE}/flask",), (), f"{SITE}/flask/app.py", True),
        ((f"{SITE}/flask/",), (), f"{SITE}/flask/app.py", True),
        ((f"{SITE}/fla",), (), f"{SITE}/flask/app.py", False),
        ((), ("/srv/shop/vendored",), "/srv/shop/vendored/a.py", False),
        ((), ("/srv/shop/vendored",), "/srv/shop/vendored.py", True),
        (("flask",), ("flask.app",), f"{SITE}/flask/app.py", True),
        ((), (os.path.dirname(__file__),), __file__, False),
        (("venv/shop",), (), os.path.abspath("venv/shop/a.py"), True),
    ],
)  # fmt: skip
def test_options_name_modules_and_folders(include, exclude, file, expected):
    assert expected is ApplicationCode(include, exclude).has(file)


def test_options_decide_for_the_frames_of_errors():
    here = os.path.dirname(__file__)
    with recording(in_app_exclude=here) as scout:
        with transaction("Controller/home") as home:
            try:
                json.loads("{")
            except ValueError as error:
                record_error(error)
        scout.agent.recorder.work()

    (error,) = home.errors
    assert {False} == set(error.in_app)
    assert "raw_decode" == error.place[2]
    assert application_code((), (here,)) is application_code((), (here,))


def test_the_place_of_an_error_is_the_innermost_frame_of_the_application(scout):
    with transaction("Controller/home") as home:
        try:
            json.loads("{")
        except ValueError as error:
            record_error(error)

    (error,) = home.errors
    assert [True, *[False] * (len(error.frames) - 1)] == sorted(error.in_app, reverse=True)
    assert (__file__, "test_the_place_of_an_error_is_the_innermost_frame_of_the_application") == error.place[::2]


def test_files_without_end_are_not_remembered_without_end(monkeypatch):
    monkeypatch.setattr("scout_core.application_code._MOST_KNOWN", 10)
    code = ApplicationCode()
    for number in range(100):
        assert code.has(f"/srv/{number}.py")

    assert len(code._known) <= 10


MODULE = """
import json, sys
from scout_core.application_code import ApplicationCode
def main():
    code = ApplicationCode()
    print(json.dumps([code.has(file) for file in sys.argv[1:]]))
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed packages: a distribution ``shop`` with two packages, one of them in a namespace, and another one."""
    site = tmp_path / "site-packages"
    for name in ("shop", "acme/shop", "acme/other", "gunicorn"):
        (site / name).mkdir(parents=True)
        (site / name / "views.py").write_text("")
        (site / name / "__main__.py").write_text(f"{MODULE}\nmain()")
        (site / name / "command.py").write_text(MODULE)
    (site / "gunicorn" / "__init__.py").write_text("")  # so that it is found before an installed one
    for name, packages in {"shop": ("shop", "acme/shop"), "other": ("acme/other",), "gunicorn": ("gunicorn",)}.items():
        (site / f"{name}-1.dist-info").mkdir()
        files = [f"{package}/{file}.py" for package in packages for file in ("views", "__main__", "command")]
        record = "".join(f"{file},sha256=abc,1\n" for file in files)
        (site / f"{name}-1.dist-info" / "RECORD").write_text(record)
    (site / "broken-1.dist-info").mkdir()
    return site


def ask(site: Path, *command: str) -> dict[str, bool]:
    """Run a program, and return which packages are the application's in it."""
    packages = ("shop", "acme/shop", "acme/other", "gunicorn")
    files = [str(site / package / "views.py") for package in packages]
    env = {**os.environ, "PYTHONPATH": str(site)}
    ran = subprocess.run(
        [sys.executable, *command, *files], env=env, cwd=site.parent, capture_output=True, text=True, timeout=60
    )
    assert 0 == ran.returncode, ran.stderr
    return dict(zip(packages, json.loads(ran.stdout), strict=True))


def test_an_application_that_is_installed_is_known_by_its_main_module(site):
    """Its other packages are the application's, too; what others have installed into its namespace is not."""
    assert {"shop": True, "acme/shop": True, "acme/other": False, "gunicorn": False} == ask(site, "-m", "acme.shop")


def test_an_application_that_is_installed_is_known_by_its_command(site):
    command = site.parent / "bin" / "shop-web"
    command.parent.mkdir()
    command.write_text("import sys\nfrom shop.command import main\nif __name__ == '__main__':\n    sys.exit(main())\n")

    assert {"shop": True, "acme/shop": True, "acme/other": False, "gunicorn": False} == ask(site, str(command))


def test_a_script_that_uses_an_installed_function_is_not_that_package(site):
    script = site.parent / "bin" / "nightly.py"
    script.parent.mkdir()
    script.write_text("from shop.command import main\nmain()\n")

    assert {False} == set(ask(site, str(script)).values())


def test_a_server_is_not_the_application_that_it_runs(site):
    assert {False} == set(ask(site, "-m", "gunicorn").values())


def test_a_program_that_is_no_file_is_the_application():
    source = (
        "from scout_core.application_code import ApplicationCode; print([ApplicationCode().has(file) for file in"
        " ('<string>', '<frozen os>')])"
    )
    ran = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)

    assert ("[True, False]\n", "") == (ran.stdout, ran.stderr)
