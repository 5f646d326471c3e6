"""
SQL without its literals: ``SELECT * FROM users WHERE id = ? AND name IN (?)``.

A scanner, not a parser: it knows where strings, numbers and comments begin and end in each dialect, and no grammar. A
statement that can be read in two ways is not shown at all, because a misread quote would show the literals and hide the
rest. No pattern reads a character more than a few times, so the time is linear in the length of the statement.

Sources of the patterns: the chapters on lexical structure in the manuals of MySQL 8 ("Literal Values", "Comments"),
PostgreSQL 16 (4.1), SQLite ("SQL Language Expressions", "SQL Comments"), Oracle 19c ("Literals") and SQL Server
("Constants", "Database identifiers").
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from scout_core.text.patterns import pattern
from scout_core.text.sqlite_names import mask_values

UNREADABLE: Final = "<statement that could not be read>"
LONGEST: Final = 16_384
"""Characters of the longest statement that is read."""

_LONGEST_CACHED: Final = 4_096
_TOO_LONG: Final = pattern(r"<statement of \d{5,20} characters>")


def _string(quote: str, escaped: str, prefix: str = "") -> str:
    r"""
    Return the pattern of a string in which a doubled quote is a quote.

    Args:
        escaped: pattern of a backslash with the text that it escapes: ``\\.`` with the next character, ``\\`` with nothing.

    A string never ends right before a word. If it seems to, the quotes were misread: ``'a\' AND b = 'secret'``.
    """
    inside = rf"[^{quote}\\]*"
    return rf"{prefix}{quote}{inside}(?:(?:{quote}{quote}|{escaped}){inside})*{quote}(?![{quote}\w])"


class _Dialect(NamedTuple):
    """Patterns that differ between dialects; ``_scanner`` adds those that all share."""

    literal: tuple[str, ...]
    gap: tuple[str, ...]
    """Comments."""
    unclear: tuple[str, ...]
    """Text that makes the statement unreadable; tried after literals and comments."""
    kept: tuple[str, ...]
    """Names and placeholders that are shown."""
    word: str = r"[^\W\d][\w$]*"
    """An unquoted name."""


# Standard SQL: N national, B bits, X bytes, U& Unicode escapes.
_PREFIX: Final = r"(?:[nNbBxX]|[uU]&)?"
# PostgreSQL 4.1.2.2: the only strings in which a backslash escapes.
_E_STRING: Final = _string("'", r"\\.", "[eE]")
# Oracle: q'[…]' with any delimiter; brackets close with their counterpart.
_Q_STRING: Final = r"[nN]?[qQ]'(?:\[.*?\]|\{.*?\}|\(.*?\)|<.*?>|(?P<q>[^\s\[{(<]).*?(?P=q))'(?!['\w])"
# PostgreSQL 4.1.2.4: $$…$$ and $tag$…$tag$.
_DOLLAR_BEGIN: Final = r"\$(?:[^\W\d]\w*)?\$"
_DOLLAR_TAG: Final = r"\$(?P<tag>(?:[^\W\d]\w*)?)\$"
# A comment to the end of the line. A lone \r ends the line in some dialects only, so such a comment is unclear.
_DASHES: Final = r"--[^\r\n]*(?=\r?\n|\Z)"
# Comments nest in some dialects only: one with another "/*" in it is unclear.
_BLOCK: Final = r"/\*[^*/]*(?:(?:\*(?!/)|/(?!\*))[^*/]*)*\*/"
# MySQL executes /*! … */, and MariaDB /*M! … */: those are not comments.
_IDLE_BLOCK: Final = _BLOCK.replace(r"/\*", r"/\*(?!M?!)", 1)
# A name in double quotes; standard SQL.
_NAME: Final = '"[^"]*(?:""[^"]*)*"(?!["\\w])'
# One that looks like the name of a column or table; SQLite takes any other for a string where such a column is missing.
_PLAIN_NAME: Final = '"[^\\W\\d][\\w .$:-]*"(?!["\\w])'
# SQL Server and SQLite: [name]. Any other bracket is unclear.
_BRACKETED_NAME: Final = r"\[[^\W\d][^]'\"`]*\]"
_OTHER_BRACKET: Final = rf"(?!{_BRACKETED_NAME})\["

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
        # https://sqlite.org/quirks.html: "text" is a string where there is no such column. Text that does not look like a name is one.
        literal=(_string("'", r"\\", _PREFIX), rf"(?!{_PLAIN_NAME}){_NAME}"),
        gap=(_DASHES, _BLOCK),
        unclear=(r"\#", _OTHER_BRACKET),
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
        unclear=(_OTHER_BRACKET,),
        kept=(_BRACKETED_NAME,),
        word=r"(?:[^\W\d]|[@#])[\w$#@]*",
    ),
}
_ALIASES: Final = {
    "mariadb": "mysql",
    "postgres": "postgresql",
    "cockroachdb": "postgresql",
    "sqlite3": "sqlite",
    "microsoft": "mssql",  # the name that mssql-django uses
}

# Any other dialect: text that dialects read differently is unclear, such as a backslash before a quote.
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

# Also hexadecimal (0xff), with exponent (1e-9) and with separators (1_000): all that continues a digit.
_NUMBER: Final = r"\.?\d(?:[eE][+-](?=\d)|[\w.])*"
# Placeholders with a number: ?1 (SQLite), :1 (Oracle), $1 (PostgreSQL).
_NUMBERED: Final = r"[?:$]\d{1,2}(?![\w.])"
# MySQL's quoted names, which SQLite reads, too.
_BACKTICKED: Final = r"`[^`]*(?:``[^`]*)*`(?![`\w])"


def _own_name(dialect: str | None) -> str:
    name = (dialect or "").lower().partition("+")[0]
    return _ALIASES.get(name, name)


@lru_cache(maxsize=16)
def _scanner(dialect: str | None) -> re.Pattern[str]:
    """Return the pattern of the next token of a statement, in one of four groups: ``literal``, ``gap``, ``unclear``, ``kept``."""
    own = _DIALECTS.get(_own_name(dialect), _UNKNOWN)
    literal = (*own.literal, _NUMBER)
    gap = (r"\s", *own.gap)
    unclear = (*own.unclear, r"--", r"/\*")
    # Most of a statement matches in long runs. A run must not take the E of E'…' for a name.
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


# Lists of values that differ in length only, as ORMs write them: `IN (?, ?, ?)`, `= ANY (ARRAY[$1, $2])`.
_VALUE: Final = r"(?:\?\d*|%s|%\(\w+\)s|[:$@]\w+|NULL)(?:::\w+)?"
_VALUES: Final = pattern(rf"(\bIN ?\(|\bARRAY ?\[) ?[-+]?({_VALUE})(?: ?, ?[-+]?{_VALUE})+ ?([)\]])", re.IGNORECASE)
# Inserts of many rows: `VALUES (?, ?), (?, ?)`; MySQL 8 also writes `VALUES ROW(?, ?), ROW(?, ?)`.
_ROW: Final = r"\([^()]*(?:\([^()]*\)[^()]*)*\)"
_ROWS: Final = pattern(rf"(\bVALUES ?|\bIN ?\( ?)(?:ROW ?)?{_ROW}(?: ?, ?(?:ROW ?)?{_ROW})+", re.IGNORECASE)


def mask_sql(statement: str, *, dialect: str | None = None) -> str:
    """
    Return the statement with ``?`` for each literal, without comments, with single spaces and short lists of values.

    Placeholders (``?``, ``%s``, ``%(name)s``, ``:name``, ``$1``, ``@p``) and names stay as they are. ``IN (?, ?, ?)``
    becomes ``IN (?)`` and ``VALUES (?, ?), (?, ?)`` becomes ``VALUES (…)``, so that statements that differ only in the
    number of values are equal.

    Args:
        statement: at most 16,384 characters; only the length is shown of a longer one.
        dialect:
            ``sqlite``, ``postgresql``, ``mysql``, ``mariadb``, ``oracle`` or ``mssql``; ``+driver`` may follow. With any other,
            and None, double quotes contain strings, and a statement that dialects read differently is unreadable. In SQLite
            they contain names where nothing but a name can stand (``FROM "t"``, ``"t"."a"``), and strings elsewhere.

    Returns:
        ``<statement that could not be read>`` when a token is unterminated or can be read in two ways.
    """
    if statement.startswith("<statement of ") and _TOO_LONG.fullmatch(statement):  # cut when its span ended
        return statement
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
        text = mask_values(text)
    return _shortened(text)


def _shortened(text: str) -> str:
    words = text.lower()  # searching for a word takes a fiftieth of the time of a pattern
    if "in (" in words or "in(" in words or "array" in words:
        text = _VALUES.sub(r"\1\2\3", text)
    if "values" in words or "((" in words:
        text = _ROWS.sub(r"\1(…)", text)
    return text


# Applications repeat a few hundred statements. At most 2 MB, if all have the greatest length.
_cached: Final = lru_cache(maxsize=256)(_masked)
