"""Defaults, output and errors of ``plugins new``; ``test_template.py`` builds and runs the generated packages."""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement
from packaging.version import Version

from scout_core.agent import VERSION
from scout_core.cli import build
from scout_core.cli.new import KINDS as COMMAND_KINDS
from scout_core.scaffold import KINDS, make_plan, render
from scout_core.scaffold.plan import core_range

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

STANDALONE = {
    ".github/workflows/test.yml",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "changelog.d/+first.added.md",
    "pyproject.toml",
    "src/scout_mailqueue/__init__.py",
    "src/scout_mailqueue/py.typed",
    "tests/test_mailqueue.py",
}
MONOREPO = {
    "CHANGELOG.md",
    "README.md",
    "changelog.d/1.added.md",
    "pyproject.toml",
    "src/scout_mailqueue/__init__.py",
    "src/scout_mailqueue/py.typed",
    "tests/test_mailqueue.py",
}


@pytest.fixture
def new(tmp_path):
    """Return a function that runs the command in an empty folder, and returns output, stderr and exit_code."""

    def run(*arguments: str):
        return CliRunner().invoke(build(), ["plugins", "new", "--into", str(tmp_path), *arguments])

    return run


@pytest.fixture
def checkout(tmp_path):
    """Return the folder of plugins of a project that looks like this repository."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "scout-core"\n', encoding="utf-8")
    (tmp_path / "plugins").mkdir()
    return tmp_path / "plugins"


def files_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()
    }


def project_of(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_command_offers_all_kinds():
    assert tuple(KINDS) == COMMAND_KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_complete_package_without_unfilled_values(new, tmp_path, kind):
    done = new("mailqueue", "--kind", kind)
    files = files_of(tmp_path / "scout-mailqueue")

    assert (0, "") == (done.exit_code, done.stderr)
    assert set(files) == STANDALONE
    assert [] == [name for name, text in files.items() if re.search(r"@\w+@", text)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_plugin_in_this_repository_has_seven_files(checkout, kind):
    created = render(make_plan("mailqueue", kind), checkout)

    assert tuple(sorted(MONOREPO)) == created.files
    assert "nox -t mailqueue" in created.next
    assert {"build-system", "project", "tool"} == set(project_of(created.folder))


def test_a_folder_called_plugins_in_another_project_gets_standalone_plugins(tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"\n', encoding="utf-8")
    created = render(make_plan("mailqueue", "policy"), tmp_path / "plugins")

    assert tuple(sorted(STANDALONE)) == created.files


def test_the_output_lists_the_files_and_the_next_three_commands(new, tmp_path):
    done = new("mailqueue", "--kind", "policy")
    created, following = done.output.split("\nNext:\n")

    assert [str(tmp_path / "scout-mailqueue"), *sorted(STANDALONE)] == [line.strip() for line in created.splitlines()]
    assert 3 == len(following.splitlines())
    assert f"cd {tmp_path}/scout-mailqueue && python -m pip install -e . pytest" == following.splitlines()[0].strip()


def test_the_json_has_the_same_information(new, tmp_path):
    done = json.loads(new("mailqueue", "--kind", "policy", "--json").output)

    assert {"folder", "files", "next"} == set(done)
    assert (str(tmp_path / "scout-mailqueue"), sorted(STANDALONE), 3) == (
        done["folder"],
        done["files"],
        len(done["next"]),
    )


def test_the_project_file_declares_the_plugin_and_a_range_of_core_versions(new, tmp_path):
    new("scout-mail-queue", "--kind", "exporter")
    project = project_of(tmp_path / "scout-mail-queue")["project"]
    core, attrs = map(Requirement, project["dependencies"])

    assert "scout-mail-queue" == project["name"]
    assert {"mail-queue": "scout_mail_queue"} == project["entry-points"]["scout_core"]
    assert ("scout-core", {">=", "<"}) == (core.name, {clause.operator for clause in core.specifier})
    assert Version(VERSION) in core.specifier
    assert "attrs" == attrs.name
    assert "optional-dependencies" not in project


@pytest.mark.parametrize(
    "running, requirement",
    [
        ("0.1.0", "scout-core>=0.1,<0.2"),
        ("0.10.3", "scout-core>=0.10,<0.11"),
        ("1.4.2", "scout-core>=1.4,<2"),
        ("2.0.0rc1", "scout-core>=2.0.0rc1,<3"),
    ],
)
def test_the_range_of_core_versions_starts_at_the_running_version(running, requirement):
    assert requirement == core_range(running)
    assert Requirement(requirement).specifier.contains(running, prereleases=True)


def test_the_library_of_a_target_is_found_with_its_installed_version(new, tmp_path):
    done = new("clicks", "--target", "click:Command.invoke")
    facts = project_of(tmp_path / "scout-clicks")
    (line,) = facts["project"]["optional-dependencies"]["instruments"]
    library = Requirement(line)

    assert 0 == done.exit_code, done.output
    assert "click" == library.name
    assert {">=", "<"} == {clause.operator for clause in library.specifier}
    assert version("click") in library.specifier
    assert 'wrap("click:Command.invoke", call)' in files_of(tmp_path / "scout-clicks")["src/scout_clicks/__init__.py"]


def test_a_half_removed_distribution_is_ignored(tmp_path, monkeypatch):
    (tmp_path / "mailqueue-2.1.dist-info").mkdir()
    (tmp_path / "mailqueue-2.1.dist-info" / "RECORD").write_text(
        "mailqueue.py,,\nclick/__init__.py,,\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    assert "click" == make_plan("clicks", "library", target="click:echo").library
    with pytest.raises(
        ValueError, match="mailqueue is not installed; install it, or give its oldest supported version"
    ):
        make_plan("mails", "library", target="mailqueue:send", library="mailqueue")


def test_a_library_that_is_not_installed_is_given_with_its_oldest_version(checkout):
    plan = make_plan("mailqueue", "library", target="mail_queue:Client.send", library="mail-queue", oldest="2.1")
    facts = project_of(render(plan, checkout).folder)

    assert ["mail-queue>=2.1,<3"] == facts["project"]["optional-dependencies"]["instruments"]
    assert {"oldest": ["mail-queue==2.1"]} == facts["tool"]["scout-test"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["Mail Queue"], "invalid plugin name 'Mail Queue'; expected lower-case letters, digits and single hyphens"),
        (["Mail_Queue"], "try 'mail-queue'"),
        (["9lives"], "invalid plugin name '9lives'"),
        (["mail--queue"], "try 'mail-queue'"),
        (["mailqueue-"], "try 'mailqueue'"),
        (["../mailqueue"], "invalid plugin name '../mailqueue'"),
        ([""], "invalid plugin name ''"),
        (["briefträger"], "invalid plugin name 'briefträger'"),
        (["core"], "the name 'core' is taken"),
        (["scout-core"], "the name 'core' is taken"),
        (["speed"], "the name 'speed' is taken"),
        (
            ["mailqueue", "--kind", "instrument"],
            "'instrument' is not one of 'library', 'framework', 'policy', 'exporter'",
        ),
        (
            ["mailqueue", "--kind", "policy", "--target", "json:dumps"],
            "--target: not supported for a plugin of kind 'policy'",
        ),
        (
            ["mailqueue", "--kind", "exporter", "--library", "mailqueue"],
            "--library: not supported for a plugin of kind 'exporter'",
        ),
        (["mailqueue", "--target", "json.dumps"], "expected 'module:Class.method' or 'module:function'"),
        (["mailqueue", "--target", 'json:dumps")'], "expected 'module:Class.method' or 'module:function'"),
        (["mailqueue", "--target", "json:dumps", "--oldest", "2"], "not supported for 'json', which is part of Python"),
        (
            ["mailqueue", "--target", "no_such_module:send"],
            "no installed distribution contains the module 'no_such_module'",
        ),
        (
            ["mailqueue", "--library", "mailqueue"],
            "--target is missing: the function to wrap, such as mailqueue.client:Client.send",
        ),
        (
            ["mailqueue", "--target", "mailqueue:send", "--library", "mail queue"],
            "'mail queue' is not the name of a distribution",
        ),
        (
            ["mailqueue", "--target", "mailqueue:send", "--library", "mailqueue"],
            "mailqueue is not installed; install it, or give its oldest supported version",
        ),
        (["mailqueue", "--target", "click:echo", "--oldest", "new"], "--oldest: invalid version 'new'"),
        (["mailqueue", "--target", "click:echo", "--oldest", "999"], "999 is newer than the installed click"),
        (["mailqueue", "--into", "no/such/folder"], "Directory 'no/such/folder' does not exist"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_invalid_arguments_are_reported_in_a_single_line_and_nothing_is_created(new, tmp_path, arguments, message):
    done = new(*arguments)
    last = done.stderr.splitlines()[-1]

    assert (2, "") == (done.exit_code, done.stdout)
    assert last.startswith("Error: ")
    assert message in last
    assert [] == list(tmp_path.iterdir())


def test_an_existing_folder_is_left_alone(new, tmp_path):
    (tmp_path / "scout-mailqueue").mkdir()
    (tmp_path / "scout-mailqueue" / "mine.txt").write_text("mine", encoding="utf-8")
    done = new("mailqueue")

    assert (1, "") == (done.exit_code, done.stdout)
    assert f"scout-core: {tmp_path}/scout-mailqueue already exists; move it, or choose another name\n" == done.stderr
    assert {"mine.txt": "mine"} == files_of(tmp_path / "scout-mailqueue")


def test_an_unwritable_folder_is_reported_in_a_single_line(new):
    if not Path("/proc/self").exists():
        pytest.skip("not without /proc, whose folders not even root can write")
    done = new("mailqueue", "--into", "/proc/self")

    assert (1, "") == (done.exit_code, done.stdout)
    assert re.fullmatch(r"scout-core: cannot create /proc/self/scout-mailqueue: .+\n", done.stderr)


def test_a_name_too_long_for_a_file_leaves_nothing_behind(new, tmp_path):
    """The folder can be created, but a file in it has a longer name and cannot."""
    done = new("a" * 249, "--kind", "policy")

    assert (1, "") == (done.exit_code, done.stdout)
    assert done.stderr.startswith("scout-core: cannot write ")
    assert [] == list(tmp_path.iterdir())
