"""Django with the settings of the project of these tests, set up once: a process can have only one."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Final
from unittest import SkipTest
from urllib.parse import urlsplit

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of Django 3.2, on the Python versions after it
    import django
    from django.conf import settings
    from django.core.cache import cache
    from django.core.management import call_command
    from django.db import connections

from scout_core.testing.servers import postgres_server

if TYPE_CHECKING:
    from shop_project.models import Item

sys.path.insert(0, str(Path(__file__).parent))  # for shop_project

if not settings.configured:
    from shop_project import settings as project

    settings.configure(**{name: value for name, value in vars(project).items() if name.isupper()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        django.setup()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ignore the same warnings while these tests run."""
    for item in items:
        if django.VERSION < (4, 2) and item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))


HAS_DRIVER: Final = bool(find_spec("psycopg2") or (django.VERSION >= (4, 2) and find_spec("psycopg")))
"""Whether this Django can use PostgreSQL: psycopg 3 from Django 4.2 on."""


@contextmanager
def postgres_schema(alias: str) -> Iterator[None]:
    """
    Let a database of the project be an empty schema of PostgreSQL.

    Raises:
        unittest.SkipTest: it is not installed.
    """
    with postgres_server() as url:
        place, schema = urlsplit(url), f"shop_{token_hex(8)}"
        settings.DATABASES[alias].update(
            ENGINE="django.db.backends.postgresql", NAME=place.path[1:], HOST=place.hostname, PORT=place.port,
            USER=place.username, PASSWORD=place.password, OPTIONS={"options": f"-c search_path={schema}"},
        )  # fmt: skip
        if hasattr(connections._connections, alias):  # by a test before
            del connections[alias]
        with connections[alias].cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA {schema}")
        yield
        with connections[alias].cursor() as cursor:
            cursor.execute(f"DROP SCHEMA {schema} CASCADE")
        connections[alias].close()


@pytest.fixture(scope="session", autouse=True)
def _databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """
    Make both databases of the project, once; the second is PostgreSQL where that is installed.

    Before all tests: a thread of asgiref that has connected to a database in memory would keep that connection.
    """
    with ExitStack() as stack:
        for alias in settings.DATABASES:
            file = str(tmp_path_factory.mktemp("shop") / f"{alias}.sqlite3")
            settings.DATABASES[alias]["NAME"] = connections[alias].settings_dict["NAME"] = file
        if HAS_DRIVER:
            with suppress(SkipTest):
                stack.enter_context(postgres_schema("archive"))
        for alias in settings.DATABASES:
            call_command("migrate", database=alias, run_syncdb=True, verbosity=0)
        call_command("createcachetable", verbosity=0)
        yield


@pytest.fixture
def postgres(shop: type[Item]) -> None:
    """Skip the test unless the archive is PostgreSQL."""
    if not HAS_DRIVER:
        pytest.skip("not with a Django that cannot use psycopg 3, unless psycopg2 is installed")
    if connections["archive"].vendor != "postgresql":
        pytest.skip("needs postgres: apt install postgresql")


@pytest.fixture
def shop(_databases: None) -> Iterator[type[Item]]:
    """The model of the items; the database has two of them, and no users or sessions."""
    from django.contrib.auth.models import User
    from django.contrib.sessions.models import Session
    from shop_project.models import Item

    for alias in settings.DATABASES:
        for model in (Item, Session, User):
            model.objects.using(alias).all().delete()
    Item.objects.bulk_create([Item(pk=1, name="tea"), Item(pk=2, name="jam")])
    cache.clear()
    yield Item
    connections.close_all()
