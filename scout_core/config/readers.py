"""
Functions that read one value of an option, from text or from a Python value.

Each raises ValueError for anything else; the kind of the option adds what was expected.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from scout_core.config.durations import number

_TRUE: Final = frozenset({"true", "yes", "on", "t", "1"})
_FALSE: Final = frozenset({"false", "no", "off", "f", "0"})


def boolean(value: Any) -> bool:
    """Read ``yes``, ``off``, ``1`` and the like."""
    word = str(value).strip().lower() if isinstance(value, (bool, int, str)) else None
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError


def text(value: Any) -> str:
    """Read any scalar as text without white space around it; None is empty."""
    if value is None:
        return ""
    if isinstance(value, (str, int, float, Path)):
        return str(value).strip()
    raise ValueError


def word(value: Any) -> str:
    """Read a text, and nothing else."""
    if not isinstance(value, str):
        raise ValueError  # the caller adds what was expected
    return value.strip()


def integer(value: Any) -> int:
    """Read a whole number, also from text such as ``1e3``."""
    result = number(value)
    if result != int(result):
        raise ValueError
    try:
        return int(value)  # exact, where a float is not
    except ValueError:  # text such as 5.0 or 1e3
        return int(result)


def share(value: Any) -> float:
    """Read a share from 0 to 1, or a percentage."""
    is_percentage = isinstance(value, str) and value.rstrip().endswith("%")
    result = number(value.rstrip().removesuffix("%") if is_percentage else value)
    if not 0 <= result <= 100:
        raise ValueError
    return result / 100 if is_percentage or result > 1 else result


def path(value: Any) -> Path:
    """Read a path; ``~`` is the home folder."""
    if not isinstance(value, (str, Path)) or not str(value).strip():
        raise ValueError
    return Path(str(value).strip()).expanduser()


def exception(value: Any) -> Any:
    """Read a class of exceptions, or its dotted name; ``module:Class`` is the same name."""
    if isinstance(value, type) and issubclass(value, BaseException):
        return value
    name = word(value).replace(":", ".")
    if not all(part.isidentifier() or part == "<locals>" for part in name.split(".")):
        raise ValueError
    return name


def module(value: Any) -> Any:
    """Read the name of a module, or the module itself."""
    if isinstance(value, str):
        return value.strip()
    return value
