"""Kinds of values that options can have: each knows what is expected, in words, and converts text and Python values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Final

from attrs import evolve, frozen

from scout_core.config import readers
from scout_core.config.durations import duration, number, seconds_of
from scout_core.config.urls import Hint, url_of

MOST_CHOICES: Final = 20
"""Further values that are allowed are not listed."""
LONGEST_LIST: Final = 100
"""Characters of a container that cannot be listed."""


@frozen(eq=False)
class Kind:
    """One kind of value."""

    name: str
    """With its article, as it completes "expected …": ``a whole number``."""
    convert: Callable[[Any], Any]  # Any, here and below: whatever a person wrote
    """Text or a Python value to a value of this kind; raises for one that it refuses."""
    form: str = ""
    """Notation, where the name is not enough: ``or a percentage up to 100``."""
    written: Callable[[Any], str] | None = None
    """Writes a value as a person does; None: Python's notation is the same."""
    inner: Kind | None = None
    """The kind without None, where None is allowed; else None."""
    with_values: Callable[[Change, Change], Kind] | None = None
    """Changes the kinds of a list's values, or of a table's keys and values; None where the kind contains no values."""

    @property
    def expected(self) -> str:
        """Name and form: what documentation, commands and problems show."""
        return f"{self.name}, {self.form}" if self.form else self.name

    def read(self, value: Any) -> Any:
        """
        Convert a value.

        Raises:
            ValueError: it is refused; the message names what was expected. Objects given in code may raise anything else.
        """
        try:
            return self.convert(value)
        except OwnMessage as message:
            raise ValueError(str(message)) from None
        except Hint as hint:
            raise ValueError(f"expected {self.expected}, {hint}") from None
        except (ValueError, TypeError, ArithmeticError, LookupError, StopIteration):
            raise ValueError(f"expected {self.expected}") from None


Change = Callable[[Kind], Kind]


class OwnMessage(ValueError):
    """A value that is refused with a message of its own, instead of the kind that was expected."""


class Unsupported(Kind):
    """The kind of an option whose type is not supported; ``form`` is the reason."""

    @property
    def expected(self) -> str:
        """Name and reason."""
        return f"{self.name}: {self.form}"

    def read(self, value: Any) -> Any:
        """Refuse it."""
        raise ValueError(self.form)


def within(
    kind: Kind,
    *,
    ge: Any = None,  # Any, here and below: bounds of the kind's own type
    gt: Any = None,
    le: Any = None,
    lt: Any = None,
) -> Kind:
    """Return a kind with bounds, which have the names of attrs's validators."""
    written = kind.written or str
    bounds = {"above": gt, "of at least": ge, "below": lt, "of at most": le}
    limits = " and ".join(f"{text} {written(bound)}" for text, bound in bounds.items() if bound is not None)
    if ge is not None and le is not None and gt is lt is None:
        limits = f"from {written(ge)} to {written(le)}"

    def convert(value: Any) -> Any:
        result = kind.read(value)
        if result is None:
            return None
        is_inside = (ge is None or result >= ge) and (gt is None or result > gt)
        if not (is_inside and (le is None or result <= le) and (lt is None or result < lt)):
            raise ValueError
        return result

    return evolve(kind, name=f"{kind.name} {limits}", convert=convert)


def among(kind: Kind, choices: Any) -> Kind:
    """Return a kind that allows only some values, those in a list, a range or another container; text matches in any case."""
    written = kind.written or (lambda choice: str(getattr(choice, "value", choice)))
    listed = (
        [*islice(choices, MOST_CHOICES + 1)] if isinstance(choices, Iterable) and not isinstance(choices, str) else []
    )

    def convert(value: Any) -> Any:
        result = kind.read(value)
        if result is None or result in choices:
            return result
        return next(choice for choice in listed if str(choice).lower() == str(result).lower())

    if isinstance(choices, range) and choices and choices.step == 1:
        return evolve(kind, name=f"{kind.name} from {choices[0]} to {choices[-1]}", convert=convert)
    if not listed:
        return evolve(kind, name=f"{kind.name} that is in {choices!r:.{LONGEST_LIST}}", convert=convert)
    names = [written(choice) for choice in listed if choice is not None]
    more = ", …" if len(names) > MOST_CHOICES else ""
    return Kind(f"one of {', '.join(names[:MOST_CHOICES])}{more}", convert, kind.form, kind.written)


def choice_of(values: Iterable[Any], names: Iterable[str] | None = None) -> Kind:
    """
    Return a choice between values, each given itself or as text in any case.

    Args:
        names: further text for each value, in the same order; this is what is shown.
    """
    allowed = list(values)
    shown = list(names) if names is not None else [str(value) for value in allowed]

    def convert(value: Any) -> Any:
        for choice in allowed:
            if choice is value or (type(choice) is type(value) and choice == value):
                return choice
        word = readers.text(value).lower() if value is not None else None
        for texts in (map(str, allowed), shown):
            for choice, text in zip(allowed, texts, strict=True):
                if text.lower() == word:
                    return choice
        raise ValueError

    return Kind(f"one of {', '.join(shown)}", convert)


def optional(kind: Kind) -> Kind:
    """Return a kind that also allows None, for which empty text stands."""

    def convert(value: Any) -> Any:
        return None if value is None or (isinstance(value, str) and not value.strip()) else kind.read(value)

    form = f"{kind.form}, or empty" if kind.form else "or empty"
    return evolve(kind, convert=convert, form=form, inner=kind, with_values=None)


def list_of(item: Kind, make: Callable[[list[Any]], Any] = tuple, *, plural: str = "") -> Kind:
    """Return a kind for ``a, b`` and iterables other than mappings; empty items are skipped. None is an empty list."""

    def convert(value: Any) -> Any:
        items: Any = () if value is None else value.split(",") if isinstance(value, str) else value
        if not isinstance(items, Iterable) or isinstance(items, (bytes, Mapping)):
            raise ValueError
        return make([item.read(entry) for entry in items if not (isinstance(entry, str) and not entry.strip())])

    def with_values(change: Change, _: Change) -> Kind:
        changed = change(item)
        return list_of(changed, make, plural=plural if changed is item else "")

    items_of = "" if plural else f"; each value is {item.expected}"
    name = f"a list of {plural or 'values'}"
    return Kind(name, convert, f"separated by commas{items_of}", with_values=with_values)


def table_of(
    value_kind: Kind, *, key: Kind | None = None, names: tuple[str, str] = ("key", "value"), example: str = ""
) -> Kind:
    """Return a kind for ``a:1, b:2`` and mappings. None and empty text are an empty table."""
    key_kind = key or TEXT

    def convert(value: Any) -> dict[Any, Any]:
        if value is None:
            return {}
        if isinstance(value, str):
            pairs = [item.rpartition(":")[::2] for item in value.split(",") if item.strip()]
        elif isinstance(value, Mapping):
            pairs = list(value.items())
        else:
            raise ValueError
        if not all(str(name).strip() for name, _ in pairs):
            raise ValueError
        return {key_kind.read(name): value_kind.read(entry) for name, entry in pairs}

    def with_values(change_key: Change, change: Change) -> Kind:
        return table_of(change(value_kind), key=change_key(key_kind), names=names, example=example)

    such_as = f", such as {example}" if example else ""
    own = f"a {names[1]} "  # not "each share is a share"
    value_is = (
        value_kind.expected.replace(own, "a number ", 1) if value_kind.name.startswith(own) else value_kind.expected
    )
    key_is = "" if key_kind.name == TEXT.name else f"each {names[0]} is {key_kind.expected}, "
    form = f"separated by commas{such_as}; {key_is}each {names[1]} is {value_is}"
    return Kind(f"a table of {names[0]}:{names[1]} pairs", convert, form, with_values=with_values)


ANYTHING: Final = Kind("anything", lambda value: value)
BOOLEAN: Final = Kind("true or false", readers.boolean)
TEXT: Final = Kind("text", readers.text)
WORD: Final = Kind("text", readers.word)
"""For lists: only text, because a number or None among names is a mistake."""
NUMBER: Final = Kind("a number", number)
INTEGER: Final = Kind("a whole number", readers.integer)
COUNT: Final = within(INTEGER, ge=0)
SHARE: Final = Kind("a share from 0 to 1", readers.share, "or a percentage up to 100")
SECONDS: Final = Kind("a duration", seconds_of, "in seconds or as 500 ms, 2 min, 1h30m", written=duration)
PATH: Final = Kind("a path", readers.path)
URL: Final = Kind("a URL such as http://127.0.0.1:7600", lambda value: url_of(readers.text(value)))
"""Of HTTP. Empty text is allowed."""
NAMES: Final = list_of(WORD, plural="names")
PLACES: Final = list_of(WORD, plural="modules or folders")
PREFIXES: Final = list_of(Kind("text", lambda value: readers.word(value).lstrip("/ ")), plural="prefixes")
EXCEPTIONS: Final = list_of(
    Kind("text", readers.exception),
    plural="classes of exceptions or their dotted names, such as KeyError or shop.errors.NotFound",
)
MODULES: Final = list_of(Kind("a module", readers.module), plural="module names")
_NAME: Final = Kind("text", lambda value: readers.text(value).lstrip("/"))
SHARES: Final = table_of(SHARE, key=_NAME, names=("name", "share"), example="users:0.5")
WEIGHT: Final = within(NUMBER, ge=0)
WEIGHTS: Final = table_of(WEIGHT, names=("policy", "weight"), example="speed:2")
