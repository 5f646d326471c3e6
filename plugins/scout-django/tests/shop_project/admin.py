"""The pages of the admin site."""

from __future__ import annotations

from django.contrib import admin

from shop_project.models import Item


@admin.register(Item)
class ItemAdmin(admin.ModelAdmin):
    """The pages of items."""
