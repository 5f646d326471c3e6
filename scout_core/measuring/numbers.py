"""Numbers that plugins return, of any type."""

from __future__ import annotations

from math import isfinite, isinf
from typing import TYPE_CHECKING, Final

from scout_core.fork_lock import importing

if TYPE_CHECKING:
    from typing import SupportsFloat

    from typing_extensions import TypeIs

_PLAIN: Final = (float, int)


def real(value: object, *, limit: float) -> float | None:
    """
    Return a real, finite number of any type, also of numpy, ``Decimal`` or ``Fraction``, as a float.

    Args:
        limit: what a larger number becomes, even one that no float can hold.

    Returns:
        None for everything else, also for a bool, which is a mistake of the plugin.
    """
    try:
        if not _is_number(value):
            return None
        try:
            number = float(value)
        except OverflowError:  # a huge int or Fraction
            return limit if value > 0 else -limit  # type: ignore[operator]
        if isinf(number) and value != number:  # a huge Decimal
            return limit if number > 0 else -limit
    except Exception:  # noqa: BLE001  # foreign code: a number of any package
        return None
    return max(-limit, min(number, limit)) if isfinite(number) else None


def _is_number(value: object) -> TypeIs[SupportsFloat]:
    if type(value) in _PLAIN:
        return True
    with importing:  # on the agent's thread
        from decimal import Decimal
        from numbers import Real

    return isinstance(value, (Real, Decimal)) and not isinstance(value, bool)
