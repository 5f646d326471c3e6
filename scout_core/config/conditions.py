"""
Conditions that attrs's validators set for an option, in words that complete "expected …": ``a whole number from 0 to 3``.

attrs has no way to ask a validator what it allows, so this reads attributes of its classes. If they change, a condition is no
longer shown, but it still holds: the class of the options is made with every value, and attrs refuses it then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, cast

from attrs import Attribute, evolve, frozen, validators
from attrs.validators import (
    and_,
    deep_iterable,
    deep_mapping,
    ge,
    in_,
    instance_of,
    is_callable,
    matches_re,
    max_len,
    min_len,
    not_,
)

from scout_core.config.kinds import ANYTHING, Kind, OwnMessage, among, optional, within
from scout_core.config.types import kind_of
from scout_core.signals import is_from_outside
from scout_core.tracebacks import steps_of

_ANY: Final[Any] = is_callable()  # Any, here and below: attrs does not document the classes of its validators
_AND: Final[Any] = type(and_())
_OPTIONAL: Final[Any] = type(validators.optional(_ANY))
_NUMBER: Final[Any] = type(ge(0))
_IN: Final[Any] = type(in_([0]))
_NOT: Final[Any] = type(not_(_ANY))
_NOT_MESSAGE: Final[Any] = cast("Any", not_(_ANY)).msg
_OR: Final[Any] = type(cast("Any", validators).or_(_ANY, _ANY)) if hasattr(validators, "or_") else None  # attrs >= 24.1
_ITEMS: Final[Any] = type(deep_iterable(_ANY))
_TABLE: Final[Any] = type(deep_mapping(_ANY, _ANY))
_BOUNDS: Final = {">=": "ge", ">": "gt", "<=": "le", "<": "lt"}
_LONGEST: Final = 100


@frozen
class _Condition:
    """A validator of attrs, without the ``and_`` and ``optional`` around it."""

    validator: Any
    allows_none: bool
    attribute: Attribute[Any]

    def check(self, value: Any) -> None:
        """Raise what the validator raises."""
        if value is not None or not self.allows_none:
            self.validator(None, self.attribute, value)


def narrow(kind: Kind, attribute: Attribute[Any]) -> Kind:
    """Return the kind with the conditions of an attribute's validators, except for those that are not attrs's: the class checks them."""
    narrowed = _narrow(kind, attribute.validator, attribute)
    # A converter of the plugin's own runs first, when the class is made, and only its result is checked.
    return narrowed if attribute.converter is None else evolve(narrowed, convert=kind.convert)


def is_from_attrs(error: BaseException) -> bool:
    """Whether a validator of attrs raised the error, so that its text is written for programmers."""
    steps = steps_of(error.__traceback__)
    return bool(steps) and steps[-1].tb_frame.f_globals.get("__name__") == in_.__module__


def _narrow(kind: Kind, validator: Any, attribute: Attribute[Any]) -> Kind:
    conditions = list(_conditions(validator, attribute))
    if not conditions:
        return kind
    if kind.inner is not None:
        inner = _with_all(kind.inner, conditions)
        return optional(inner) if all(map(_allows_none, conditions)) else inner
    return _with_all(kind, conditions)


def _with_all(kind: Kind, conditions: list[_Condition]) -> Kind:
    """Values inside come first, because the other conditions enclose the kind, and bounds next, which belong together."""
    phrases = []
    bounds: dict[str, Any] = {}
    for condition in conditions:
        validator = condition.validator
        if type(validator) in (_ITEMS, _TABLE):
            kind = _with_values(kind, condition)
    for condition in conditions:
        validator = condition.validator
        if type(validator) is _NUMBER:
            name = _BOUNDS[validator.compare_op]
            strictest = max if name in ("ge", "gt") else min
            bounds[name] = strictest(bounds.get(name, validator.bound), validator.bound)
        elif type(validator) is _IN:
            kind = among(kind, validator.options)
        elif type(validator) not in (_ITEMS, _TABLE):
            phrases.append((condition, _phrase(validator, kind)))
    kind = within(kind, **bounds) if bounds else kind
    for condition, phrase in phrases:
        kind = _checked(kind, condition, f"{'and ' if bounds and phrase else ''}{phrase}")
    return kind


def _checked(kind: Kind, condition: _Condition, phrase: str) -> Kind:
    message = condition.validator.msg if type(condition.validator) is _NOT else _NOT_MESSAGE

    def convert(value: Any) -> Any:
        result = kind.read(value)
        try:
            condition.check(result)
        except ValueError as error:
            if message != _NOT_MESSAGE:
                raise OwnMessage(str(error.args[0])) from None
            raise
        return result

    return evolve(kind, name=f"{kind.name} {phrase}".rstrip(), convert=convert)


def _with_values(kind: Kind, condition: _Condition) -> Kind:
    """Narrow the values of a list or a table."""
    validator, attribute = condition.validator, condition.attribute
    of_items: Any = getattr(validator, "member_validator", getattr(validator, "key_validator", None))
    of_values: Any = getattr(validator, "value_validator", None)
    of_all: Any = getattr(validator, "iterable_validator", getattr(validator, "mapping_validator", None))

    def change(of: Any) -> Callable[[Kind], Kind]:
        return lambda inner: _narrow(inner, of, attribute)

    if kind.with_values is not None:
        kind = kind.with_values(change(of_items), change(of_values))
    else:
        kind = _with_each(kind, change(of_items)(ANYTHING), change(of_values)(ANYTHING))
    return _narrow(kind, of_all, attribute)


def _with_each(kind: Kind, item: Kind, table_value: Kind) -> Kind:
    """The same for a kind whose values have no kind of their own: ``anything``."""

    def convert(value: Any) -> Any:
        result = kind.read(value)
        for entry in result:
            item.read(entry)
            if table_value is not ANYTHING:
                table_value.read(result[entry])
        return result

    values = f"each value is {(item if table_value is ANYTHING else table_value).name}"
    return evolve(kind, convert=convert, form=", ".join(filter(None, (kind.form, values))))


def _conditions(validator: Any, attribute: Attribute[Any], *, allows_none: bool = False) -> Iterator[_Condition]:
    if type(validator) is _AND:
        for inner in validator._validators:
            yield from _conditions(inner, attribute, allows_none=allows_none)
    elif type(validator) is _OPTIONAL:
        yield from _conditions(validator.validator, attribute, allows_none=True)
    elif type(validator) in (_NUMBER, _IN, _NOT, _OR, _ITEMS, _TABLE, *_PHRASES):
        yield _Condition(validator, allows_none, attribute)


def _allows_none(condition: _Condition) -> bool:
    try:
        condition.check(None)
    except BaseException as error:  # a validator of the plugin's own may be inside
        if is_from_outside(error):
            raise
        return False
    return True


def _phrase(validator: Any, kind: Kind, *, negated: bool = False) -> str:
    """Words that follow the name of a kind; of a validator that is not attrs's, with its name."""
    if type(validator) is _NOT:
        return _phrase(validator.validator, kind, negated=not negated)
    if type(validator) in (_AND, _OR):
        parts = validator._validators if type(validator) is _AND else validator.validators
        word = " and " if (type(validator) is _AND) is not negated else " or "
        return word.join(_phrase(part, kind, negated=negated) for part in parts)
    if type(validator) is _OPTIONAL:
        return _phrase(validator.validator, kind, negated=negated)
    if type(validator) is _IN:
        return f"{'other than' if negated else 'equal to'} {_choices(validator.options)}"
    describe = _PHRASES.get(type(validator), _of_plugin)
    return describe(validator, kind, negated)


def _of_number(validator: Any, kind: Kind, negated: bool) -> str:
    opposite = {">=": "<", ">": "<=", "<=": ">", "<": ">="}
    operator = opposite[validator.compare_op] if negated else validator.compare_op
    words = {">=": "of at least", ">": "above", "<=": "of at most", "<": "below"}
    return f"{words[operator]} {(kind.written or str)(validator.bound)}"


def _of_length(validator: Any, kind: Kind, negated: bool) -> str:
    is_longest = type(validator) is type(max_len(0))
    count = validator.max_length if is_longest else validator.min_length
    if negated:
        is_longest, count = not is_longest, count + 1 if is_longest else count - 1
    unit = "characters" if kind.with_values is None else "entries"
    return f"{'with' if unit == 'entries' else 'of'} at {'most' if is_longest else 'least'} {count} {unit if count != 1 else _ONE[unit]}"


_ONE: Final = {"characters": "character", "entries": "entry"}


def _of_expression(validator: Any, kind: Kind, negated: bool) -> str:
    pattern = validator.pattern
    name = getattr(validator.match_func, "__name__", "fullmatch")
    begin, match = {"match": ("begins", "begin"), "search": ("contains", "contain")}.get(name, ("matches", "match"))
    joined = {"match": " with a match of", "search": " a match of"}.get(name, "")
    case = ", ignoring case" if pattern.flags & re.IGNORECASE else ""
    return f"that {f'does not {match}' if negated else begin}{joined} {pattern.pattern!r:.{_LONGEST}}{case}"


def _of_type(validator: Any, kind: Kind, negated: bool) -> str:
    given = validator.type if isinstance(validator.type, tuple) else (validator.type,)
    names = " or ".join(getattr(entry, "__name__", str(entry)) for entry in given)
    is_clear = not negated and any(_noun_of(entry) == kind.name.partition(" of ")[0] for entry in given)
    return "" if is_clear else f"{'not ' if negated else ''}of type {names}"


def _noun_of(annotation: Any) -> str | None:
    try:
        return kind_of(annotation).name.partition(" of ")[0]
    except TypeError:
        return None


def _of_callable(validator: Any, kind: Kind, negated: bool) -> str:
    return f"that can{'not' if negated else ''} be called"


def _of_plugin(validator: Any, kind: Kind, negated: bool) -> str:
    name = getattr(validator, "__name__", type(validator).__name__).strip("_")
    return f"that {name} {'refuses' if negated else 'accepts'}"


def _choices(options: Any) -> str:
    texts = (
        [str(getattr(option, "value", option)) for option in options]
        if isinstance(options, Iterable)
        else [str(options)]
    )
    return f"{', '.join(texts):.{_LONGEST}}"


_PHRASES: Final[dict[Any, Callable[[Any, Kind, bool], str]]] = {
    _NUMBER: _of_number,
    type(max_len(0)): _of_length,
    type(min_len(0)): _of_length,
    type(matches_re("")): _of_expression,
    type(instance_of(int)): _of_type,
    type(_ANY): _of_callable,
}
