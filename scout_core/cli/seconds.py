"""A number of seconds as an option of a command."""

from __future__ import annotations

import math
from typing import Any

import click

from scout_core.config.options import LONGEST_TIMEOUT


class Seconds(click.FloatRange):
    """Above 0, at most a day, and a number: FloatRange itself accepts NaN."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True, max=LONGEST_TIMEOUT)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:  # Any: as click has it
        """Return it; what cannot be used is an error of usage."""
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return seconds
