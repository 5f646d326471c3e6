"""The conformance suite on Flask itself."""

from __future__ import annotations

import flask
import pytest

from scout_core.testing import Call, conformance, hostile
from scout_flask import ScoutApm


class OutOfStock(Exception):
    """The application's own error; Flask does not handle it while ``testing`` is set."""


@pytest.fixture
def app() -> flask.Flask:
    app = flask.Flask("shop")
    app.testing = True

    @app.before_request
    def load_user() -> None:
        flask.g.user = hostile()

    @app.get("/")
    def home() -> str:
        return hostile("home")

    @app.get("/later")
    async def later() -> str:
        return "later"

    @app.get("/broken")
    def broken() -> str:
        raise OutOfStock

    return app


def answers(app: flask.Flask) -> None:
    assert b"home" == app.test_client().get("/").data


def answers_from_an_async_view(app: flask.Flask) -> None:
    assert b"later" == app.test_client().get("/later").data


def fails(app: flask.Flask) -> None:
    app.test_client().get("/broken")


def attach(app: flask.Flask) -> None:
    ScoutApm(app)


test_conformance = conformance(
    "scout_flask",
    Call(answers, attach=attach),
    answers_from_an_async_view,
    Call(fails, raises=OutOfStock),
)
