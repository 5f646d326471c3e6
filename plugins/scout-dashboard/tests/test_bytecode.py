"""Compiled templates are kept, and used only for what they were compiled from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader

from scout_dashboard.views.bytecode import CompiledTemplates


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "page.html").write_text("{% if True %}\n<p>{{ text }}</p>\n{% endif %}\n")
    return folder


def render(directory: Path, *, compiled: list[str] | None = None, **options: bool) -> str:
    """Render in a new environment, as after a start; note what it compiles."""
    environment = Environment(loader=FileSystemLoader(directory), autoescape=True, **options)
    environment.bytecode_cache = CompiledTemplates(directory, options=options)
    compile_text = environment.compile
    environment.compile = lambda source, name, *rest: (
        (  # type: ignore[method-assign]
            [] if compiled is None else compiled
        ).append(name)
        or compile_text(source, name, *rest)
    )
    return environment.get_template("page.html").render(text="<b>")


def kept(directory: Path) -> list[Path]:
    return [*(directory / "__pycache__").glob("*")]


def test_a_template_is_compiled_once_for_all_starts(directory):
    compiled: list[str] = []
    texts = {render(directory, compiled=compiled) for _ in range(3)}

    assert ["page.html"] == compiled
    assert ["\n<p>&lt;b&gt;</p>\n\n"] == [f"{text}\n" for text in texts]
    assert [directory.stat().st_mode & 0o666] == [path.stat().st_mode & 0o777 for path in kept(directory)]


def test_a_changed_text_is_compiled_again_and_replaces_the_file(directory):
    render(directory)
    (directory / "page.html").write_text("{{ text }}!")

    assert "&lt;b&gt;!" == render(directory) == render(directory)
    assert 1 == len(kept(directory))


def test_other_options_are_compiled_again(directory):
    before = render(directory)

    assert "<p>&lt;b&gt;</p>\n" == render(directory, trim_blocks=True)
    assert before == render(directory)


@pytest.mark.parametrize("content", [b"", b"x", "half", b"\x80\x04." * 9])
def test_a_damaged_file_is_compiled_again(directory, content):
    text = render(directory)
    (path,) = kept(directory)
    path.write_bytes(path.read_bytes()[:40] if content == "half" else content)
    compiled: list[str] = []

    assert [text, text] == [render(directory, compiled=compiled) for _ in range(2)]
    assert ["page.html"] == compiled


def test_a_page_works_where_nothing_can_be_written(directory):
    (directory / "__pycache__").write_text("a file")

    assert "<p>" in render(directory)
    assert [] == [*(directory / "__pycache__").parent.glob("*.pyc*")]


def test_nothing_is_written_where_python_writes_no_bytecode(directory, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    render(directory)

    assert [] == kept(directory)


def test_the_files_are_where_python_keeps_its_own(directory, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "prefix"))
    render(directory)

    assert [] == kept(directory)
    assert 1 == len([*(tmp_path / "prefix").rglob("*.pyc")])
