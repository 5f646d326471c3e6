"""A project with an admin site, users, sessions, templates, caches and two databases, recorded as its requests are answered."""

from __future__ import annotations

import asyncio
import io

import django
import pytest
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection, connections
from django.db import transaction as database
from django.template import engines
from django.test import Client, RequestFactory
from django.test.utils import override_settings

from scout_core import transaction
from scout_core.sending.wire import encode

VIEWS = "Controller/shop_project.views"
QUERY, RENDER = "SQL/Query", "Template/Render"


@pytest.fixture
def client(shop) -> Client:
    return Client(raise_request_exception=False)


@pytest.fixture
def user(shop):
    from django.contrib.auth.models import User

    return User.objects.create_superuser("ada", "ada@shop.test", "secret")


def facts(scout) -> list[tuple[str, str | None, str | None]]:
    return [(span.operation, span.tags.get("name") or span.tags.get("database"), span.parent) for span in scout.spans]


def test_a_page_with_statements_of_two_databases_templates_and_blocks(scout, client):
    for loader in engines["django"].engine.template_loaders:
        loader.reset()  # other tests have compiled some of them
    client.get("/")
    assert 3 == scout.operations.count("Template/Compile")  # the page, its base, and the one that it includes
    scout.forget()

    assert b"0 old" in client.get("/").content

    page = f"{VIEWS}.home"
    assert [
        (QUERY, "archive", page),
        ("Block/Render", "title", RENDER),
        (QUERY, "default", "Block/Render"),
        (RENDER, "shop/item.html", "Block/Render"),
        (RENDER, "shop/item.html", "Block/Render"),
        ("Block/Render", "body", RENDER),
        (RENDER, "shop/home.html", page),
    ] == facts(scout)
    assert {connections[alias].vendor for alias in ("default", "archive")} == {
        span.tags["dialect"] for span in scout.spans if span.operation == QUERY
    }


def test_a_template_response_is_rendered_within_its_request(scout, client):
    client.get("/lazy/")

    assert (RENDER, "shop/home.html", f"{VIEWS}.lazy") == facts(scout)[-1]


def test_a_statement_is_recorded_once_with_a_plugin_of_its_driver(scout, client):
    """The tests run with scout-sqlite3, too, where it is installed."""
    client.get("/item/1/")

    (query,) = scout.spans
    assert "/item/1/" == scout.transaction.tags["path"]
    assert 'SELECT "shop_project_item"."id"' in query.tags["statement"]
    assert "default" == query.tags["database"]


def test_asynchronous_calls_of_the_orm_are_recorded(scout, shop):
    if django.VERSION < (4, 1):
        pytest.skip("not with a Django without asynchronous queries")
    from django.test import AsyncClient

    assert b'{"count": 2}' == asyncio.run(AsyncClient().get("/count/")).content

    assert ["default"] == [span.tags["database"] for span in scout.spans if "database" in span.tags]
    assert f"{VIEWS}.count" == scout.transaction.operation


def test_the_path_of_a_request_of_the_asynchronous_client_has_its_query(scout, shop):
    """Django's client gives a text where servers give bytes."""
    from asgiref.sync import ThreadSensitiveContext
    from django.test import AsyncClient

    async def ask() -> None:
        async with ThreadSensitiveContext():
            await AsyncClient().get("/anonymous/?page=2")

    asyncio.run(ask())

    assert "/anonymous/?page=2" == scout.transaction.tags["path"]


def test_many_rows_at_once_and_statements_that_fail(scout, shop):
    with transaction("Job/import"), connection.cursor() as cursor:
        cursor.executemany("INSERT INTO shop_project_item (name) VALUES (%s)", [("a",), ("b",)])
        with pytest.raises(django.db.Error):
            cursor.execute("SELECT nothing FROM nowhere")

    many, failed = scout.spans
    assert ("SQL/Many", False, "INSERT INTO shop_project_item (name) VALUES (%s)") == (
        many.operation,
        many.error is not None,
        many.tags["statement"],
    )
    assert (QUERY, True) == (failed.operation, failed.error is not None)


def change() -> None:
    with transaction("Job/change"):
        with database.atomic():
            with database.atomic():
                pass
            with pytest.raises(KeyError), database.atomic():
                raise KeyError
        with pytest.raises(KeyError), database.atomic():
            raise KeyError


def test_ends_of_transactions_are_not_recorded_by_default(scout, shop):
    change()

    assert {QUERY} == {span.operation for span in scout.spans}  # of BEGIN and the savepoints


@pytest.mark.scout(plugin_options={"django": {"transactions": True}})
def test_ends_of_transactions_are_recorded_by_option(scout, shop):
    change()

    savepoints = ["Savepoint", "SavepointCommit", "Savepoint", "SavepointRollback", "SavepointCommit"]
    assert [f"SQL/{name}" for name in (*savepoints, "Commit", "Rollback")] == [
        span.operation for span in scout.spans if span.operation != QUERY
    ]


def test_the_cache_framework_is_recorded_without_keys_and_values(scout, client):
    client.get("/cached/")
    caches["database"].set("secret-key", "secret-value")
    with transaction("Job/count"):
        caches["database"].get("secret-key")
        caches["default"].set_many({"a": 1})
        with pytest.raises(ValueError, match="missing"):
            caches["default"].incr("missing")

    assert [
        "Cache/GetOrSet",
        f"{VIEWS}.cached",
        QUERY,
        "Cache/Get",
        "Cache/SetMany",
        "Cache/Incr",
        "Job/count",
    ] == scout.operations
    assert {"backend": "LocMemCache"} == scout.spans[0].tags
    assert "DatabaseCache" == scout.spans[2].tags["backend"]
    assert "secret" not in repr([span.tags for span in scout.spans])


@pytest.mark.parametrize(
    ("path", "status", "is_error", "errors"),
    [
        ("/missing/", 404, False, []),
        ("/item/9/", 404, False, []),
        ("/forbidden/", 403, False, []),
        ("/suspicious/", 400, False, []),
        ("/broken/", 500, True, [("shop_project.views.OutOfStock", False)]),
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_an_exception_is_an_error_if_its_status_is_500(scout, client, path, status, is_error, errors, debug):
    with override_settings(DEBUG=debug):
        assert status == client.get(path).status_code

    web = scout.transaction
    assert path.split("/")[1] == web.operation.rpartition(".")[2]
    assert (is_error, errors) == (web.is_error, [(error.exception, error.handled) for error in web.errors])


def test_neither_settings_nor_headers_nor_cookies_leave_with_an_error(scout, client):
    """Scout's agent sends all settings of the project with each error."""
    client.cookies["plan"] = "cookie-of-ada"
    with override_settings(SECRET_KEY="key-of-the-shop", SHOP_PASSWORD="letters", SHOP_OWNER="ada@shop.test"):
        client.get("/broken/", HTTP_X_SHOP="header-of-ada")

    report = scout.report()
    assert (1, 1) == (len(report.traces), len(report.error_groups))
    sent = encode(report)
    assert b"OutOfStock" in sent
    for secret in (b"key-of-the-shop", b"letters", b"ada@shop.test", b"cookie-of-ada", b"header-of-ada"):
        assert secret not in sent


def test_an_unknown_path_and_a_file_of_another_application_are_not_recorded(scout, client):
    assert 404 == client.get("/nothing/").status_code

    assert [] == scout.operations


def test_the_user_is_known_if_the_application_has_asked_for_it(scout, client, user):
    client.force_login(user)
    scout.forget()
    answers = [client.get(path) for path in ("/account/", "/anonymous/", "/visits/")]

    names = [web.tags.get("username") for web in scout.transactions]
    assert ["ada", None, None] == names
    assert ["Cookie", None, "Cookie"] == [
        answer.headers.get("Vary") if django.VERSION >= (3, 2) else answer.get("Vary") for answer in answers
    ]


@pytest.mark.scout(plugin_options={"django": {"usernames": False}})
def test_the_user_is_not_recorded_by_option(scout, client, user):
    client.force_login(user)
    client.get("/account/")

    assert {None} == {web.tags.get("username") for web in scout.transactions}


def test_nobody_is_logged_in(scout, client):
    assert 302 == client.get("/account/").status_code

    assert "username" not in scout.transaction.tags


def test_pages_of_the_admin_site_have_names_of_their_own(scout, client, user):
    client.force_login(user)
    scout.forget()
    for path in ("/admin/", "/admin/shop_project/item/", "/admin/shop_project/item/1/change/", "/admin/auth/user/"):
        assert 200 == client.get(path).status_code

    assert [
        "Controller/django.contrib.admin.sites.AdminSite.index",
        "Controller/shop_project.admin.ItemAdmin.changelist_view",
        "Controller/shop_project.admin.ItemAdmin.change_view",
        "Controller/django.contrib.auth.admin.UserAdmin.changelist_view",
    ] == [web.operation for web in scout.transactions]


def test_a_stream_and_a_file_end_when_they_are_closed(scout, client):
    response = client.get("/stream/")
    assert [] == scout.transactions
    assert b"tea\njam\n" == b"".join(response.streaming_content)
    response.close()
    assert [QUERY, f"{VIEWS}.stream"] == scout.operations

    scout.forget()
    with_file = client.get("/source/")
    assert b"FileResponse" in b"".join(with_file.streaming_content)
    with_file.close()
    assert [f"{VIEWS}.source"] == scout.operations


def test_a_stream_that_nobody_reads_ends_when_it_is_closed(scout, client):
    for path in ("/stream/", "/source/"):
        client.get(path).close()

    assert [f"{VIEWS}.stream", f"{VIEWS}.source"] == scout.operations
    assert [None, None] == [web.tags.get("abandoned") for web in scout.transactions]


def test_a_request_of_a_factory_is_recorded(scout, shop):
    from django.core.handlers.base import BaseHandler

    handler = BaseHandler()
    handler.load_middleware()
    request = RequestFactory().get("/item/1/")

    assert b"tea" == handler.get_response(request).content
    assert f"{VIEWS}.item" == scout.operations[-1]


def test_commands_are_not_jobs_by_default(scout, shop):
    call_command("clearsessions")

    assert [] == scout.transactions


@pytest.mark.parametrize("commands", [["clearsessions"], ["*"]], ids=repr)
def test_commands_are_jobs_by_option(scout_with, shop, commands):
    with scout_with(commands=commands) as scout:
        call_command("clearsessions")
        call_command("check", stdout=io.StringIO(), stderr=io.StringIO())

    names = [web.operation for web in scout.transactions]
    assert (
        ["Job/manage.clearsessions"] if commands != ["*"] else ["Job/manage.clearsessions", "Job/manage.check"]
    ) == names
    assert QUERY in scout.operations


@pytest.fixture
def scout_with():
    from scout_core.testing import recording

    return lambda **options: recording(plugin_options={"django": options})


def test_connections_of_the_project_are_not_changed(scout, client):
    client.get("/")

    assert [[], []] == [connections[alias].execute_wrappers for alias in connections]
