from __future__ import annotations

import re

import pytest

from scout_core.text import patterns
from scout_core.text.patterns import compile_all, pattern


@pytest.fixture
def compiled(monkeypatch):
    """The sources that were compiled, in order."""
    found = []
    compile_ = re.compile
    monkeypatch.setattr(patterns.re, "compile", lambda source, flags=0: found.append(source) or compile_(source, flags))
    return found


def test_it_is_compiled_once_when_it_is_first_used(compiled):
    lazy = pattern("[a-c]+", re.IGNORECASE)
    assert [] == compiled

    assert "ABC" == lazy.search("xABCx").group()
    assert "x-x" == lazy.sub("-", "xABCx")
    assert ["[a-c]+"] == compiled


def test_what_was_not_used_yet_can_be_compiled_at_once(compiled):
    lazy = pattern("[d-f]+")
    compile_all()

    assert "[d-f]+" in compiled
    compiled.clear()
    compile_all()
    assert lazy.fullmatch("def")
    assert [] == compiled


def test_a_mistake_shows_when_it_is_used():
    broken = pattern("(")
    patterns._not_compiled.remove(broken)

    with pytest.raises(re.error, match="unterminated subpattern"):
        broken.search("text")
