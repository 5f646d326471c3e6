"""A traceback as data: every frame with the line that was being executed, and nothing that it held on to."""

from __future__ import annotations

from scout_core.tracebacks import frames_of


def fail():
    raise KeyError("plan")


def test_each_frame_is_its_code_and_the_line_in_it_the_innermost_last():
    def call():
        fail()

    try:
        call()
    except KeyError as error:
        frames = frames_of(error.__traceback__)

    first = call.__code__.co_firstlineno
    expected = [(call.__code__, first + 1), (fail.__code__, fail.__code__.co_firstlineno + 1)]
    assert [
        (test_each_frame_is_its_code_and_the_line_in_it_the_innermost_last.__code__, first + 4),
        *expected,
    ] == frames


def test_without_a_traceback_there_are_no_frames():
    assert [] == frames_of(None)
