"""Finding plugins by the metadata of what is installed, without importing anything."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scout_core.boundary.discovery import find_plugins
from scout_core.boundary.metadata import Found

unhurried = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)  # the machine may be busy

METADATA = """Metadata-Version: 2.1
Name: {name}
Version: {version}
Summary: A plugin
{more}
The text below has Requires-Dist: evil
Requires-Dist: nothing
"""


def install(
    folder: Path,
    name="scout-redis",
    version="1.0",
    *,
    requires=(),
    entries="redis = scout_redis",
    kind="dist-info",
    metadata=METADATA,
    suffix="",
):
    """Create a metadata folder, as an installer does."""
    made = folder / f"{name.replace('-', '_')}-{version}{suffix}.{kind}"
    made.mkdir(parents=True)
    more = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    if metadata is not None:
        facts = made / ("METADATA" if kind == "dist-info" else "PKG-INFO")
        facts.write_text(metadata.format(name=name, version=version, more=more), encoding="utf-8")
    if entries is not None:
        (made / "entry_points.txt").write_text(
            f"[console_scripts]\nx = y:z\n\n[scout_core]\n{entries}\n", encoding="utf-8"
        )
    return made


def names(environment):
    return [(found.name, found.module, found.distribution) for found in environment.plugins]


def test_the_facts_about_a_plugin(tmp_path):
    made = install(
        tmp_path,
        version="1.2.3",
        requires=[
            "scout-core <1,>=0.1",
            'redis<8,>=4.5; extra == "instruments"',
            "attrs",
            'pytest; extra == "dev"',
        ],
    )

    environment = find_plugins([str(tmp_path)])

    assert (
        Found(
            name="redis",
            module="scout_redis",
            distribution="scout-redis",
            version="1.2.3",
            instruments=("redis<8,>=4.5",),
            core=("scout-core <1,>=0.1",),
            where=str(made),
        ),
    ) == environment.plugins
    assert {"scout-redis": "1.2.3"} == environment.installed
    assert () == environment.problems


def test_nothing_is_imported(tmp_path):
    install(tmp_path, entries="redis = scout_redis_that_does_not_exist")
    code = (
        "import sys; from scout_core.boundary.discovery import find_plugins; "
        f"assert len(find_plugins([{str(tmp_path)!r}]).plugins) == 1; "
        "print(sorted({'importlib.metadata', 'email', 'zipfile', 'json', 'pkg_resources', 'packaging'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout


def test_all_installed_distributions_are_listed(tmp_path):
    install(tmp_path, "Flask", "3.0.3", entries=None)
    install(tmp_path, "zope.interface", "5.4.0", entries=None)
    install(tmp_path, "typing_extensions", "4.12.2", entries=None, metadata=None)

    environment = find_plugins([str(tmp_path)])

    assert {"flask": "3.0.3", "zope-interface": "5.4.0", "typing-extensions": "4.12.2"} == environment.installed
    assert ((), ()) == (environment.plugins, environment.problems)


def test_the_version_of_an_egg_info_excludes_that_of_python(tmp_path):
    install(tmp_path, version="1.5", kind="egg-info", suffix="-py3.11")
    (tmp_path / "old_style-2.0.egg-info").write_text("Metadata-Version: 1.0")  # distutils made a file of it
    (tmp_path / "linked.egg-info").mkdir()

    environment = find_plugins([str(tmp_path)])

    assert [("redis", "scout_redis", "scout-redis")] == names(environment)
    assert {"scout-redis": "1.5", "old-style": "2.0", "linked": ""} == environment.installed
    assert () == environment.problems


def test_the_first_of_two_installations_counts(tmp_path):
    install(tmp_path / "first", version="2.0", entries="redis = first")
    install(tmp_path / "second", "Scout.Redis", version="1.0", entries="redis = second")

    environment = find_plugins([str(tmp_path / "first"), str(tmp_path / "second")])
    reverse = find_plugins([str(tmp_path / "second"), str(tmp_path / "first"), str(tmp_path / "second")])

    assert [("redis", "first", "scout-redis")] == names(environment)
    assert {"scout-redis": "2.0"} == environment.installed
    assert [("redis", "second", "Scout.Redis")] == names(reverse)


def test_two_plugins_of_the_same_name_are_both_found_in_order_of_their_distribution(tmp_path):
    install(tmp_path, "zeta", entries="redis = zeta_redis")
    install(tmp_path, "alpha", entries="redis = alpha_redis")

    expected = [("redis", "alpha_redis", "alpha"), ("redis", "zeta_redis", "zeta")]
    assert expected == names(find_plugins([str(tmp_path)]))


def test_plugins_come_in_the_order_of_their_names(tmp_path):
    install(tmp_path, "a", entries="zebra = a.zebra\nmango = a.mango")
    install(tmp_path, "b", entries="apple = b.apple")

    assert ["apple", "mango", "zebra"] == [found.name for found in find_plugins([str(tmp_path)]).plugins]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ("redis = scout_redis", [("redis", "scout_redis")]),
        ("redis=scout_redis", [("redis", "scout_redis")]),
        ("  redis   =   scout.redis  ", [("redis", "scout.redis")]),
        ("redis = scout_redis [fast, safe]", [("redis", "scout_redis")]),
        ("# a comment\n; another\n\nredis = scout_redis\n\n", [("redis", "scout_redis")]),
        ("redis = scout_redis\r\nother = scout_other\r\n", [("other", "scout_other"), ("redis", "scout_redis")]),
        ("my plugin = scout_mine", [("my plugin", "scout_mine")]),
        ("café = scout_cafe", [("café", "scout_cafe")]),
        ("redis = scout_redis\n[other_group]\nflask = scout_flask", [("redis", "scout_redis")]),
        ("[other]\nx = y\n[scout_core]\nredis = scout_redis", [("redis", "scout_redis")]),
        ("", []),
    ],
)
def test_ways_to_write_an_entry_point(tmp_path, entries, expected):
    install(tmp_path, entries=entries)

    environment = find_plugins([str(tmp_path)])

    assert expected == [(found.name, found.module) for found in environment.plugins]
    assert () == environment.problems


@pytest.mark.parametrize("line", ["redis", "= scout_redis", "redis =", "redis: scout_redis"])
def test_an_invalid_entry_point_is_a_plugin_with_a_problem_and_those_before_it_count(tmp_path, line):
    made = install(tmp_path, entries=f"first = scout_first\n{line}\nlast = scout_last")

    environment = find_plugins([str(tmp_path)])

    assert [
        ("first", ""),
        (
            "scout-redis",
            f"cannot read the metadata in {made}: invalid entry point {line!r}; expected 'name = module'",
        ),
    ] == [(found.name, str(found.problem or "")) for found in environment.plugins]
    assert () == environment.problems


def test_a_group_whose_name_only_starts_with_ours_is_ignored(tmp_path):
    made = install(tmp_path, entries=None)
    (made / "entry_points.txt").write_text("[scout_core.more]\nredis = scout_redis\n")

    assert () == find_plugins([str(tmp_path)]).plugins


def test_a_byte_order_mark_is_ignored(tmp_path):
    made = install(tmp_path, entries=None)
    (made / "entry_points.txt").write_bytes(b"\xef\xbb\xbf[scout_core]\nredis = scout_redis\n")

    assert ["redis"] == [found.name for found in find_plugins([str(tmp_path)]).plugins]


@pytest.mark.parametrize(
    ("break_it", "problem"),
    [
        (lambda made: (made / "METADATA").unlink(), "METADATA is missing or empty"),
        (lambda made: (made / "METADATA").write_text(""), "METADATA is missing or empty"),
        (lambda made: (made / "METADATA").write_bytes(b"Name: caf\xe9\n"), "can't decode byte"),
        (lambda made: (made / "entry_points.txt").write_bytes(b"[scout_core]\ncaf\xe9 = x\n"), "can't decode byte"),
        (lambda made: ((made / "METADATA").unlink(), (made / "METADATA").mkdir()), "Is a directory"),
    ],
    ids=["missing", "empty", "encoding", "encoding of the entries", "folder"],
)
def test_a_plugin_with_unreadable_metadata_has_a_problem_and_the_others_are_found(tmp_path, break_it, problem):
    install(tmp_path, "scout-flask", entries="flask = scout_flask")
    made = install(tmp_path)
    break_it(made)

    flask, redis = find_plugins([str(tmp_path)]).plugins

    assert ("flask", None) == (flask.name, flask.problem)
    assert redis.problem.detail.startswith(f"cannot read the metadata in {made}: ")
    assert problem in redis.problem.detail
    assert ("broken-metadata", "scout-redis") == (redis.problem.kind, redis.problem.subject)
    assert "1.0" == redis.version


def test_unreadable_entry_points_are_a_problem(tmp_path):
    made = install(tmp_path, entries=None)
    (made / "entry_points.txt").mkdir()

    environment = find_plugins([str(tmp_path)])

    assert () == environment.plugins
    (problem,) = environment.problems
    assert problem.detail.startswith(f"cannot read the metadata in {made}: [Errno 21] Is a directory")


def test_metadata_without_our_entry_points_is_not_read(tmp_path):
    made = install(tmp_path, entries=None)
    (made / "METADATA").write_bytes(b"\xff\xff")
    other = install(tmp_path, "other", entries=None)
    (other / "METADATA").unlink()

    assert () == find_plugins([str(tmp_path)]).problems


def test_the_folder_has_the_version_missing_from_the_metadata(tmp_path):
    install(tmp_path, metadata="Metadata-Version: 2.1\nName: scout-redis\n")

    (found,) = find_plugins([str(tmp_path)]).plugins

    assert ("scout-redis", "1.0", None) == (found.distribution, found.version, found.problem)


@pytest.mark.parametrize("content", ["Metadata-Version: 2.1\n", "\0" * 4096, "no field at all"])
def test_metadata_without_a_name_is_broken(tmp_path, content):
    install(tmp_path, metadata=content)

    (found,) = find_plugins([str(tmp_path)]).plugins

    assert ("redis", "scout-redis", "1.0") == (found.name, found.distribution, found.version)
    assert found.problem.detail.endswith("METADATA has no Name")


@pytest.mark.parametrize(
    ("value", "instead"),
    [
        ("scout_redis:plugin", "scout_redis"),
        ("scout_redis.redis:Plugin.it", "scout_redis.redis"),
        ("..", "package.module"),
        (".redis", "package.module"),
        ("scout-redis", "package.module"),
        ("scout redis:it", "package.module"),
    ],
)
def test_an_entry_point_that_is_not_a_module_is_a_problem(tmp_path, value, instead):
    install(tmp_path, entries=f"redis = {value}")

    (found,) = find_plugins([str(tmp_path)]).plugins

    assert f"its entry point {value!r} is not a module; write: redis = {instead}" == str(found.problem)


def test_only_the_fields_of_the_metadata_count(tmp_path):
    metadata = (
        "Name: first\nName: second\nVersion: 1.0\n"
        "Summary: a line\x0b\x0c\x1c\x85\u2028separator of other kinds\x0c\x0c\n"
        "Description: many\n        lines\n        Requires-Dist: scout-core>=77\n"
        "REQUIRES-DIST: scout-core>=0.1\n"
        "no colon here\n\nRequires-Dist: scout-core>=99\n"
    )
    install(tmp_path, metadata=metadata)

    (found,) = find_plugins([str(tmp_path)]).plugins

    assert ("first", ("scout-core>=0.1",)) == (found.distribution, found.core)


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        ('redis>=4; extra == "instruments"', ("redis>=4",)),
        ("redis>=4; extra == 'instruments'", ("redis>=4",)),
        ("redis>=4 ; extra=='instruments'", ("redis>=4",)),
        (
            'redis>=4; python_version < "3.13" and extra == "instruments"',
            ('redis>=4; python_version < "3.13" and extra == "instruments"',),
        ),
        ('redis>=4; extra == "instruments-dev"', ()),
        ('redis>=4; extra == "dev"', ()),
        ("redis>=4", ()),
    ],
)
def test_requirements_of_the_extra_instruments(tmp_path, requirement, expected):
    install(tmp_path, requires=[requirement])

    assert expected == find_plugins([str(tmp_path)]).plugins[0].instruments


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        ("scout-core>=0.1,<0.2", True),
        ("scout_core (>=0.1)", True),
        ("Scout.Core", True),
        ('scout-core>=0.1; python_version >= "3.8"', True),
        ("scout-core-extras>=3", False),
        ("scout-corex>=3", False),
        ('scout-core>=9; extra == "dev"', False),
        ("my-scout-core>=9", False),
    ],
)
def test_requirements_on_the_core(tmp_path, requirement, expected):
    install(tmp_path, requires=[requirement])

    assert ((requirement,) if expected else ()) == find_plugins([str(tmp_path)]).plugins[0].core


def test_entries_that_imports_ignore_are_ignored(tmp_path, monkeypatch):
    install(tmp_path)
    for kind in ("current", "bytes", "path"):
        install(tmp_path / kind, kind, entries=f"{kind} = {kind}")
    monkeypatch.chdir(tmp_path / "current")
    (tmp_path / "plain").write_text("")
    os.mkfifo(tmp_path / "pipe")
    path = [str(tmp_path / name) for name in ("nowhere", "nowhere.zip", "plain", "plain/inside", "pipe")]
    # Python ignores entries that are not strings; sys.path may contain anything.
    path += ["a\0b", None, 5, os.fsencode(tmp_path / "bytes"), tmp_path / "path", str(tmp_path)]

    assert ["redis"] == [found.name for found in find_plugins(path).plugins]


@pytest.mark.skipif(os.geteuid() == 0, reason="not on a root account: it may read everything")
def test_an_unreadable_folder_is_ignored(tmp_path):
    closed = tmp_path / "closed"
    install(closed)
    closed.chmod(0)
    try:
        assert () == find_plugins([str(closed)]).plugins
    finally:
        closed.chmod(0o700)


@pytest.mark.parametrize("entry", ["", ".", "site/..", "./"])
def test_a_relative_entry_starts_at_the_current_folder(tmp_path, monkeypatch, entry):
    install(tmp_path)
    (tmp_path / "site").mkdir()
    monkeypatch.chdir(tmp_path)

    assert ["redis"] == [found.name for found in find_plugins([entry]).plugins]


def archive_of(folder: Path, file: Path, inside: str = "") -> Path:
    """A zip file with the folder's content."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, f"{inside}{path.relative_to(folder)}")
    return file


@pytest.mark.parametrize("name", ["app.pyz", "lib.zip", "scout_redis-1.2.3-py3-none-any.whl", "no suffix"])
@pytest.mark.parametrize("is_relative", [False, True], ids=["absolute", "relative"])
def test_an_archive_is_searched_like_a_folder(tmp_path, monkeypatch, name, is_relative):
    requires = ["scout-core<1", 'redis<8; extra == "instruments"']
    install(tmp_path / "site", version="1.2.3", requires=requires)
    install(tmp_path / "site", "Flask", "3.0.3", entries=None)
    archive_of(tmp_path / "site", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    entry = name if is_relative else str(tmp_path / name)

    environment = find_plugins([str(tmp_path / "nowhere"), entry])

    assert (
        Found(
            name="redis",
            module="scout_redis",
            distribution="scout-redis",
            version="1.2.3",
            instruments=("redis<8",),
            core=("scout-core<1",),
            where=f"{entry}/scout_redis-1.2.3.dist-info",
        ),
    ) == environment.plugins
    assert {"scout-redis": "1.2.3", "flask": "3.0.3"} == environment.installed
    assert () == environment.problems


@pytest.mark.parametrize("inside", ["lib/", "deep/lib/"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_in_an_archive_is_searched(tmp_path, inside, slash):
    install(tmp_path / "site")
    install(tmp_path / "other", "other", entries="other = other")
    archive_of(tmp_path / "site", tmp_path / "app.zip", inside)
    with zipfile.ZipFile(tmp_path / "app.zip", "a") as archive:
        archive.write(tmp_path / "other" / "other-1.0.dist-info" / "METADATA", "other-1.0.dist-info/METADATA")

    environment = find_plugins([f"{tmp_path}/app.zip/{inside.rstrip('/')}{slash}"])

    assert ["redis"] == [found.name for found in environment.plugins]
    assert {"scout-redis": "1.0"} == environment.installed


@pytest.mark.parametrize("is_archive", [False, True], ids=["folder", "archive"])
def test_an_egg_is_searched(tmp_path, is_archive):
    egg = tmp_path / "scout_redis-1.5-py3.11.egg"
    made = install(tmp_path / "made", kind="egg-info", entries="redis = scout_redis")
    (tmp_path / "content").mkdir()
    made.rename(tmp_path / "content" / "EGG-INFO")
    if is_archive:
        archive_of(tmp_path / "content", egg)
    else:
        (tmp_path / "content").rename(egg)

    environment = find_plugins([str(egg)])

    assert [("redis", "scout_redis", "scout-redis")] == names(environment)
    assert {"scout-redis": "1.5"} == environment.installed
    assert f"{egg}/EGG-INFO" == environment.plugins[0].where


def test_the_first_of_an_archive_and_a_folder_counts(tmp_path):
    install(tmp_path / "folder", version="2.0", entries="redis = folder")
    install(tmp_path / "content", version="1.0", entries="redis = archive")
    path = [str(archive_of(tmp_path / "content", tmp_path / "a.zip")), str(tmp_path / "folder")]

    assert ["archive"] == [found.module for found in find_plugins(path).plugins]
    assert ["folder"] == [found.module for found in find_plugins(path[::-1]).plugins]


@pytest.mark.parametrize(
    ("start", "damage"),
    [(b"PK\x01\x02", lambda content, at: content[: at + 10] + b"\xff\xff" + content[at + 12 :]), (b"PK\x03\x04", None)],
    ids=["unknown compression", "local header"],
)
def test_a_damaged_archive_is_a_problem_and_the_others_are_found(tmp_path, start, damage):
    install(tmp_path / "good", "scout-flask", entries="flask = scout_flask")
    install(tmp_path / "site", metadata=None)
    archive = archive_of(tmp_path / "site", tmp_path / "bad.zip")
    content = archive.read_bytes()
    at = content.rindex(start)  # the entry points are the last file
    archive.write_bytes(damage(content, at) if damage else content[:at] + b"oops" + content[at + 4 :])

    environment = find_plugins([str(archive), str(tmp_path / "good")])

    assert ["flask"] == [found.name for found in environment.plugins]
    (problem,) = environment.problems
    assert problem.detail.startswith(
        f"cannot read the metadata in {archive}/scout_redis-1.0.dist-info: entry_points.txt: "
    )
    assert "reinstall it: pip install --force-reinstall scout-redis" == problem.advice


@unhurried
@given(data=st.data())
def test_no_archive_raises(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("archive")
    install(folder / "site")
    content = bytearray(archive_of(folder / "site", folder / "a.zip").read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (folder / "a.zip").write_bytes(content[: data.draw(st.integers(0, len(content)))])

    find_plugins([str(folder / "a.zip")])


def test_three_hundred_distributions(tmp_path):
    for number in range(300):
        install(
            tmp_path,
            f"library-{number}",
            f"{number}.0",
            entries=None if number % 10 else f"plugin{number} = module{number}",
        )

    environment = find_plugins([str(tmp_path)])

    assert 300 == len(environment.installed)
    assert sorted(f"plugin{number}" for number in range(0, 300, 10)) == [found.name for found in environment.plugins]


def test_a_huge_file_is_read_in_part(tmp_path):
    made = install(tmp_path)
    with (made / "METADATA").open("a") as file:
        file.write("x" * 3_000_000)

    assert ["redis"] == [found.name for found in find_plugins([str(tmp_path)]).plugins]


@unhurried
@given(entries=st.binary(max_size=80), metadata=st.binary(max_size=80))
def test_no_content_raises(tmp_path_factory, entries, metadata):
    folder = tmp_path_factory.mktemp("site")
    made = install(folder, entries=None)
    (made / "METADATA").write_bytes(metadata)
    (made / "entry_points.txt").write_bytes(b"[scout_core]\n" + entries)

    environment = find_plugins([str(folder)])

    assert {"scout-redis": "1.0"} == environment.installed


def test_the_built_in_plugins_are_found():
    environment = find_plugins(sys.path)

    ours = {found.name for found in environment.plugins if found.distribution == "scout-core"}
    assert {
        "age",
        "collector",
        "error",
        "error_traces",
        "ignoring",
        "percent",
        "percentile",
        "process",
        "sampling",
        "shutdown",
        "speed",
        "threads",
    } == ours
    assert "scout-core" in environment.installed
