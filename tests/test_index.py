"""The index of what is installed: it saves looking, is noticed to be out of date, and is never believed about what to import."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scout_core.boundary import index
from scout_core.boundary.discovery import Environment, find_plugins
from scout_core.boundary.index import cache_folder, is_settled, read_index, state_of

A_DAY_AGO = time.time() - 86_400
ANOTHER_USER = 54_321
needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="not with this account: only root can give a file to another user"
)


def install(
    site: Path, name: str, *, entries: str | None = None, version: str = "1.0", kind: str = "dist-info"
) -> Path:
    made = site / f"{name}-{version}.{kind}"
    made.mkdir(parents=True)
    (made / ("METADATA" if kind == "dist-info" else "PKG-INFO")).write_text(f"Name: {name}\nVersion: {version}\n")
    write_entries(made, entries)
    return made


def write_entries(made: Path, entries: str | None) -> None:
    if entries is not None:
        (made / "entry_points.txt").write_text(f"[scout_core]\n{entries}\n")


def settle(folder: Path) -> None:
    """As if nobody had installed anything since yesterday."""
    os.utime(folder, (A_DAY_AGO, A_DAY_AGO))


@pytest.fixture
def site(tmp_path):
    """A folder of ``sys.path`` with two plugins and two libraries."""
    made = tmp_path / "site"
    install(made, "scout_redis", entries="redis = scout_redis")
    install(made, "scout_flask", entries="flask = scout_flask")
    install(made, "redis", version="5.0")
    (install(made, "flask", version="3.0") / "entry_points.txt").write_text(
        "[console_scripts]\nflask = flask.cli:main\n"
    )
    settle(made)
    return made


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "home" / ".cache" / "scout-core"


@pytest.fixture
def find(site, cache):
    """Finds, as a start does."""
    return lambda *more: find_plugins([str(site), *map(str, more)], cache=str(cache))


def written(cache: Path) -> Path:
    (file,) = cache.iterdir()
    return file


def names(environment: Environment) -> list[str]:
    return [found.name for found in environment.plugins]


OPENED = """
import json, os, sys
opened = []
sys.addaudithook(lambda event, facts: opened.append(facts[0]) if event in ("open", "os.scandir") else None)
from scout_core.boundary.discovery import find_plugins
before = len(opened)
found = find_plugins(sys.argv[2:], cache=sys.argv[1])
told = {"opened": [str(path) for path in opened[before:]], "plugins": [one.name for one in found.plugins]}
told["imported"] = sorted({"importlib.metadata", "packaging", "hashlib", "email", "tempfile", "pathlib"} & set(sys.modules))
print(json.dumps(told))
"""


def test_a_warm_start_opens_the_index_and_the_metadata_of_plugins_alone(site, cache):
    def start():
        command = [sys.executable, "-c", OPENED, str(cache), str(site)]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    cold, warm = start(), start()

    assert ["flask", "redis"] == cold["plugins"] == warm["plugins"]
    assert [] == cold["imported"] == warm["imported"]
    assert {str(site), str(site / "redis-5.0.dist-info" / "entry_points.txt")} <= set(cold["opened"])
    assert [
        str(written(cache)),
        *(
            str(site / f"scout_{name}-1.0.dist-info" / file)
            for name in ("flask", "redis")
            for file in ("entry_points.txt", "METADATA")
        ),
    ] == warm["opened"]


def test_a_warm_start_finds_what_a_cold_one_finds(site, cache, find, tmp_path):
    (install(site, "broken") / "entry_points.txt").mkdir()
    install(site, "old", entries="old = old", kind="egg-info")
    install(tmp_path / "second", "scout_redis", version="9.9", entries="redis = shadowed")
    for folder in (site, tmp_path / "second"):
        settle(folder)
    cold = find(tmp_path / "second")
    warm = find(tmp_path / "second")
    reverse = find_plugins([str(tmp_path / "second"), str(site)], cache=str(cache))

    assert cold == warm
    assert cold == find_plugins([str(site), str(tmp_path / "second")], cache=os.devnull)
    assert (["flask", "old", "redis"], 1, "5.0") == (names(warm), len(warm.problems), warm.installed["redis"])
    assert ["scout_flask", "old", "shadowed"] == [found.module for found in reverse.plugins]


def test_nothing_is_written_when_nothing_has_changed(find, cache):
    find()
    before = written(cache).stat()
    find()

    assert before == written(cache).stat()


def test_the_index_is_private_and_no_draft_stays(find, cache):
    umask = os.umask(0)
    try:
        find()
    finally:
        os.umask(umask)

    assert (0o700, 0o600) == (stat.S_IMODE(cache.stat().st_mode), stat.S_IMODE(written(cache).stat().st_mode))


CHANGES = {
    "installed": lambda site: install(site, "scout_new", entries="new = scout_new"),
    "removed": lambda site: shutil.rmtree(site / "scout_redis-1.0.dist-info"),
    "upgraded": lambda site: (site / "scout_redis-1.0.dist-info").rename(site / "scout_redis-2.0.dist-info"),
    "a library upgraded": lambda site: (site / "redis-5.0.dist-info").rename(site / "redis-6.0.dist-info"),
    "entry point renamed in place": lambda site: write_entries(site / "scout_redis-1.0.dist-info", "red = scout_red"),
    "entry point added in place": lambda site: write_entries(site / "scout_redis-1.0.dist-info", "a = a\nb = b"),
    "entry points gone": lambda site: (site / "scout_redis-1.0.dist-info" / "entry_points.txt").unlink(),
    "metadata in place": lambda site: (site / "scout_redis-1.0.dist-info" / "METADATA").write_text(
        "Name: x\nVersion: 7"
    ),
    "metadata broken in place": lambda site: (site / "scout_redis-1.0.dist-info" / "METADATA").write_bytes(b"\xff\xff"),
    "the folder replaced": lambda site: (shutil.rmtree(site), install(site, "other", entries="other = other")),
    "the folder gone": lambda site: shutil.rmtree(site),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("is_set_back", [False, True], ids=["", "time set back"])
def test_every_change_is_seen_at_once(site, find, change, is_set_back):
    before = find()
    CHANGES[change](site)
    if is_set_back and site.exists():
        settle(site)
    after = find()

    assert before != after
    assert find_plugins([str(site)], cache=os.devnull) == after


def test_an_egg_info_that_is_rewritten_in_place_is_seen(site, find):
    """As ``setup.py develop`` does; it has no plugin at first."""
    made = install(site, "develop", kind="egg-info")
    settle(site)
    find()
    write_entries(made, "develop = develop")

    assert "develop" in names(find())


def test_a_library_that_becomes_a_plugin_in_place_is_seen_after_the_next_installation(site, find):
    """No installer does it: this is what the index does not notice."""
    find()
    write_entries(site / "redis-5.0.dist-info", "mine = mine")
    unnoticed = names(find())
    install(site, "anything")

    assert ["flask", "redis"] == unnoticed
    assert ["flask", "mine", "redis"] == names(find())


def test_a_folder_that_changed_a_moment_ago_is_not_indexed(site, find, cache):
    """Its time would be the same after another change within the same tick of the clock, or when an installer goes on."""
    os.utime(site)
    find()

    assert not cache.exists()


@pytest.mark.parametrize(
    ("age", "expected"), [(-5.0, False), (0.0, False), (9.9, False), (10.1, True), (86_400.0, True)]
)
def test_when_a_folder_has_settled(age, expected):
    """A time in the future is that of another machine's clock."""
    assert expected == is_settled((1_000_000_000_000, 0, 0), 1_000_000_000_000 + int(age * 1e9))


def test_folders_without_metadata_are_not_indexed(site, find, cache, tmp_path):
    (tmp_path / "app").mkdir()
    settle(tmp_path / "app")
    find(tmp_path / "app", tmp_path / "nowhere")

    assert [str(site)] == list(read_index(str(cache)))


def test_two_programs_of_one_environment_share_the_index(site, find, cache, tmp_path):
    for name in ("one", "two"):
        install(tmp_path / name, name, entries=f"{name} = {name}")
        settle(tmp_path / name)
        find(tmp_path / name)
    before = written(cache).stat()
    both = [names(find(tmp_path / name)) for name in ("one", "two")]

    assert [["flask", "one", "redis"], ["flask", "redis", "two"]] == both
    assert before == written(cache).stat()


def test_the_index_stays_small(tmp_path, cache):
    for number in range(20):
        install(tmp_path / f"site{number}", "some")
        settle(tmp_path / f"site{number}")
        find_plugins([str(tmp_path / f"site{number}")], cache=str(cache))
    for number in range(40):
        (cache / f"plugins-{number}").touch(0o600)
        os.utime(cache / f"plugins-{number}", (number, number))
    (cache / "of-somebody-else").touch()
    find_plugins([str(tmp_path / "site0")], cache=str(cache))
    kept = sorted(path.name for path in cache.iterdir())

    assert [str(tmp_path / f"site{number}") for number in (0, *range(19, 4, -1))] == list(read_index(str(cache)))
    assert 33 == len(kept)
    assert {"of-somebody-else", "plugins-39", "plugins-9"} <= set(kept)
    assert "plugins-8" not in kept


def test_another_python_and_another_environment_have_an_index_of_their_own(site, find, cache, monkeypatch):
    find()
    monkeypatch.setattr(sys, "prefix", "/another")
    other = read_index(str(cache))
    find()

    assert {} == other
    assert 2 == len(list(cache.iterdir()))


def test_an_index_under_a_name_that_it_was_not_written_for_is_not_believed(find, cache, monkeypatch):
    find()
    monkeypatch.setattr(sys, "version", "3.99.0")  # the same file, another patch release

    assert {} == read_index(str(cache))


def damaged(**changes: object) -> str:
    """The index of the folder ``SITE``, with these changes to its listing or, where they are no part of one, to itself."""
    listing = {"state": "STATE", "names": "flask-3.0.dist-info/redis-5.0.dist-info", "telling": []}
    facts = {"schema": 1, "prefix": sys.prefix, "python": sys.version}
    for key, value in changes.items():
        (listing if key in listing else facts)[key] = value
    return json.dumps({"folders": {"SITE": listing}, **facts})


HOSTILE = {
    "empty": "",
    "cut off": damaged()[:80],
    "no JSON": "\0\0\0",
    "no text": "caf\u00e9",
    "a list": "[]",
    "null": "null",
    "a number without end": '{"schema": ' + "9" * 100_000 + "}",
    "deep": "[" * 900_000,
    "deep objects": '{"folders":' * 80_000,
    "huge": damaged() + " " * 2_000_000,
    "another schema": damaged(schema=2),
    "schema true": damaged(schema="1"),
    "no schema": damaged().replace("schema", "scheme"),
    "another python": damaged(python="2.7"),
    "another environment": damaged(prefix="/another"),
    "folders a list": damaged(folders=[]),
    "folders of numbers": damaged(folders={"SITE": 5}),
    "names a number": damaged(names=5),
    "names a list": damaged(names=["flask-3.0.dist-info"]),
    "names null": damaged(names=None),
    "state of texts": damaged(state=["1", "2", "3"]),
    "state true": damaged(state=[True, True, True]),
    "state empty": damaged(state=[]),
    "telling a text": damaged(telling="flask-3.0.dist-info"),
    "telling numbers": damaged(telling=[1]),
    "telling a path": damaged(telling=["../evil/evil-1.0.dist-info"]),
    "telling an absolute path": damaged(telling=["/tmp/evil-1.0.dist-info"]),
    "telling a NUL": damaged(telling=["evil\0.dist-info"]),
    "telling no metadata": damaged(telling=["evil"]),
}


def place(text: str, cache: Path, site: Path) -> Path:
    """Put the text where the index is."""
    find_plugins([str(site)], cache=str(cache))
    file = written(cache)
    state = state_of(str(site))
    assert state is not None
    file.write_text(text.replace('"STATE"', json.dumps(state)).replace("SITE", str(site)), encoding="utf-8")
    return file


@pytest.mark.parametrize("name", HOSTILE)
def test_an_index_that_makes_no_sense_is_looked_past_and_replaced(site, cache, find, name):
    file = place(HOSTILE[name], cache, site)
    found = find()
    repaired = json.loads(file.read_text())["folders"]

    assert find_plugins([str(site)], cache=os.devnull) == found
    assert ["scout_flask-1.0.dist-info", "scout_redis-1.0.dist-info"] == repaired[str(site)]["telling"]


def test_an_index_can_hide_a_plugin_and_never_add_one(site, cache, find, tmp_path):
    """Even one that is right in every way that can be checked."""
    evil = install(tmp_path / "evil", "evil", entries="evil = evil")
    lying = {"names": "evil-1.0.dist-info/redis-5.0.dist-info/../evil/evil-2.0.dist-info", "module": "evil"}
    place(damaged(**lying, telling=["evil-1.0.dist-info", "redis-5.0.dist-info"]), cache, site)
    found = find()

    assert evil.exists()
    assert () == found.plugins
    assert "scout-redis" not in found.installed, "the index was believed as far as it goes"


def linked(file: Path) -> None:
    file.rename(file.parent.parent / "elsewhere")
    file.symlink_to(file.parent.parent / "elsewhere")


def folder_linked(file: Path) -> None:
    file.parent.rename(file.parent.parent / "elsewhere")
    file.parent.symlink_to(file.parent.parent / "elsewhere")


def piped(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


def folder_instead(file: Path) -> None:
    file.unlink()
    file.mkdir(0o700)


UNTRUSTED = {
    "a link": linked,
    "in a linked folder": folder_linked,
    "a pipe": piped,
    "a folder": folder_instead,
    "writable by the group": lambda file: file.chmod(0o620),
    "writable by all": lambda file: file.chmod(0o602),
    "in a folder writable by the group": lambda file: file.parent.chmod(0o770),
    "in a folder writable by all": lambda file: file.parent.chmod(0o1777),
    "of another user": lambda file: os.chown(file, ANOTHER_USER, ANOTHER_USER),
    "in a folder of another user": lambda file: os.chown(file.parent, ANOTHER_USER, ANOTHER_USER),
}


@pytest.mark.parametrize(
    "how", [pytest.param(how, marks=[needs_root] if "another user" in how else []) for how in UNTRUSTED]
)
def test_an_index_that_others_may_have_written_is_not_read(site, cache, find, how):
    UNTRUSTED[how](place(damaged(), cache, site))

    assert ["flask", "redis"] == names(find())


def test_the_same_index_is_read_when_it_is_ours_alone(site, cache, find):
    """Otherwise the tests above would prove nothing."""
    place(damaged(), cache, site)

    assert [] == names(find())


def file_in_place(cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("")


def dangling(cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.symlink_to("nowhere")


def home_is_a_file(cache: Path) -> None:
    cache.parent.parent.write_text("")


def home_of_another_user(cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    os.chown(cache.parent, ANOTHER_USER, ANOTHER_USER)


UNWRITABLE = {
    "a file": file_in_place,
    "a dangling link": dangling,
    "below a file": home_is_a_file,
    "in the home of another user": home_of_another_user,
}


@pytest.mark.parametrize(
    "how", [pytest.param(how, marks=[needs_root] if "another user" in how else []) for how in UNWRITABLE]
)
def test_where_no_index_can_be_written_all_is_found_nevertheless(cache, find, how, tmp_path):
    UNWRITABLE[how](cache)
    before = sorted(tmp_path.rglob("*"))

    assert (["flask", "redis"], ["flask", "redis"]) == (names(find()), names(find()))
    assert before == sorted(tmp_path.rglob("*"))


@pytest.mark.parametrize("base", ["a\0b", "/dev/null/x", "/proc/nowhere"])
def test_a_place_that_cannot_be_is_no_fault(site, base):
    assert ["flask", "redis"] == names(find_plugins([str(site)], cache=base))


def test_a_draft_that_cannot_be_written_is_taken_away(site, cache, find, monkeypatch):
    find()
    install(site, "more", entries="more = more")
    settle(site)
    file = written(cache)
    file.unlink()
    file.mkdir()
    (file / "full").touch()
    found = find()

    assert ["flask", "more", "redis"] == names(found)
    assert [file] == list(cache.iterdir())


def test_an_index_that_would_be_too_large_to_be_read_is_not_written(site, cache, find, monkeypatch):
    monkeypatch.setattr(index, "LARGEST", 100)
    find()

    assert not cache.exists()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"XDG_CACHE_HOME": "/var/cache/me", "HOME": "/home/me"}, "/var/cache/me/scout-core"),
        ({"XDG_CACHE_HOME": "", "HOME": "/home/me"}, "/home/me/.cache/scout-core"),
        ({"XDG_CACHE_HOME": "cache", "HOME": "/home/me"}, "/home/me/.cache/scout-core"),
        ({"HOME": "/home/me"}, "/home/me/.cache/scout-core"),
        ({"HOME": ""}, "/.cache/scout-core"),
        ({"HOME": "here"}, None),
    ],
)
def test_where_the_index_lies(environment, expected, monkeypatch):
    for key in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(key, raising=False)
    for key, value in environment.items():
        monkeypatch.setenv(key, value)

    assert expected == cache_folder()


def test_without_a_home_that_of_the_account_is_taken(monkeypatch):
    import pwd

    for key in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(key, raising=False)

    assert os.path.join(pwd.getpwuid(os.getuid()).pw_dir, ".cache", "scout-core") == cache_folder()


def test_the_empty_entry_is_indexed_as_the_folder_that_it_was(site, cache, tmp_path, monkeypatch):
    install(tmp_path / "other", "other", entries="other = other")
    settle(tmp_path / "other")
    monkeypatch.chdir(site)
    first = names(find_plugins([""], cache=str(cache)))
    monkeypatch.chdir(tmp_path / "other")

    assert (["flask", "redis"], ["other"]) == (first, names(find_plugins([""], cache=str(cache))))
    assert {str(site), str(tmp_path / "other")} == set(read_index(str(cache)))


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(content=st.one_of(st.binary(max_size=60), st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["state", "names", "telling", "a"]), inner)),
    max_leaves=12,
)))  # fmt: skip
def test_no_content_of_an_index_raises_or_adds_a_plugin(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("any")
    install(folder / "site", "scout_redis", entries="redis = scout_redis")
    settle(folder / "site")
    find_plugins([str(folder / "site")], cache=str(folder / "cache"))
    file = written(folder / "cache")
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        facts = {"schema": 1, "prefix": sys.prefix, "python": sys.version, "folders": {str(folder / "site"): content}}
        file.write_text(json.dumps(facts))

    assert ["redis"] == names(find_plugins([str(folder / "site")], cache=str(folder / "cache")))
