"""The items of the shop."""

from __future__ import annotations

from django.db import models


class Item(models.Model):
    """Something to buy."""

    name = models.CharField(max_length=50)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.name
