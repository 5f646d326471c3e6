"""
SQL without its literals: ``SELECT * FROM users WHERE id = ? AND name IN (?)``.

A scanner, not a parser: it knows where strings, numbers and comments begin and end in each dialect, and no grammar. What
it cannot read for certain is not shown at all, since a quote that is read the wrong way round shows the literals and hides
the rest. No pattern looks at a character more than a few times, so the time is linear in the length of the statement.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from scout_core.text.patterns import pattern

UNREADABLE: Final = "<statement that could not be read>"
LONGEST: Final = 16_384
"""Characters of a statement that is still read."""

_LONGEST_CACHED: Final = 4_096


def _string(quote: str, escaped: str, prefix: str = "") -> str:
    r"""
    Pattern of a string, in which two quotes stand for one.

    Args:
        escaped: what a backslash takes with it: ``\\.`` the next character, ``\\`` nothing.

    No string ends right before a word. Where that seems so, the quotes were read the wrong way round: ``'a\' AND b = 'secret'``.
    """
    inside = rf"[^{quote}\\]*"
    return rf"{prefix}{quote}{inside}(?:(?:{quote}{quote}|{escaped}){inside})*{quote}(?![{quote}\w])"


class _Dialect(NamedTuple):
    """Patterns of what reads differently; ``_scanner`` adds what all dialects share."""

    literal: tuple[str, ...]
    gap: tuple[str, ...]
    """Comments."""
    unclear: tuple[str, ...]
    """What makes the statement unreadable; tried after literals and comments."""
    kept: tuple[str, ...]
    word: str = r"[^\W\d][\w$]*"
    """An unquoted name."""


_PREFIX: Final = r"(?:[nNbBxX]|[uU]&)?"
_E_STRING: Final = _string("'", r"\\.", "[eE]")
_Q_STRING: Final = r"[nN]?[qQ]'(?:\[.*?\]|\{.*?\}|\(.*?\)|<.*?>|(?P<q>[^\s\[{(<]).*?(?P=q))'(?!['\w])"
_DOLLAR_BEGIN: Final = r"\$(?:[^\W\d]\w*)?\$"
_DOLLAR_TAG: Final = r"\$(?P<tag>(?:[^\W\d]\w*)?)\$"
_DASHES: Final = r"--[^\r\n]*(?=\r?\n|\Z)"
# Comments do not nest in every dialect: one that seems to is unclear.
_BLOCK: Final = r"/\*[^*/]*(?:(?:\*(?!/)|/(?!\*))[^*/]*)*\*/"
# MySQL runs what stands in /*! … */.
_IDLE_BLOCK: Final = _BLOCK.replace(r"/\*", r"/\*(?!M?!)", 1)
_NAME: Final = '"[^"]*(?:""[^"]*)*"(?!["\\w])'
_PLAIN_NAME: Final = '"[^\\W\\d][\\w .$:-]*"(?!["\\w])'
_BRACKETED_NAME: Final = r"\[[^\W\d][^]'\"`]*\]"

_DIALECTS: Final = {
    "mysql": _Dialect(
        literal=(_string("'", r"\\.", _PREFIX), _string('"', r"\\.")),
        gap=(r"(?:--(?=\s|\Z)|\#)[^\r\n]*(?=\r?\n|\Z)", _IDLE_BLOCK),
        unclear=(r"\#",),
        kept=(),
    ),
    "postgresql": _Dialect(
        literal=(_E_STRING, _string("'", r"\\", _PREFIX), rf"{_DOLLAR_TAG}.*?\$(?P=tag)\$"),
        gap=(_DASHES, _BLOCK),
        unclear=("[eE]'", _DOLLAR_BEGIN),
        kept=(_NAME, r"\$\d{1,5}(?![\w.])"),
    ),
    "sqlite": _Dialect(
        # SQLite takes "text" for a string where there is no such column: what does not look like a name is one.
        literal=(_string("'", r"\\", _PREFIX), rf"(?!{_PLAIN_NAME}){_NAME}"),
        gap=(_DASHES, _BLOCK),
        unclear=(r"\#", rf"\[(?!{_BRACKETED_NAME[2:]})"),
        kept=(_PLAIN_NAME, _BRACKETED_NAME, r"[?:$@]\d{1,5}(?![\w.])"),
    ),
    "oracle": _Dialect(
        literal=(_Q_STRING, _string("'", r"\\", _PREFIX)),
        gap=(_DASHES, _BLOCK),
        unclear=("[nN]?[qQ]'",),
        kept=(_NAME, r":\d{1,5}(?![\w.])"),
        word=r"[^\W\d][\w$#]*",
    ),
    "mssql": _Dialect(
        literal=(_string("'", r"\\", _PREFIX), _string('"', r"\\")),
        gap=(_DASHES, _BLOCK),
        unclear=(rf"\[(?!{_BRACKETED_NAME[2:]})",),
        kept=(_BRACKETED_NAME,),
        word=r"(?:[^\W\d]|[@#])[\w$#@]*",
    ),
}
_ALIASES: Final = {
    "mariadb": "mysql",
    "postgres": "postgresql",
    "cockroachdb": "postgresql",
    "sqlite3": "sqlite",
    "microsoft": "mssql",  # as Django's driver calls it
}

# Any other dialect: what they do not agree on is unclear, such as a backslash before a quote.
_UNKNOWN: Final = _Dialect(
    literal=(
        _E_STRING,
        _string("'", r"\\[^']", _PREFIX),
        _string('"', r'\\[^"]'),
        rf"{_DOLLAR_TAG}[^'\"`]*?\$(?P=tag)\$",
    ),
    gap=(r"--(?:(?=\s|\Z)[^\r\n]*|[^\r\n'\"`$*\\]*)(?=\r?\n|\Z)", _IDLE_BLOCK),
    unclear=("[eE]'", "[nN]?[qQ]'", _DOLLAR_BEGIN, r"\#", r"\[(?![\w\s,.:$?]*\])"),
    kept=(r"\[[^\W\d][\w .$]*\]",),
)

_NUMBER: Final = r"\.?\d(?:[eE][+-](?=\d)|[\w.])*"
_NUMBERED: Final = r"[?:$]\d{1,2}(?![\w.])"
_BACKTICKED: Final = r"`[^`]*(?:``[^`]*)*`(?![`\w])"


def _own_name(dialect: str | None) -> str:
    name = (dialect or "").lower().partition("+")[0]
    return _ALIASES.get(name, name)


@lru_cache(maxsize=16)
def _scanner(dialect: str | None) -> re.Pattern[str]:
    """Whatever can come next in a statement, as one of four groups: ``literal``, ``gap``, ``unclear``, ``kept``."""
    own = _DIALECTS.get(_own_name(dialect), _UNKNOWN)
    literal = (*own.literal, _NUMBER)
    gap = (r"\s", *own.gap)
    unclear = (*own.unclear, r"--", r"/\*")
    # Most of a statement is taken in long runs, which must not take the E of E'…' for a name.
    run = (
        *own.kept,
        _BACKTICKED,
        _NUMBERED,
        rf"(?:{own.word})(?![\w$#@'\"&])",
        r"[(),=*<>;]",
        r"\.(?!\d)",
        r" (?![\s/#-])",
    )
    kept = (f"(?:{'|'.join(run)})+", own.word, r"[^'\"`\\]")
    return re.compile(
        f"(?P<literal>{'|'.join(literal)})|(?P<gap>(?:{'|'.join(gap)})+)"
        f"|(?P<unclear>{'|'.join(unclear)})|(?P<kept>{'|'.join(kept)})|(?P<stray>.)",
        re.DOTALL,
    )


_VALUE: Final = r"(?:\?\d*|%s|%\(\w+\)s|[:$@]\w+|NULL)(?:::\w+)?"
_VALUES: Final = pattern(rf"(\bIN ?\(|\bARRAY ?\[) ?[-+]?({_VALUE})(?: ?, ?[-+]?{_VALUE})+ ?([)\]])", re.IGNORECASE)
_ROW: Final = r"\([^()]*(?:\([^()]*\)[^()]*)*\)"
_ROWS: Final = pattern(rf"(\bVALUES ?|\bIN ?\( ?)(?:ROW ?)?{_ROW}(?: ?, ?(?:ROW ?)?{_ROW})+", re.IGNORECASE)

# Where a value is expected SQLite takes "text" for a string when there is no such column, and who writes it there means one.
_EXPECTS_VALUE: Final = (
    r"(?:[=<>]|\|\||\b(?:LIKE|GLOB|MATCH|REGEXP|ESCAPE|IS|NOT|THEN|ELSE|BETWEEN|BETWEEN [^\s\"]{1,99} AND))"
)
_QUOTED_VALUE: Final = pattern(rf"({_EXPECTS_VALUE} ?)\"[^\"]*\"(?! ?\.)", re.IGNORECASE)
_QUOTED: Final = pattern(r"\"[^\"]*\"(?! ?\.)")
_LISTS: Final = pattern(rf"\b(?:VALUES|IN) ?{_ROW}(?: ?, ?{_ROW})*", re.IGNORECASE)


def mask_sql(statement: str, *, dialect: str | None = None) -> str:
    """
    The statement with ``?`` for each literal, without comments, white space folded, lists of values shortened.

    Placeholders (``?``, ``%s``, ``%(name)s``, ``:name``, ``$1``, ``@p``) and names stay as they are. ``IN (?, ?, ?)``
    becomes ``IN (?)`` and ``VALUES (?, ?), (?, ?)`` becomes ``VALUES (…)``: statements that differ only by the number of
    values are the same.

    Args:
        statement: at most 16,384 characters; of a longer one only the length is told.
        dialect:
            ``sqlite``, ``postgresql``, ``mysql``, ``mariadb``, ``oracle`` or ``mssql``; ``+driver`` may follow. With any other,
            and None, double quotes hold strings, and what dialects do not agree on is not read. In SQLite they hold strings where
            a value is expected, after ``=`` or in ``VALUES (…)``, and names elsewhere.

    Returns:
        ``<statement that could not be read>`` when something is unterminated or can be read in two ways.
    """
    if len(statement) > LONGEST:
        return f"<statement of {len(statement)} characters>"
    if len(statement) > _LONGEST_CACHED:
        return _masked(statement, dialect)
    return _cached(statement, dialect)


def _masked(statement: str, dialect: str | None) -> str:
    parts = []
    for token in _scanner(dialect).finditer(statement):
        kind = token.lastgroup
        if kind == "kept":
            parts.append(token.group())
        elif kind == "literal":
            parts.append("?")
        elif kind == "gap":
            parts.append(" ")
        else:
            return UNREADABLE
    text = "".join(parts).strip()
    if '"' in text and _own_name(dialect) == "sqlite":
        text = _QUOTED_VALUE.sub(r"\1?", _LISTS.sub(_without_quoted, text))
        text = _QUOTED_VALUE.sub(r"\1?", text)  # the second of BETWEEN, now that the first is known
    return _shortened(text)


def _without_quoted(values: re.Match[str]) -> str:
    text = values.group()
    return text if "select" in text.lower() else _QUOTED.sub("?", text)


def _shortened(text: str) -> str:
    words = text.lower()  # looking for a word in it costs a fiftieth of running a pattern over it
    if "in (" in words or "in(" in words or "array" in words:
        text = _VALUES.sub(r"\1\2\3", text)
    if "values" in words or "((" in words:
        text = _ROWS.sub(r"\1(…)", text)
    return text


# Applications repeat some hundred statements. At most 2 MB, if all were of the greatest length.
_cached: Final = lru_cache(maxsize=256)(_masked)
