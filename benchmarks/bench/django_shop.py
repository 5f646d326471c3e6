"""The application of the Django workload: a view with ten queries on SQLite in memory and a template of Django's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.conf import settings

urlpatterns: Final[list[Any]] = []  # Any: Django has no types
"""The URL configuration: by this module's name, because one of the peers sends it."""
SELECTS: Final = 10
ITEMS: Final = 50
TEMPLATE: Final = """<!doctype html>
<title>{{ title }}</title>
<ul>
{% for item in items %}<li class="{% cycle 'odd' 'even' %}">{{ item.id }}: {{ item.name }}, {{ item.price }}</li>
{% endfor %}</ul>
"""


def make_django_app(attach: Callable[[], object]) -> Callable[..., Any]:  # Any: as above
    """
    Create the application: ``/orders`` runs ten queries and renders a template. A process can have only one.

    Args:
        attach: called when the settings are known, before Django is set up with them.
    """
    loaders = [
        (
            "django.template.loaders.cached.Loader",
            [("django.template.loaders.locmem.Loader", {"orders.html": TEMPLATE})],
        )
    ]
    settings.configure(
        SECRET_KEY="benchmark",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=[],
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {"loaders": loaders}}],
        MIDDLEWARE=[  # as in a new project, but without sessions and users, which need queries of their own
            "django.middleware.security.SecurityMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
        ],
        LOGGING_CONFIG=None,
    )
    attach()
    import django

    django.setup()
    from django.core.handlers.wsgi import WSGIHandler
    from django.db import connection, models
    from django.http import HttpRequest, HttpResponse
    from django.shortcuts import render
    from django.urls import path

    class Item(models.Model):
        name = models.CharField(max_length=50)
        price = models.IntegerField()

        class Meta:
            app_label = "shop"

    def orders(request: HttpRequest) -> HttpResponse:
        items = [Item.objects.get(pk=number) for number in range(1, SELECTS + 1)]
        return render(request, "orders.html", {"title": "Orders", "items": items})

    with connection.schema_editor() as editor:
        editor.create_model(Item)
    Item.objects.bulk_create([Item(name=f"Item <{number}>", price=number * 7) for number in range(1, ITEMS + 1)])
    urlpatterns.append(path("orders", orders))
    return WSGIHandler()
