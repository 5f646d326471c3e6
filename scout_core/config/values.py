"""One value with its origin, the choice between several, and what is told of those that cannot be used."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from attrs import frozen

from scout_core.config.origin import Origin
from scout_core.suggest import did_you_mean

_SECRET: Final = re.compile(
    r"token|secret|passw|pwd|credential|(?<![a-z])(?:key|auth|pass|dsn)(?![a-z])", re.IGNORECASE
)
_LONGEST: Final = 100


@frozen
class Value:
    """One value and where it came from."""

    key: str
    value: Any  # Any: each option has its own type
    origin: Origin


def first_usable(
    candidates: Sequence[Value],
    *,
    convert: Callable[[Any], Any],
    default: Value,
    default_told: str,
    problems: list[str],
) -> Value:
    """
    The first value that can be converted; else the default.

    Args:
        candidates: strongest first.
        default_told: what to call the default in a problem.
        problems: gets a sentence for each value that was passed over.
    """
    chosen, failures = default, []
    for candidate in candidates:
        try:
            chosen = Value(candidate.key, convert(candidate.value), candidate.origin)
            break
        except Exception as error:  # noqa: BLE001  # what was given in code can be any object
            told = str(error) if type(error) is ValueError else type(error).__name__
            failures.append(f"{candidate.key} = {shown(candidate.key, candidate.value)} ({candidate.origin}): {told}")
    instead = default_told if chosen is default else f"the value from {chosen.origin}"
    problems.extend(f"{failure}; {instead} is used" for failure in failures)
    return chosen


def shown(key: str, value: object) -> str:
    """A value as it may be printed: not at all when the key says that it is secret."""
    if is_secret(key):
        return "…"
    try:
        return repr(value)[:_LONGEST]
    except Exception:  # noqa: BLE001  # what was given in code can be any object
        return f"<{type(value).__name__}>"


def is_secret(key: str) -> bool:
    """Whether the value of an option must not be printed, by its name."""
    return _SECRET.search(key) is not None


def unknown(name: str, origin: Origin | str, known: Iterable[str]) -> str:
    """The sentence for a key that does not exist."""
    keys = list(known)
    hint = (
        did_you_mean(name, keys) or did_you_mean(name.rpartition(".")[2], keys) or "see scout-core config for all keys"
    )
    return f"{name} ({origin}) is not an option and has no effect; {hint}"
