"""Operations, and how to take them apart."""

from __future__ import annotations

import pytest

from scout_core.operations import CONTROLLER, JOB, is_web, kind_of, name_of


def test_web_requests_are_recognised_by_their_kind():
    assert is_web(f"{CONTROLLER}/shop.home")
    assert [False] * 5 == [
        is_web(name) for name in (f"{JOB}/mail.send", "Controllers/x", "controller/x", "Controller", "")
    ]


@pytest.mark.parametrize(
    ("operation", "kind", "name"),
    [
        ("SQL/Query", "SQL", "Query"),
        ("Controller/GET/home", "Controller", "GET/home"),
        ("PreprocessRequest", "PreprocessRequest", ""),
        ("Job/", "Job", ""),
        ("/home", "", "home"),
        ("", "", ""),
    ],
)
def test_an_operation_is_a_kind_and_a_name(operation, kind, name):
    assert (kind, name) == (kind_of(operation), name_of(operation))
