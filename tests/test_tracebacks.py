"""Tracebacks as data: code and current line of every frame, without references to local variables."""

from __future__ import annotations

from scout_core.tracebacks import frames_of


def fail():
    raise KeyError("plan")


def test_frames_are_code_and_line_innermost_last():
    def call():
        fail()

    try:
        call()
    except KeyError as error:
        frames = frames_of(error.__traceback__)

    first = call.__code__.co_firstlineno
    expected = [(call.__code__, first + 1), (fail.__code__, fail.__code__.co_firstlineno + 1)]
    assert [
        (test_frames_are_code_and_line_innermost_last.__code__, first + 4),
        *expected,
    ] == frames


def test_no_traceback_has_no_frames():
    assert [] == frames_of(None)
