"""The Django application: starts the agent with the settings ``SCOUT_*``."""

from __future__ import annotations

from django.apps import AppConfig  # type: ignore[import-untyped]  # Django has no types

from scout_django.starting import start


class ScoutConfig(AppConfig):  # type: ignore[misc]  # as above
    """Record a Django project: ``INSTALLED_APPS = ["scout_django", …]``."""

    name = "scout_django"
    verbose_name = "Scout"

    def ready(self) -> None:
        """Start the agent."""
        start()
