"""
Tags that may leave the process: plain values, bounded, without secrets.

Values come from applications and may be anything. No method of a foreign object is called: no ``repr``, ``str``, ``bool`` or
``==``, not even ``isinstance``, which reads the object's ``__class__``. Only the name of its type is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, time, timezone
from enum import Enum
from functools import lru_cache
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Final, cast

from scout_core.tag_values import KEY_READ, LARGEST, LONGEST_SHOWN_KEY, MOST_TAGS, PRINTED_TYPES, is_type
from scout_core.text.keys import FILTERED, is_sensitive
from scout_core.text.links import clean_urls
from scout_core.text.listed import forgets_with_names
from scout_core.text.plain import beginning, cut, exact, plain
from scout_core.text.secrets import is_card_number, scrub
from scout_core.text.sql import mask_sql
from scout_core.text.url import public_url

if TYPE_CHECKING:
    from scout_core.measuring.error_report import TagValue

LONGEST_VALUE: Final = 2_000

_MOST_READ: Final = 10_000
_ATTEMPTS: Final = 100

# The descriptors themselves: `kind.__name__` would look in a metaclass first, `member.name` in a subclass.
_type_name: Final[Callable[[type], str]] = type.__dict__["__name__"].__get__
_attributes: Final[Callable[[object], dict[str, object]]] = Enum.__dict__["__dict__"].__get__


def clean_tags(tags: Mapping[str, object]) -> tuple[dict[str, TagValue], int]:
    """
    Return the tags that may leave the process, and the number of those that were dropped.

    Args:
        tags: any mapping; another thread may change it at the same time.

    Returns:
        At most 64 tags; keys of at most 100 characters to text of at most 2,000 characters (``…`` ends what was longer),
        int of at most 64 bits, finite float, bool or None. Under ``statement``: SQL without literals, in the dialect of the
        tag ``dialect``. URLs are without query, fragment and user. Under sensitive keys: ``[FILTERED]``. Other objects: ``<TypeName>``.
    """
    items, dropped = _first_items(tags)
    dialect = next(
        (value for key, value in items if type(key) is str and key == "dialect" and type(value) is str), None
    )
    cleaned: dict[str, TagValue] = {}
    for key, value in items:
        name, is_hidden = _clean_key(_key_text(key))
        if name in cleaned:
            dropped += 1
        elif value is None:
            cleaned[name] = None
        elif is_hidden:
            cleaned[name] = FILTERED
        elif issubclass(type(value), str):
            cleaned[name] = _clean_text(name, exact(cast(str, value)), dialect)
        else:
            cleaned[name] = _clean_other(value)
    return cleaned, dropped


def _first_items(tags: Mapping[str, object]) -> tuple[list[tuple[object, object]], int]:
    """Return the first 64 items, and the number of the others."""
    if not issubclass(type(tags), dict):
        return _foreign_items(tags)
    exact_tags = cast("dict[object, object]", tags)
    for _ in range(_ATTEMPTS):
        try:
            items = list(islice(dict.items(exact_tags), MOST_TAGS))
        except RuntimeError:  # another thread added or removed a tag during the copy
            continue
        return items, max(0, dict.__len__(exact_tags) - len(items))
    return [], dict.__len__(exact_tags)


def _foreign_items(tags: Mapping[str, object]) -> tuple[list[tuple[object, object]], int]:
    try:
        items: list[tuple[object, object]] = [(key, value) for key, value in islice(tags.items(), _MOST_READ)]
    except Exception:  # noqa: BLE001  foreign code: a mapping that the application defines
        return [], 1
    return items[:MOST_TAGS], max(0, len(items) - MOST_TAGS)


def _key_text(key: object) -> str:
    if issubclass(type(key), str):
        return exact(cast(str, key))[:KEY_READ]
    return str(_raw_value(key))


@lru_cache(maxsize=1_024)
def _clean_key(key: str) -> tuple[str, bool]:
    return cut(scrub(beginning(key, LONGEST_SHOWN_KEY)), LONGEST_SHOWN_KEY), is_sensitive(key)


forgets_with_names(_clean_key.cache_clear)


def _clean_text(name: str, text: str, dialect: str | None) -> str:
    if name == "statement":
        return cut(plain(mask_sql(text, dialect=dialect)), LONGEST_VALUE)
    if name == "url":
        return public_url(text)
    scrubbed = scrub(beginning(text, LONGEST_VALUE))
    return cut(
        scrubbed if name == "path" else clean_urls(scrubbed), LONGEST_VALUE
    )  # filtered_path() has cleaned a path


def _clean_other(value: object) -> TagValue:
    raw = _raw_value(value)
    if type(raw) is str:
        return cut(scrub(beginning(raw, LONGEST_VALUE)), LONGEST_VALUE)
    if type(raw) in (int, float) and is_card_number(str(int(cast(float, raw)))):
        return FILTERED
    return raw


def _raw_value(value: object) -> TagValue:
    """Return the value, its text or the name of its type, without calling any of its methods; not cleaned yet."""
    kind = type(value)
    if kind is bool or value is None:
        return cast("bool | None", value)
    if issubclass(kind, int):
        number = int.__add__(cast(int, value), 0)
        return number if -LARGEST < number < LARGEST else "<int>"
    if issubclass(kind, float):
        real = float.__add__(cast(float, value), 0.0)
        return real if isfinite(real) else None
    if issubclass(kind, Enum):
        return _member(value, kind)
    if kind is datetime or kind is time:
        return _moment(cast("datetime | time", value))
    if _is_safe_to_print(value, kind):
        return str(value)
    return _type_text(kind)


def _type_text(kind: type) -> str:
    """Return ``<TypeName>``. The name may be an instance of a subclass of ``str``, so none of its methods is called either."""
    return f"<{exact(_type_name(kind))[:LONGEST_SHOWN_KEY]}>"


def _member(value: object, kind: type) -> str:
    name = _attributes(value).get("_name_")
    return f"{_type_text(kind)[1:-1]}.{name}" if type(name) is str else _type_text(kind)


def _moment(value: datetime | time) -> str:
    zone = value.tzinfo
    if zone is None or type(zone) is timezone or is_type("zoneinfo", "ZoneInfo", type(zone)):
        return value.isoformat()
    return f"{value.replace(tzinfo=None).isoformat()} {_type_text(type(zone))}"  # utcoffset() would be foreign code


def _is_safe_to_print(value: object, kind: type) -> bool:
    name = exact(_type_name(kind))
    module = PRINTED_TYPES.get(name)
    if module is None or not is_type(module, name, kind):
        return False
    if (
        module == "pathlib"
    ):  # Python >= 3.12 keeps the parts, which may be of a subclass of str, and joins them in str()
        return all(type(part) is str for part in getattr(value, "_raw_paths", ()))
    return module != "uuid" or type(getattr(value, "int", None)) is int
