"""The responses of the project, and the statements for them, are the same with the agent and without it."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from freezegun import freeze_time

from scout_core.testing import recording

PAGES = (
    "/", "/item/1/", "/item/9/", "/lazy/", "/visits/", "/anonymous/", "/form/", "/cached/", "/stream/", "/archived/", "/source/", "/missing/",
    "/forbidden/", "/suspicious/", "/broken/", "/account/", "/accounts/login/", "/admin/", "/admin/login/", "/nowhere/", "/nowhere",
)  # fmt: skip
OF_THE_ADMIN = (
    "/admin/", "/admin/shop_project/item/", "/admin/shop_project/item/1/change/", "/admin/shop_project/item/add/", "/admin/auth/user/",
    "/admin/password_change/", "/admin/jsi18n/", "/admin/logout/",
)  # fmt: skip

ROUNDS = 11 if os.environ.get("TEST_SIZE") == "full" else 2
"""How often each page is asked for without a user: 500 requests together with the others, or fewer."""


def requests() -> Iterator[tuple[str, str, dict[str, str]]]:
    """Method, path, and the fields of a form."""
    for _ in range(ROUNDS):
        yield from ((method, path, {}) for path in PAGES for method in ("GET", "HEAD"))
    yield "PUT", "/item/1/", {}
    yield "POST", "/accounts/login/", {"username": "ada", "password": "wrong"}
    yield "POST", "/accounts/login/?next=/account/", {"username": "ada", "password": "secret"}
    yield from (("GET", path, {}) for path in ("/account/", "/visits/", *OF_THE_ADMIN, *PAGES))
    yield from (("GET", path, {}) for path in ("/archive/", "/archive/", "/archived/", "/"))
    yield "POST", "/form/", {"name": "honey"}  # last, because its number is not used again
    yield "GET", "/", {}


def visit(shop: Any) -> list[object]:
    """Answer all requests from the same state of the databases, at the same time and with the same random numbers."""
    from django.contrib.auth.models import User
    from django.contrib.contenttypes.models import ContentType
    from django.contrib.sessions.models import Session

    for alias in settings.DATABASES:  # with new connections, because they number their cursors and savepoints
        connections[alias].close()
        del connections[alias]
    for model in (shop, Session, User):
        model.objects.all().delete()
    shop.objects.using("archive").all().delete()
    shop.objects.bulk_create([shop(pk=1, name="tea"), shop(pk=2, name="jam")])
    cache.clear()
    ContentType.objects.clear_cache()
    numbers = random.Random(1)
    with pytest.MonkeyPatch.context() as patch, freeze_time("2026-01-02 03:04:05"):
        patch.setattr(secrets, "choice", numbers.choice)
        User.objects.create_superuser("ada", "ada@shop.test", "secret", id=1)
        client = Client(raise_request_exception=False)
        return [answer(client, *request) for request in requests()]


def answer(client: Client, method: str, path: str, fields: dict[str, str]) -> object:
    with (
        CaptureQueriesContext(connections["default"]) as of_default,
        CaptureQueriesContext(connections["archive"]) as of_archive,
    ):
        response = client.generic(method, path) if method != "POST" else client.post(path, fields)
        body = b"".join(response) if response.streaming else response.content
        response.close()
    statements = [query["sql"] for queries in (of_default, of_archive) for query in queries.captured_queries]
    return method, path, response.status_code, list(response.items()), response.cookies.output(), body, statements


def test_responses_and_statements_are_the_same_as_without_the_agent(shop):
    before = visit(shop)
    with recording() as scout:
        during = visit(shop)

    assert before == during
    assert len(before) > 90
    assert len(scout.transactions) > 80
    assert sum(len(statements) for *_, statements in before) > 100, "statements"
