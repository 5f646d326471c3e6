"""Numbers that plugins and libraries return, of any type; and ids, which are numbers in a process and texts outside it."""

from __future__ import annotations

import sys
from math import isfinite, isinf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import SupportsFloat

    from typing_extensions import TypeIs

_PLAIN: Final = (float, int)
_OTHERS: Final = (("numbers", "Real"), ("decimal", "Decimal"))
"""Modules and classes of other real numbers, such as those of numpy, which exist only where these modules are imported."""
_64_BITS: Final = 2**64 - 1


def real(value: object, *, limit: float) -> float | None:
    """
    Return a real, finite number of any type, also of numpy, ``Decimal`` or ``Fraction``, as a float.

    Args:
        limit: what a larger number becomes, even one that no float can hold.

    Returns:
        None for everything else, also for a bool, which is a mistake of the plugin.
    """
    try:
        if not is_number(value):
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


def is_number(value: object) -> TypeIs[SupportsFloat]:
    """
    Whether it is a real number of any type, but not a bool; nothing is imported.

    Raises:
        Exception: whatever a class of the application raises when it is asked for its base classes.
    """
    if type(value) in _PLAIN:
        return True
    if isinstance(value, bool):
        return False
    kinds = (getattr(sys.modules.get(module), name, None) for module, name in _OTHERS)
    return isinstance(value, _PLAIN) or any(kind is not None and isinstance(value, kind) for kind in kinds)


def hex_id(number: int) -> str:
    """Return the id of a transaction as it leaves the process, 16 hexadecimal digits."""
    return f"{number & _64_BITS:016x}"
