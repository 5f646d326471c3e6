"""Text or Python values to what an option holds; each raises ValueError with what would have been right."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

TRUE_WORDS = frozenset({"true", "yes", "on", "t", "1"})
FALSE_WORDS = frozenset({"false", "no", "off", "f", "0", ""})


def boolean(value: Any) -> bool:  # Any, here and below: whatever a person wrote
    """``true``, ``yes``, ``on``, ``t``, ``1`` and their opposites, in any case; bools and 0 or 1 pass."""
    word = str(value).strip().lower() if isinstance(value, (bool, int, str)) else None
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ValueError("expected true or false")


def text(value: Any) -> str:
    """Any text, without the white space around it; None is empty."""
    if value is None:
        return ""
    if isinstance(value, (str, int, float, Path)):
        return str(value).strip()
    raise ValueError("expected a text")


def real(value: Any) -> float:
    """A finite number."""
    try:
        result = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        result = math.nan
    if not math.isfinite(result):
        raise ValueError("expected a number")
    return result


def integer(value: Any) -> int:
    """A whole number."""
    try:
        result = real(value)
    except ValueError:
        result = 0.5
    if result != int(result):
        raise ValueError("expected a whole number")
    return int(result)


def number(value: Any) -> float:
    """A finite number that is not negative."""
    try:
        result = real(value)
    except ValueError:
        result = -1
    if result < 0:
        raise ValueError("expected a number, 0 or more")
    return result


def positive(value: Any) -> float:
    """A finite number above 0."""
    result = number(value)
    if result == 0:
        raise ValueError("expected a number above 0")
    return result


def count(value: Any) -> int:
    """A whole number, 0 or more."""
    try:
        result = integer(value)
    except ValueError:
        result = -1
    if result < 0:
        raise ValueError("expected a whole number, 0 or more")
    return result


def rate(value: Any) -> float:
    """A share, 0 to 1; what is above 1 is read as per cent, so 50 is 0.5."""
    result = number(value)
    if result > 100:
        raise ValueError("expected a share from 0 to 1, or per cent up to 100")
    return result / 100 if result > 1 else result


def optional_rate(value: Any) -> float | None:
    """As ``rate``; None and the empty text are None."""
    return None if value is None or value == "" else rate(value)


def names(value: Any) -> tuple[str, ...]:
    """``a, b`` or any sequence of texts; empty items are left out."""
    if value is None:
        return ()
    items: Any = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, Iterable) or isinstance(items, (bytes, Mapping)):
        raise ValueError("expected names separated by commas, or a list")
    found = list(items)
    if not all(isinstance(item, str) for item in found):
        raise ValueError("expected a list of texts")
    return tuple(item.strip() for item in found if item.strip())


def prefixes(value: Any) -> tuple[str, ...]:
    """As ``names``, each without slashes and spaces at its start; an item that is only a slash matches everything."""
    return tuple(item.lstrip("/ ") for item in names(value))


def modules(value: Any) -> tuple[Any, ...]:
    """Names of modules, or the modules themselves."""
    if isinstance(value, str) or value is None:
        return names(value)
    if not isinstance(value, Iterable):
        raise ValueError("expected module names separated by commas, or a list")
    return tuple(value)


def rates(value: Any) -> dict[str, float]:
    """``users/:40, admin:0.5`` or a mapping: prefix of a name to its rate."""
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        pairs = [item.rpartition(":")[::2] for item in value.split(",") if item.strip()]
    elif isinstance(value, Mapping):
        pairs = list(value.items())
    else:
        raise ValueError("expected name:rate pairs separated by commas, or a mapping")
    if not all(str(name).strip() for name, _ in pairs):
        raise ValueError("expected name:rate pairs, such as users:0.5")
    return {str(name).strip().lstrip("/"): rate(share) for name, share in pairs}


def weights(value: Any) -> dict[str, float]:
    """``speed:2, age:0`` or a mapping: policy name to the factor its points are multiplied by."""
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        pairs = [item.rpartition(":")[::2] for item in value.split(",") if item.strip()]
    elif isinstance(value, Mapping):
        pairs = list(value.items())
    else:
        raise ValueError("expected policy:weight pairs separated by commas, or a mapping")
    if not all(str(name).strip() for name, _ in pairs):
        raise ValueError("expected policy:weight pairs, such as speed:2")
    return {str(name).strip(): number(weight) for name, weight in pairs}


def one_of(*allowed: str) -> Any:
    """A converter for one of these words."""

    def convert(value: Any) -> str:
        word = text(value).lower()
        if word not in allowed:
            raise ValueError(f"expected one of {', '.join(allowed)}")
        return word

    return convert
