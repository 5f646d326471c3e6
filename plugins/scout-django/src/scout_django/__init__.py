"""Django requests as transactions, ``Controller/<module>.<view>``; statements, templates and the cache framework as spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scout_core import hookimpl
from scout_django.caches import instrument_caches
from scout_django.commands import instrument_commands
from scout_django.databases import instrument_databases
from scout_django.errors import instrument_errors
from scout_django.options import DjangoOptions
from scout_django.projects import instrument_projects
from scout_django.requests import instrument_requests
from scout_django.starting import forget
from scout_django.templates import instrument_templates

if TYPE_CHECKING:
    from scout_core import Wrap


@hookimpl
def register_options() -> type[DjangoOptions]:
    """Declare the options."""
    return DjangoOptions


@hookimpl
def instrument(wrap: Wrap, options: DjangoOptions | None) -> None:
    """Record requests, the exceptions that are answered, and what a project does in Django's own libraries."""
    options = options or DjangoOptions()
    instrument_projects(wrap, sockets=options.web_sockets)
    instrument_requests(wrap, usernames=options.usernames)
    instrument_errors(wrap)
    instrument_databases(wrap, transactions=options.transactions)
    instrument_templates(wrap)
    instrument_caches(wrap)
    instrument_commands(wrap, options.commands)


@hookimpl
def on_stop() -> None:
    """Follow the settings of the project no longer."""
    forget()
