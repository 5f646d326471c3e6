"""How ``scout-core run`` starts the agent in every Python interpreter below it; each test starts an interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from scout_core import launch
from scout_core.cli.run import environment

FOLDER = str(Path(launch.__file__).parent)
IS_RECORDING = (
    "import sys; core = sys.modules.get('scout_core.recording.context'); "
    "print('recording' if core and core.tracer else 'not recording')"
)


@pytest.fixture
def python(tmp_path):
    """Return a function that runs code in an interpreter with the environment of ``scout-core run``."""

    def run(code, *, executable=sys.executable, options=(), path=(), without=(), shell=None, **variables):
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("SCOUT", "PYTHON", "XDG"))}
        inner = environment(
            {**clean, "PYTHONPATH": os.pathsep.join(map(str, path)), "HOME": str(tmp_path), **variables}
        )
        for key in without:
            del inner[key]
        command = [str(executable), *options, "-c", code]
        if shell is not None:
            command = ["sh", "-c", f'"$@" {shell}', "sh", *command]
        return subprocess.run(command, cwd=tmp_path, env=inner, capture_output=True, text=True, timeout=60)

    return run


@pytest.fixture
def customised(tmp_path):
    """Return a function that creates a folder with somebody else's ``sitecustomize``."""
    folder = tmp_path / "customised"
    folder.mkdir()

    def write(source):
        (folder / "sitecustomize.py").write_text(source)
        return folder

    return write


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Return an interpreter without scout-core."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True)
    return folder / "bin" / "python"


def test_the_agent_runs_before_the_program(python):
    done = python(IS_RECORDING)

    assert (0, "recording\n", "") == (done.returncode, done.stdout, done.stderr)


def test_the_folder_contains_nothing_that_could_hide_a_module_of_the_application():
    assert {"__init__.py", "sitecustomize.py"} == {
        path.name for path in Path(FOLDER).iterdir() if path.name != "__pycache__"
    }


def test_the_exit_code_and_the_output_are_those_of_the_program(python):
    done = python("import sys; print('out'); sys.stderr.write('err\\n'); sys.exit(7)")

    assert (7, "out\n", "err\n") == (done.returncode, done.stdout, done.stderr)


def test_a_sitecustomize_that_ours_hides_runs_first(python, customised):
    folder = customised("import sys\nprint('theirs', 'scout_core.agent' in sys.modules)\nvalue = 5\n")
    code = f"{IS_RECORDING}; import sitecustomize; print(sitecustomize.value, sitecustomize.__file__)"
    done = python(code, path=[folder])

    assert (0, "") == (done.returncode, done.stderr)
    assert ["theirs False", "recording", f"5 {folder}/sitecustomize.py"] == done.stdout.splitlines()


def test_a_sitecustomize_that_raises_is_reported_by_python_and_the_agent_runs(python, customised):
    done = python(IS_RECORDING, path=[customised("raise KeyError('theirs')")])

    assert (0, "recording\n") == (done.returncode, done.stdout)
    assert "KeyError: 'theirs'" in done.stderr
    assert "scout-core" not in done.stderr


def test_a_sitecustomize_may_be_a_package(python, tmp_path):
    package = tmp_path / "packaged" / "sitecustomize"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("print('theirs')")
    done = python(IS_RECORDING, path=[tmp_path / "packaged"])

    assert (["theirs", "recording"], "") == (done.stdout.splitlines(), done.stderr)


def test_the_folder_may_be_on_the_path_under_two_names(python, tmp_path, customised):
    (tmp_path / "link").symlink_to(FOLDER)
    done = python(IS_RECORDING, path=[tmp_path / "link", customised("print('theirs')")])

    assert (["theirs", "recording"], "") == (done.stdout.splitlines(), done.stderr)


def test_the_agent_does_not_run_without_the_marker_but_the_other_sitecustomize_does(python, customised):
    done = python(IS_RECORDING, path=[customised("print('theirs')")], without=["SCOUT_CORE_RUN"])

    assert (["theirs", "not recording"], "") == (done.stdout.splitlines(), done.stderr)


@pytest.mark.parametrize(
    "how", ["os.execv(sys.executable, [sys.executable, '-c', code])", "subprocess.run([sys.executable, '-c', code])"]
)
def test_the_agent_runs_in_interpreters_that_the_program_starts(python, how):
    done = python(f"import os, subprocess, sys; code = {IS_RECORDING!r}; {how}")

    assert (0, "recording\n", "") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("option", ["-I", "-S", "-E"])
def test_an_interpreter_that_ignores_its_environment_is_left_unchanged(python, option):
    done = python(IS_RECORDING, options=[option])

    assert (0, "not recording\n", "") == (done.returncode, done.stdout, done.stderr)


def test_an_environment_without_scout_core_is_left_unchanged(python, bare, customised):
    done = python(IS_RECORDING, executable=bare, path=[customised("print('theirs')")])

    assert (0, ["theirs", "not recording"], "") == (done.returncode, done.stdout.splitlines(), done.stderr)


def test_an_environment_that_lacks_a_dependency_is_reported_on_a_single_line(python, bare, tmp_path):
    (tmp_path / "half" / "scout_core").mkdir(parents=True)
    (tmp_path / "half" / "scout_core" / "__init__.py").write_text("import pluggy_is_missing")
    done = python(IS_RECORDING, executable=bare, path=[tmp_path / "half"])

    assert (0, "not recording\n") == (done.returncode, done.stdout)
    assert "scout-core: not recording: No module named 'pluggy_is_missing'\n" == done.stderr


def test_an_exception_from_start_is_printed_on_a_single_line_and_the_program_runs(python):
    done = python(IS_RECORDING, SCOUT_PLUGINS_REQUIRE="quartz")

    assert (0, "not recording\n") == (done.returncode, done.stdout)
    expected = (
        "scout-core: not recording: required plugins (environment SCOUT_PLUGINS_REQUIRE): quartz is not installed\n"
    )
    assert expected == done.stderr


def test_the_program_runs_with_stderr_closed(python):
    """A daemon may have closed it; Python ends when a sitecustomize raises there."""
    done = python("print('runs')", SCOUT_PLUGINS_REQUIRE="quartz", shell="2>&-")

    assert (0, "runs\n") == (done.returncode, done.stdout)


def test_nothing_is_changed_when_monitor_is_false(python, customised):
    code = f"{IS_RECORDING}; import threading; print(threading.active_count(), [f for f in sys.meta_path if 'scout' in repr(f)])"
    done = python(code, path=[customised("")], SCOUT_MONITOR="false")

    assert (["not recording", "1 []"], "") == (done.stdout.splitlines(), done.stderr)


def test_a_problem_with_the_configuration_is_reported_and_the_agent_runs(python):
    done = python(IS_RECORDING, SCOUT_REPORT_PERIOD="soon")

    assert (0, "recording\n") == (done.returncode, done.stdout)
    assert [True] == ["report_period" in line for line in done.stderr.splitlines()]


def test_a_plugin_in_the_folder_of_the_program_is_found(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "shop_policies.py").write_text(
        "from scout_core import hookimpl\n@hookimpl\ndef on_span(span): print('recorded', span.operation)\n"
    )
    (folder / "app.py").write_text(
        "from scout_core import span, transaction\nwith transaction('Job/a'), span('Work/b'): pass\n"
    )
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("SCOUT", "PYTHON", "XDG"))}
    done = subprocess.run(
        [sys.executable, str(folder / "app.py")],
        cwd=tmp_path,
        env=environment({**clean, "HOME": str(tmp_path), "SCOUT_PLUGINS": "shop_policies"}),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (0, "recorded Work/b\n", "") == (done.returncode, done.stdout, done.stderr)
