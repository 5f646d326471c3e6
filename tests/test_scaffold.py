"""``plugins new``: what it decides, what it says, and what it refuses. What comes out is built and run in ``test_template.py``."""

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

ALONE = {
    ".github/workflows/test.yml",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "changelog.d/+first.feature.md",
    "pyproject.toml",
    "src/scout_mailqueue/__init__.py",
    "src/scout_mailqueue/py.typed",
    "tests/test_mailqueue.py",
}
OURS = {
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
    """The command as a user gives it, in an empty folder; the result has output, stderr and exit_code."""

    def run(*arguments: str):
        return CliRunner().invoke(build(), ["plugins", "new", "--into", str(tmp_path), *arguments])

    return run


@pytest.fixture
def checkout(tmp_path):
    """What looks like this repository; gives its folder of plugins."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "scout-core"\n', encoding="utf-8")
    (tmp_path / "plugins").mkdir()
    return tmp_path / "plugins"


def files_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()
    }


def project_of(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_command_knows_the_kinds_that_there_are():
    assert tuple(KINDS) == COMMAND_KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_a_whole_package_and_no_value_is_left_open(new, tmp_path, kind):
    done = new("mailqueue", "--kind", kind)
    files = files_of(tmp_path / "scout-mailqueue")

    assert (0, "") == (done.exit_code, done.stderr)
    assert set(files) == ALONE
    assert [] == [name for name, text in files.items() if re.search(r"@\w+@", text)]


@pytest.mark.parametrize("kind", KINDS)
def test_among_our_own_plugins_it_has_their_seven_files(checkout, kind):
    made = render(make_plan("mailqueue", kind), checkout)

    assert tuple(sorted(OURS)) == made.files
    assert "nox -t mailqueue" in made.next
    assert {"build-system", "project", "tool"} == set(project_of(made.folder))


def test_a_folder_called_plugins_elsewhere_is_not_ours(tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"\n', encoding="utf-8")
    made = render(make_plan("mailqueue", "policy"), tmp_path / "plugins")

    assert tuple(sorted(ALONE)) == made.files


def test_it_says_what_it_made_and_three_commands_that_come_next(new, tmp_path):
    done = new("mailqueue", "--kind", "policy")
    made, following = done.output.split("\nNext:\n")

    assert [str(tmp_path / "scout-mailqueue"), *sorted(ALONE)] == [line.strip() for line in made.splitlines()]
    assert 3 == len(following.splitlines())
    assert f"cd {tmp_path}/scout-mailqueue && python -m pip install -e . pytest" == following.splitlines()[0].strip()


def test_as_json_it_says_the_same(new, tmp_path):
    done = json.loads(new("mailqueue", "--kind", "policy", "--json").output)

    assert {"folder", "files", "next"} == set(done)
    assert (str(tmp_path / "scout-mailqueue"), sorted(ALONE), 3) == (done["folder"], done["files"], len(done["next"]))


def test_the_project_file_names_the_plugin_and_a_range_on_the_core(new, tmp_path):
    new("scout-mail-queue", "--kind", "exporter")
    project = project_of(tmp_path / "scout-mail-queue")["project"]
    core, attrs = map(Requirement, project["dependencies"])

    assert "scout-mail-queue" == project["name"]
    assert {"mail-queue": "scout_mail_queue"} == project["entry-points"]["scout_core"]
    assert ("scout-core", {">=", "<"}) == (core.name, {one.operator for one in core.specifier})
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
def test_the_range_on_the_core_begins_with_the_running_one(running, requirement):
    assert requirement == core_range(running)
    assert Requirement(requirement).specifier.contains(running, prereleases=True)


def test_the_library_of_a_target_is_found_with_the_version_that_is_here(new, tmp_path):
    done = new("clicks", "--target", "click:Command.invoke")
    facts = project_of(tmp_path / "scout-clicks")
    (line,) = facts["project"]["optional-dependencies"]["instruments"]
    library = Requirement(line)

    assert 0 == done.exit_code, done.output
    assert "click" == library.name
    assert {">=", "<"} == {one.operator for one in library.specifier}
    assert version("click") in library.specifier
    assert 'wrap("click:Command.invoke", call)' in files_of(tmp_path / "scout-clicks")["src/scout_clicks/__init__.py"]


def test_what_is_half_removed_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "mailqueue-2.1.dist-info").mkdir()
    (tmp_path / "mailqueue-2.1.dist-info" / "RECORD").write_text(
        "mailqueue.py,,\nclick/__init__.py,,\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    assert "click" == make_plan("clicks", "library", target="click:echo").library
    with pytest.raises(ValueError, match="mailqueue is not installed here"):
        make_plan("mails", "library", target="mailqueue:send", library="mailqueue")


def test_a_library_that_is_not_here_is_named_with_its_oldest_version(checkout):
    plan = make_plan("mailqueue", "library", target="mail_queue:Client.send", library="mail-queue", oldest="2.1")
    facts = project_of(render(plan, checkout).folder)

    assert ["mail-queue>=2.1,<3"] == facts["project"]["optional-dependencies"]["instruments"]
    assert {"oldest": ["mail-queue==2.1"]} == facts["tool"]["scout-test"]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["Mail Queue"], "'Mail Queue' is no name for a plugin"),
        (["Mail_Queue"], "write 'mail-queue'"),
        (["9lives"], "'9lives' is no name for a plugin"),
        (["mail--queue"], "write 'mail-queue'"),
        (["mailqueue-"], "write 'mailqueue'"),
        (["../mailqueue"], "is no name for a plugin"),
        ([""], "'' is no name for a plugin"),
        (["briefträger"], "is no name for a plugin"),
        (["core"], "'core' is taken"),
        (["scout-core"], "'core' is taken"),
        (["speed"], "'speed' is taken"),
        (
            ["mailqueue", "--kind", "instrument"],
            "'instrument' is not one of 'library', 'framework', 'policy', 'exporter'",
        ),
        (["mailqueue", "--kind", "policy", "--target", "json:dumps"], "a plugin of the kind policy wraps no library"),
        (
            ["mailqueue", "--kind", "exporter", "--library", "mailqueue"],
            "a plugin of the kind exporter wraps no library",
        ),
        (["mailqueue", "--target", "json.dumps"], "expected 'module:Class.method' or 'module:function'"),
        (["mailqueue", "--target", 'json:dumps")'], "expected 'module:Class.method' or 'module:function'"),
        (["mailqueue", "--target", "json:dumps", "--oldest", "2"], "'json' comes with Python"),
        (["mailqueue", "--target", "no_such_module:send"], "has the module 'no_such_module'"),
        (["mailqueue", "--library", "mailqueue"], "--target, such as mailqueue.client:Client.send"),
        (["mailqueue", "--target", "mailqueue:send", "--library", "mail queue"], "is no name of a distribution"),
        (["mailqueue", "--target", "mailqueue:send", "--library", "mailqueue"], "mailqueue is not installed here"),
        (["mailqueue", "--target", "click:echo", "--oldest", "new"], "'new' is no version"),
        (["mailqueue", "--target", "click:echo", "--oldest", "999"], "999 is newer than the click"),
        (["mailqueue", "--into", "no/such/folder"], "Directory 'no/such/folder' does not exist"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_one_line_about_it_and_nothing_is_made(new, tmp_path, arguments, said):
    done = new(*arguments)
    last = done.stderr.splitlines()[-1]

    assert (2, "") == (done.exit_code, done.stdout)
    assert last.startswith("Error: ")
    assert said in last
    assert [] == list(tmp_path.iterdir())


def test_what_is_there_already_is_left_alone(new, tmp_path):
    (tmp_path / "scout-mailqueue").mkdir()
    (tmp_path / "scout-mailqueue" / "mine.txt").write_text("mine", encoding="utf-8")
    done = new("mailqueue")

    assert (1, "") == (done.exit_code, done.stdout)
    assert (
        f"scout-core: {tmp_path}/scout-mailqueue exists already; move it away, or choose another name\n" == done.stderr
    )
    assert {"mine.txt": "mine"} == files_of(tmp_path / "scout-mailqueue")


def test_a_folder_that_cannot_be_written_is_one_line(new):
    if not Path("/proc/self").exists():
        pytest.skip("not on a system without /proc: there nothing is unwritable for everybody")
    done = new("mailqueue", "--into", "/proc/self")

    assert (1, "") == (done.exit_code, done.stdout)
    assert re.fullmatch(r"scout-core: cannot make /proc/self/scout-mailqueue: .+\n", done.stderr)


def test_a_name_that_no_file_can_have_leaves_nothing_behind(new, tmp_path):
    """The folder can be made, the longer name of a file in it cannot."""
    done = new("a" * 249, "--kind", "policy")

    assert (1, "") == (done.exit_code, done.stdout)
    assert done.stderr.startswith("scout-core: cannot write ")
    assert [] == list(tmp_path.iterdir())
