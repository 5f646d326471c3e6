"""The revision of the application's code: where deployment tools and git leave it."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_core.config.config import read_config
from scout_core.config.revision import _word, find_revision

SHA = "0123456789abcdef0123456789abcdef01234567"


def git(folder, *arguments):
    command = [
        "git",
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@shop.example",
        "-c",
        "init.defaultBranch=main",
        *arguments,
    ]
    environment = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(folder)}
    ran = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    return ran.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder = tmp_path / "shop"
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=first")
    return folder


def revision(folder, **environment):
    found = find_revision(environment, folder)
    return None if found is None else found[0]


def checked_out(folder):
    return folder


def detached(folder):
    git(folder, "commit", "--quiet", "--allow-empty", "--message=second")
    git(folder, "checkout", "--quiet", "--detach", "HEAD~1")
    return folder


def packed(folder):
    git(folder, "branch", "topic/other")
    git(folder, "pack-refs", "--all")
    return folder


def in_worktree(folder):
    git(folder, "worktree", "add", "--quiet", "-b", "topic/tree", "../tree")
    return folder.parent / "tree"


def in_packed_worktree(folder):
    return in_worktree(folder) if packed(folder) else folder


def in_folder_below(folder):
    below = folder / "src" / "shop"
    below.mkdir(parents=True)
    return below


@pytest.mark.parametrize("change", [checked_out, detached, packed, in_worktree, in_packed_worktree, in_folder_below])
def test_the_commit_is_that_of_git(repository, change):
    folder = change(repository)

    assert git(folder, "rev-parse", "HEAD") == revision(folder)


def test_a_repository_without_a_commit_has_none(tmp_path):
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    git(tmp_path, "init", "--quiet")

    assert None is revision(tmp_path)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HEROKU_SLUG_COMMIT": "old", "HEROKU_BUILD_COMMIT": " new "}, ("new", "environment HEROKU_BUILD_COMMIT")),
        ({"HEROKU_BUILD_COMMIT": " ", "HEROKU_SLUG_COMMIT": "old"}, ("old", "environment HEROKU_SLUG_COMMIT")),
        ({"KAMAL_VERSION": "v12"}, ("v12", "environment KAMAL_VERSION")),
    ],
)
def test_platforms_win_over_files(tmp_path, variables, expected):
    (tmp_path / "REVISION").write_text(SHA)

    assert expected == find_revision(variables, tmp_path)


@pytest.mark.parametrize("name", ["REVISION", ".mina_git_revision"])
@pytest.mark.parametrize("text", [SHA, f"{SHA}\n", f"\n{SHA} main 2026-11-28\n"])
def test_the_file_of_a_deployment_tool_is_read(tmp_path, name, text):
    release = tmp_path / "current" / "shop"
    release.mkdir(parents=True)
    (tmp_path / "current" / name).write_text(text)

    assert (SHA, str(tmp_path / "current" / name)) == find_revision({}, release)


@pytest.mark.parametrize(
    "head",
    ["", "ref: ../../etc/passwd", "ref: refs/../../x", "ref: refs/heads/gone", "abc", "\x00" * 50, "gitdir: .git"],
)
def test_a_repository_that_makes_no_sense_has_none(tmp_path, head):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text(head)
    (tmp_path / "x").write_text(SHA)

    assert None is revision(tmp_path)


def test_what_cannot_be_read_blocks_nothing(tmp_path):
    os.mkfifo(tmp_path / "REVISION")
    (tmp_path / ".mina_git_revision").mkdir()
    (tmp_path / ".git").write_text("gitdir: \x00")

    assert None is revision(tmp_path)


@given(st.binary(max_size=2000))
def test_any_content_is_one_short_word_or_nothing(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("release") / "REVISION"
    file.write_bytes(content)
    found = _word(file)

    assert found is None or (4 <= len(found) <= 100 and found.isprintable() and " " not in found)


def test_the_option_is_derived_unless_it_is_set(tmp_path, monkeypatch):
    (tmp_path / "REVISION").write_text(SHA)
    monkeypatch.chdir(tmp_path)
    found, given_by_user = (read_config(environment=variables) for variables in ({}, {"SCOUT_REVISION_SHA": "v2"}))

    assert [(SHA, f"derived: {tmp_path / 'REVISION'}"), ("v2", "environment SCOUT_REVISION_SHA")] == [
        (config.get("revision_sha"), str(config.origin("revision_sha"))) for config in (found, given_by_user)
    ]
