"""Numbers that plugins return, of any type."""

from __future__ import annotations

from math import isfinite, isinf


def real(value: object, *, limit: float) -> float | None:
    """
    Return a real, finite number of any type, also of numpy, ``Decimal`` or ``Fraction``, as a float.

    Args:
        limit: what a larger number becomes, even one that no float can hold.

    Returns:
        None for everything else, also for a bool, which is a mistake of the plugin.
    """
    from decimal import Decimal  # on the agent's thread, and only for what is neither a float nor None
    from numbers import Real

    try:
        if isinstance(value, bool) or not isinstance(value, (Real, Decimal)):
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
