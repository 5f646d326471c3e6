"""Kinds for types of the standard library that are text in a configuration: dates, times, addresses, UUIDs, exact numbers, patterns.

A type is recognised by its name, and makes its own values, so that nothing is imported for it: a plugin that uses it has.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from attrs import evolve

from scout_core.config import kinds
from scout_core.config.durations import duration
from scout_core.config.kinds import Kind
from scout_core.config.urls import Hint

_DATE: Final = r"\d{4}-\d\d-\d\d"
_TIME: Final = r"(?P<time>\d\d:\d\d(:\d\d)?)(\.(?P<fraction>\d+))?(?P<zone>[zZ]|[+-]\d\d:\d\d)?"
_FORMS: Final = {"date": f"(?P<date>{_DATE})", "datetime": f"(?P<date>{_DATE})([Tt ]{_TIME})?", "time": _TIME}


def library_kind(annotation: Any) -> Kind | None:  # Any, here and below: a type, or whatever a person wrote
    """Return the kind of a type of the standard library; None for every other type."""
    make = _MAKERS.get((getattr(annotation, "__module__", ""), getattr(annotation, "__qualname__", "")))
    return None if make is None else make(annotation)


def library_types() -> dict[str, Any]:
    """Import every type of which ``library_kind`` knows the kind; by name."""
    return {name: getattr(import_module(module), name) for module, name in _MAKERS}


def pattern_kind(pattern: type) -> Kind:
    """Return the kind of a compiled regular expression."""

    def convert(value: Any) -> Any:
        if isinstance(value, pattern):
            return value
        if not isinstance(value, str):
            raise ValueError
        try:
            return re.compile(value.strip())
        except re.error as error:
            reason = error.msg.partition("'")[0].strip()  # the rest may be a part of the value
            raise Hint(f"but {reason} at position {error.pos}") from None

    return Kind("a regular expression", convert)


def _timedelta(timedelta: type) -> Kind:
    return evolve(kinds.SECONDS, convert=lambda value: timedelta(seconds=kinds.SECONDS.read(value)), written=duration)


def _moment(kind: type) -> Kind:
    """The kind of ``date``, ``datetime`` or ``time``: text as in ISO 8601, or the value that TOML has for it."""
    name = kind.__name__
    form = re.compile(_FORMS[name], re.ASCII)
    article, example = {
        "date": ("a date", "2026-01-31"),
        "datetime": ("a date and time", "2026-01-31T09:30:00Z"),
        "time": ("a time of day", "09:30"),
    }[name]

    def convert(value: Any) -> Any:
        if isinstance(value, kind) and not (name == "date" and hasattr(value, "hour")):  # a datetime is a date, too
            return value
        if name == "datetime" and hasattr(value, "isoformat") and not hasattr(value, "hour"):
            value = value.isoformat()
        found = form.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is None:
            raise ValueError
        return kind.fromisoformat(_normalised(found.groupdict()))  # type: ignore[attr-defined]  # all three have it

    return Kind(f"{article} such as {example}", convert, written=lambda value: str(value.isoformat()))


def _normalised(parts: dict[str, str | None]) -> str:
    """The form that Python 3.10 understands: a fraction has six digits, and the zone is numeric."""
    time, fraction, zone = parts.get("time"), parts.get("fraction"), parts.get("zone")
    if time and len(time) == len("09:30"):
        time += ":00"
    if time and fraction:
        time += f".{fraction[:6]:0<6}"
    zone = "+00:00" if zone in ("z", "Z") else zone or ""
    return "T".join(filter(None, (parts.get("date"), time))) + zone


def _decimal(decimal: type) -> Kind:
    def convert(value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError
        result = decimal(value.strip() if isinstance(value, str) else str(value))  # not the binary digits of a float
        if not result.is_finite():
            raise ValueError
        return result

    return Kind(kinds.NUMBER.name, convert, written=str)


def _from_text(name: str) -> Callable[[type], Kind]:
    """Make the kind of a class that understands its own text."""

    def make(kind: type) -> Kind:
        def convert(value: Any) -> Any:
            if isinstance(value, kind):
                return value
            if not isinstance(value, str):  # a number would be an address, too
                raise ValueError
            return kind(value.strip())

        return Kind(name, convert, written=str)

    return make


def _network(name: str) -> Callable[[type], Kind]:
    """The same for a network, whose host bits must be 0."""

    def make(kind: type) -> Kind:
        plain = _from_text(name)(kind)

        def convert(value: Any) -> Any:
            try:
                return plain.convert(value)
            except ValueError:
                if not isinstance(value, str):
                    raise
                network = kind(value.strip(), strict=False)
                raise Hint(f"whose host bits are 0: {network}") from None

        return evolve(plain, convert=convert)

    return make


_MAKERS: Final[dict[tuple[str, str], Callable[[Any], Kind]]] = {
    ("datetime", "timedelta"): _timedelta,
    ("datetime", "date"): _moment,
    ("datetime", "datetime"): _moment,
    ("datetime", "time"): _moment,
    ("decimal", "Decimal"): _decimal,
    ("re", "Pattern"): pattern_kind,
    ("uuid", "UUID"): _from_text("a UUID such as 123e4567-e89b-12d3-a456-426614174000"),
    ("ipaddress", "IPv4Address"): _from_text("an IPv4 address such as 192.0.2.1"),
    ("ipaddress", "IPv6Address"): _from_text("an IPv6 address such as 2001:db8::1"),
    ("ipaddress", "IPv4Interface"): _from_text("an IPv4 interface such as 192.0.2.1/24"),
    ("ipaddress", "IPv6Interface"): _from_text("an IPv6 interface such as 2001:db8::1/64"),
    ("ipaddress", "IPv4Network"): _network("an IPv4 network such as 192.0.2.0/24"),
    ("ipaddress", "IPv6Network"): _network("an IPv6 network such as 2001:db8::/32"),
}
