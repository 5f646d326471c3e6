"""
Texts in double quotes in SQLite's statements: names where nothing but a name can stand, values everywhere else.

SQLite reads ``"text"`` as a name, and as a string where there is no such column (https://sqlite.org/quirks.html#dblquote). So one
that stands where an expression may stand can be a value: ``CASE a WHEN "x"``, ``lower("x")``, ``DEFAULT "x"``, ``SELECT "x"``.

Source of the places: the railroad diagrams of https://sqlite.org/lang.html.
"""

from __future__ import annotations

import re
from typing import Final

from attrs import define

from scout_core.text.patterns import pattern

# A placeholder and another kind of quoted name are tokens, so that `:from` and `[from]` are not keywords.
_TOKEN: Final = pattern(
    r"""
      (?P<quoted> "[^"]*" )
    | (?P<name>   `[^`]*` | \[[^\]]*\] )
    | (?P<word>   [^\W\d][\w$]* )
    | (?P<sign>   [:@$?%]+\(?[\w$]+ | \S )
    """,
    re.VERBOSE,
)
# Before a dot, before a list of arguments or columns, and before the definition of a common table, a window or a column.
_BEFORE: Final = pattern(r" ?(?:\.(?!\d)|\(|\bAS (?:(?:NOT )?MATERIALIZED )?\()", re.IGNORECASE)

# Only a name follows. Some are words that SQLite also takes for names: then an alias follows.
_INTRODUCE: Final = frozenset(
    {
        *(
            "ADD",
            "ANALYZE",
            "AS",
            "COLLATE",
            "COLUMN",
            "CONSTRAINT",
            "DETACH",
            "EXISTS",
            "FROM",
            "INDEX",
            "INTO",
            "JOIN",
        ),
        *("OVER", "PRAGMA", "RECURSIVE", "REFERENCES", "REINDEX", "RELEASE", "RENAME", "SAVEPOINT", "SET", "TABLE"),
        *("TO", "TRIGGER", "UPDATE", "VIEW", "WINDOW", "WITH"),
    }
)
# A list of columns follows: `INSERT INTO t (…)`, `CREATE TABLE t (…)`, `WITH t (…)`, `UNIQUE (…)`, `PRIMARY KEY (…)`.
_LISTED_AFTER_NAME: Final = frozenset({"INTO", "RECURSIVE", "REFERENCES", "TABLE", "WITH"})
_LISTED_AFTER_WORD: Final = frozenset({"SET", "UNIQUE", "USING"})
_LISTED_AFTER_WORDS: Final = frozenset({("ON", "CONFLICT"), ("PRIMARY", "KEY"), ("FOREIGN", "KEY")})
# They end a list of tables or of assignments.
_CLAUSES: Final = frozenset(
    {
        *(
            "BEGIN",
            "END",
            "EXCEPT",
            "FROM",
            "GROUP",
            "HAVING",
            "INTERSECT",
            "LIMIT",
            "OFFSET",
            "ON",
            "ORDER",
            "RETURNING",
        ),
        *("SELECT", "SET", "UNION", "USING", "VALUES", "WHEN", "WHERE", "WINDOW"),
    }
)
_EXPLAIN: Final = frozenset({"EXPLAIN", "QUERY", "PLAN"})
"""Words before a statement that is explained: it is read as it would be without them."""
_OPTIONAL: Final = frozenset({"IF", "NOT", "EXISTS"})
"""Words between ``CREATE TABLE`` and the name."""


@define
class _Level:
    """The state of the reader inside one pair of parentheses."""

    has_names: bool = False
    """A name stands after the parenthesis and after each comma: columns, or their definitions."""
    clause: str = ""
    """The word that began the present clause."""


class _Reader:
    """Reads the tokens of one statement in order."""

    def __init__(self) -> None:
        self.levels = [_Level()]
        self.first = ""
        """The word that the statement begins with, after ``EXPLAIN QUERY PLAN``."""
        self.creates = ""
        """The kind of object that a ``CREATE`` creates, until its first ``ON``: ``INDEX``, ``TABLE``, …; ``nothing`` after that."""
        self.introduced_by = ""
        """The word before the name that is being read, with its dots; empty elsewhere."""
        self.previous = self.before = ""

    def is_name(self, following: bool) -> bool:
        """Whether a quoted text that comes now is a name; ``following``: what follows it proves that."""
        level, previous = self.levels[-1], self.previous
        if self.first == "ATTACH":  # even the schema is an expression
            return False
        if following or previous == ".":
            return True
        if previous in ("(", ",") and level.has_names:
            return True
        if level.clause == "FROM":  # tables, their aliases and indexes
            return True
        if previous == "," and level.clause == "SET":
            return True
        if previous == "BY":
            return self.before == "INDEXED"
        if previous == "ON":
            return self.creates in ("INDEX", "TRIGGER")
        return previous in _INTRODUCE and not self._is_value_after(previous)

    def _is_value_after(self, word: str) -> bool:
        if word == "FROM":
            return self.before == "DISTINCT"  # IS NOT DISTINCT FROM "x"
        if word == "INTO":
            return self.first == "VACUUM"
        return word == "EXISTS" and self.before not in ("IF", "NOT")

    def take(self, text: str, *, is_word: bool, is_name: bool) -> None:
        """Go on after a token."""
        level = self.levels[-1]
        word = text.upper() if is_word and self.previous != "." else ""
        if text == "(":
            self.levels.append(_Level(self._begins_with_names()))
        elif text == ")" and len(self.levels) > 1:
            self.levels.pop()
        if word in _CLAUSES and not (word == "FROM" and self.previous == "DISTINCT"):
            level.clause = word
        if word in _INTRODUCE and not (word == "EXISTS" and self.introduced_by):
            self.introduced_by = word
        elif not (is_name or (is_word and self._continues_name(word)) or text == "."):
            self.introduced_by = ""
        if not self.first:
            self.first = "" if word in _EXPLAIN else word
        elif self.first == "CREATE" and not self.creates and word in ("INDEX", "TABLE", "TRIGGER", "VIEW"):
            self.creates = word
        if self.previous == "ON":
            self.creates = "nothing"
        self.before, self.previous = self.previous, word or ("" if is_word else text)

    def _continues_name(self, word: str) -> bool:
        return word in _OPTIONAL or self.previous == "." or self.previous in _INTRODUCE or self.previous in _OPTIONAL

    def _begins_with_names(self) -> bool:
        """Whether the list in the parenthesis that opens now has a name after the parenthesis and after each comma."""
        if self.previous != self.introduced_by and self.introduced_by in _LISTED_AFTER_NAME:
            return True
        return self.previous in _LISTED_AFTER_WORD or (self.before, self.previous) in _LISTED_AFTER_WORDS


def mask_values(statement: str) -> str:
    """Return the statement with ``?`` for each text in double quotes that can be a value; its other literals are masked already."""
    reader = _Reader()
    parts: list[str] = []
    done = 0
    for token in _TOKEN.finditer(statement):
        text, kind = token.group(), token.lastgroup
        is_name = kind == "name"
        if kind == "quoted":
            is_name = reader.is_name(_BEFORE.match(statement, token.end()) is not None)
            if not is_name:
                parts += (statement[done : token.start()], "?")
                done = token.end()
                text = "?"
        if text == ";":
            reader = _Reader()
        else:
            reader.take(text, is_word=kind == "word", is_name=is_name)
    return "".join((*parts, statement[done:]))
