from __future__ import annotations

import re
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scout_core.text import sql
from scout_core.text.sql import LONGEST, UNREADABLE, mask_sql
from tests.growth import growth

DIALECTS = ("sqlite", "postgresql", "mysql", "mariadb", "oracle", "mssql")

# Equal in every dialect, and without a dialect.
EVERYWHERE = [
    ("", ""),
    ("SELECT 1", "SELECT ?"),
    ("SELECT * FROM users WHERE name = 'ann'", "SELECT * FROM users WHERE name = ?"),
    ("SELECT 'it''s', ''''", "SELECT ?, ?"),
    ("SELECT ''", "SELECT ?"),
    ("SELECT N'ann', b'0101', X'1F', x'beef'", "SELECT ?, ?, ?, ?"),
    ("SELECT 42, -42, 4.2, .5, 5., 1e10, 1.5E-3, 0x1F, 0b11, 1_000", "SELECT ?, -?, ?, ?, ?, ?, ?, ?, ?, ?"),
    ("SELECT t1.c2, utf8mb4, _3a FROM t1", "SELECT t1.c2, utf8mb4, _3a FROM t1"),
    ("SELECT a+1,b*2,c/3 FROM t", "SELECT a+?,b*?,c/? FROM t"),
    ("SELECT *\n\tFROM   t  \r\n WHERE a=1\n", "SELECT * FROM t WHERE a=?"),
    ("SELECT 1 -- the 'first' one\nFROM t", "SELECT ? FROM t"),
    ("SELECT 1 --\nFROM t", "SELECT ? FROM t"),
    ("SELECT 1 -- it's the last", "SELECT ?"),
    ("SELECT /* ann's 'note' */ 1", "SELECT ?"),
    ("SELECT/**/1/***/FROM/* / * */t", "SELECT ? FROM t"),
    ("SELECT '-- no comment', '/* nor this */' FROM t", "SELECT ?, ? FROM t"),
    ("SELECT 'two\nlines'", "SELECT ?"),
    ("SELECT 'naïve ünïcode – 測試'", "SELECT ?"),
    ("SELECT größe FROM straße WHERE größe > 10", "SELECT größe FROM straße WHERE größe > ?"),
    ("SELECT `1st col` FROM `it``s 5`", "SELECT `1st col` FROM `it``s 5`"),
    ("SELECT DATE '2024-05-06', INTERVAL '3' DAY", "SELECT DATE ?, INTERVAL ? DAY"),
    ("SELECT TRUE, NULL, CURRENT_TIMESTAMP", "SELECT TRUE, NULL, CURRENT_TIMESTAMP"),
    ("SELECT * FROM t WHERE a = ? AND b = %s", "SELECT * FROM t WHERE a = ? AND b = %s"),
    ("UPDATE t SET a = :name, b = %(b_1)s", "UPDATE t SET a = :name, b = %(b_1)s"),
    ("SELECT * FROM t WHERE a = $1 AND b = @p1 AND c = :2", "SELECT * FROM t WHERE a = $1 AND b = @p1 AND c = :2"),
    ("SELECT * FROM t WHERE a IN (1, 2,3 , 4)", "SELECT * FROM t WHERE a IN (?)"),
    ("SELECT * FROM t WHERE a in('x','y')", "SELECT * FROM t WHERE a in(?)"),
    ("SELECT * FROM t WHERE a IN (-1, +2)", "SELECT * FROM t WHERE a IN (?)"),
    ("SELECT * FROM t WHERE a NOT IN (%s, %s, %s)", "SELECT * FROM t WHERE a NOT IN (%s)"),
    ("SELECT * FROM t WHERE a IN (%(a_1)s, %(a_2)s)", "SELECT * FROM t WHERE a IN (%(a_1)s)"),
    ("SELECT * FROM t WHERE a IN ($1::INTEGER, $2::INTEGER)", "SELECT * FROM t WHERE a IN ($1::INTEGER)"),
    ("SELECT * FROM t WHERE a IN (1)", "SELECT * FROM t WHERE a IN (?)"),
    (
        "SELECT * FROM t WHERE a IN (SELECT b FROM u WHERE c = 1)",
        "SELECT * FROM t WHERE a IN (SELECT b FROM u WHERE c = ?)",
    ),
    ("SELECT * FROM t WHERE (a, b) IN ((1, 2), (3, 4))", "SELECT * FROM t WHERE (a, b) IN ((…))"),
    ("SELECT * FROM t WHERE f_in (1, 2)", "SELECT * FROM t WHERE f_in (?, ?)"),
    ("INSERT INTO t (a, b) VALUES (1, 'x')", "INSERT INTO t (a, b) VALUES (?, ?)"),
    ("INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y') ,(3, 'z')", "INSERT INTO t (a, b) VALUES (…)"),
    ("INSERT INTO t VALUES (now(), f(1)), (now(), f(2)) RETURNING id", "INSERT INTO t VALUES (…) RETURNING id"),
    ("INSERT INTO t (a) VALUES (?), (?), (?)", "INSERT INTO t (a) VALUES (…)"),
    ("SELECT f('a', 1) FROM t LIMIT 10 OFFSET 20;", "SELECT f(?, ?) FROM t LIMIT ? OFFSET ?;"),
]


@pytest.mark.parametrize(("statement", "masked"), EVERYWHERE)
def test_statements_that_all_dialects_read_alike(statement, masked):
    dialects = (None, "snowflake", *DIALECTS)

    assert dict.fromkeys(dialects, masked) == {dialect: mask_sql(statement, dialect=dialect) for dialect in dialects}


@pytest.mark.parametrize(
    ("dialect", "statement", "masked"),
    [
        # double quotes
        ("sqlite", 'SELECT "user name" FROM "order"', 'SELECT ? FROM "order"'),
        ("sqlite", 'SELECT * FROM t WHERE a = "ann@example.com"', "SELECT * FROM t WHERE a = ?"),
        ("sqlite", 'SELECT * FROM t WHERE a = "4111 1111"', "SELECT * FROM t WHERE a = ?"),
        ("sqlite", 'SELECT id FROM t WHERE password = "hunter2"', "SELECT id FROM t WHERE password = ?"),
        (
            "sqlite",
            'SELECT id FROM t WHERE a<>"x" OR b LIKE "y" OR c is not "z"',
            "SELECT id FROM t WHERE a<>? OR b LIKE ? OR c is not ?",
        ),
        ("sqlite", 'SELECT id FROM t WHERE a BETWEEN "x" AND "y"', "SELECT id FROM t WHERE a BETWEEN ? AND ?"),
        (
            "sqlite",
            'SELECT id FROM t WHERE a IN ("x", "y") AND "order" = 1',
            "SELECT id FROM t WHERE a IN (?) AND ? = ?",
        ),
        (
            "sqlite",
            'SELECT id FROM t WHERE a IN (SELECT "x" FROM "u")',
            'SELECT id FROM t WHERE a IN (SELECT ? FROM "u")',
        ),
        ("sqlite", 'INSERT INTO t ("a", b) VALUES (2, "secret")', 'INSERT INTO t ("a", b) VALUES (?, ?)'),
        ("sqlite", 'SELECT 1 FROM t JOIN u ON t.a = "order"."id"', 'SELECT ? FROM t JOIN u ON t.a = "order"."id"'),
        ("postgresql", 'SELECT "t"."a ""b"" 1" FROM "t"', 'SELECT "t"."a ""b"" 1" FROM "t"'),
        ("oracle", 'SELECT "A 1" FROM "T"', 'SELECT "A 1" FROM "T"'),
        ("mysql", 'SELECT "ann", "it\'s", "a""b" FROM t', "SELECT ?, ?, ? FROM t"),
        ("mssql", 'SELECT "ann" FROM t', "SELECT ? FROM t"),
        (None, 'SELECT "ann" FROM t', "SELECT ? FROM t"),
        ("clickhouse", 'SELECT "ann" FROM t', "SELECT ? FROM t"),
        # backslashes
        ("mysql", r"SELECT 'it\'s', 'a\\', 'b'", "SELECT ?, ?, ?"),
        ("mariadb", r'SELECT "a \"b\"", 1', "SELECT ?, ?"),
        ("sqlite", r"SELECT * FROM t WHERE a LIKE 'x\_y' ESCAPE '\'", "SELECT * FROM t WHERE a LIKE ? ESCAPE ?"),
        ("oracle", r"SELECT 'C:\', 'D:\'", "SELECT ?, ?"),
        ("mssql", r"SELECT 'C:\', 'D:\'", "SELECT ?, ?"),
        ("postgresql", r"SELECT 'C:\', E'it\'s', e'a\\'", "SELECT ?, ?, ?"),
        (None, r"SELECT 'a\nb', 'c\\', E'it\'s'", "SELECT ?, ?, ?"),
        # strings of a single dialect
        ("postgresql", "SELECT $$it's$$, $tag$a $$ b$tag$, $1", "SELECT ?, ?, $1"),
        ("postgresql", r"SELECT U&'\0041', u&'it''s \'", "SELECT ?, ?"),
        ("postgresql", "SELECT a$b$c FROM t WHERE d = '$$'", "SELECT a$b$c FROM t WHERE d = ?"),
        (None, "SELECT $$its$$, 1", "SELECT ?, ?"),
        (
            "oracle",
            "SELECT q'[it's]', Q'{a'b}', nq'!x'y!', q'(a)b)', q'<'>' FROM dual",
            "SELECT ?, ?, ?, ?, ? FROM dual",
        ),
        ("mysql", "SELECT _utf8mb4'ann'", "SELECT _utf8mb4?"),
        # comments
        ("mysql", "SELECT 1 # it's\nFROM t", "SELECT ? FROM t"),
        ("postgresql", "SELECT 1 --it's\nFROM t", "SELECT ? FROM t"),
        ("postgresql", "SELECT a #>> '{b}' FROM t", "SELECT a #>> ? FROM t"),
        ("mssql", "SELECT * FROM #tmp1, ##tmp2", "SELECT * FROM #tmp1, ##tmp2"),
        ("oracle", "SELECT emp# FROM v$session", "SELECT emp# FROM v$session"),
        # brackets
        ("mssql", "SELECT [Price (USD) 2024] FROM [a].[b]", "SELECT [Price (USD) 2024] FROM [a].[b]"),
        ("sqlite", "SELECT [order 1] FROM t", "SELECT [order 1] FROM t"),
        ("postgresql", "SELECT ARRAY['a', 'b'], c[1], d[10:20]", "SELECT ARRAY[?], c[?], d[?:20]"),
        ("postgresql", "SELECT * FROM t WHERE a = ANY (ARRAY[1, 2])", "SELECT * FROM t WHERE a = ANY (ARRAY[?])"),
        (None, "SELECT [order no], a[1]", "SELECT [order no], a[?]"),
        # placeholders
        ("postgresql", "SELECT $100::text, $99999", "SELECT $100::text, $99999"),
        ("sqlite", "SELECT ?100, :100, @name, $name", "SELECT ?100, :100, @name, $name"),
        ("oracle", "SELECT :100 FROM dual", "SELECT :100 FROM dual"),
        ("mssql", "SELECT @@ROWCOUNT, @p1, $1000.50", "SELECT @@ROWCOUNT, @p1, $?"),
        (None, "SELECT $1000, a[5:1000]", "SELECT $?, a[?:?]"),
        # how a dialect is spelled
        ("PostgreSQL+psycopg", 'SELECT "a"', 'SELECT "a"'),
        ("mysql+pymysql", 'SELECT "a"', "SELECT ?"),
    ],
)
def test_statements_that_dialects_read_differently(dialect, statement, masked):
    assert masked == mask_sql(statement, dialect=dialect)


@pytest.mark.parametrize(
    ("dialect", "statement"),
    [
        *(
            (dialect, statement)
            for dialect in (None, *DIALECTS)
            for statement in (
                "SELECT 'ann",
                "SELECT 'ann''",
                "SELECT 1 /* ann",
                "SELECT 1 /*/",
                "SELECT 'a' /* b /* 'secret' */ c */",
                "SELECT `ann",
                r"SELECT \'secret\'",
                "SELECT 'a'secret' , '",
                "SELECT 1 -- a\rSELECT 'secret",
            )
        ),
        *((dialect, 'SELECT "ann') for dialect in (None, *DIALECTS)),
        (None, r"SELECT 'a\' AND b = 'secret'"),
        (None, r"SELECT 'it\'s'"),
        (None, r'SELECT "it\"s"'),
        (None, "SELECT 1 # it's"),
        (None, "SELECT a #>> '{secret}'"),
        (None, "SELECT 1--'secret\nsecret'"),
        (None, "SELECT q'[it's]'"),
        (None, "SELECT $$it's$$"),
        (None, "SELECT $a$ secret"),
        (None, "SELECT ['secret']"),
        (None, "SELECT [it's] = 'secret'"),
        (None, "SELECT 1 /*! 'secret' */"),
        ("mysql", "SELECT 1 /*!50000 'a*/secret' */"),
        ("mysql", "SELECT 1 /*M! 'a*/secret' */"),
        ("mysql", "SELECT 5--'secret'"),
        # NO_BACKSLASH_ESCAPES: read with escapes, a string ends right before a word.
        ("mysql", r"SELECT 'x\' AND b = 'secret' AND c = 'y\' AND d = 'z'"),
        ("postgresql", r"SELECT E'it\'s"),
        ("postgresql", r"SELECT E'abc\'"),
        ("postgresql", "SELECT $a$ secret $b$"),
        ("oracle", "SELECT q'[secret"),
        ("oracle", "SELECT q'[secret]"),
        ("sqlite", "SELECT [it's] = 'secret'"),
        ("sqlite", "SELECT 1 # secret"),
        ("mssql", "SELECT [it's] = 'secret'"),
    ],
)
def test_unterminated_and_ambiguous_statements_are_not_shown(dialect, statement):
    assert mask_sql(statement, dialect=dialect) == UNREADABLE


def test_only_the_length_of_a_very_long_statement_is_shown():
    statement = "SELECT '" + "x" * LONGEST + "'"

    assert mask_sql(statement) == f"<statement of {LONGEST + 9} characters>"
    assert mask_sql("SELECT '" + "x" * (LONGEST - 9) + "'") == "SELECT ?"


def test_a_statement_is_read_once_per_dialect():
    statement = 'SELECT "seen once" AS name'

    mask_sql(statement, dialect="sqlite")
    read = sql._cached.cache_info().misses
    assert mask_sql(statement, dialect="sqlite") == "SELECT ? AS name"
    assert sql._cached.cache_info().misses == read
    assert mask_sql(statement, dialect="mysql") == "SELECT ? AS name"


# Statements made of code that holds none of the letters of the literals.
CODE = (
    "SELECT",
    "a",
    "FROM t",
    "WHERE",
    "(",
    ")",
    "=",
    "AND b",
    ",",
    "*",
    "t.c",
    ";",
    "::int",
    "< a",
    "-",
    "+",
    "||",
    "/",
    "%s",
    ":m",
    ".",
)
SECRET_LETTERS = "xyzXYZ789 '\"`\\;-#/*$[]{}()\n%?:@_.,=ÄÖ漢"


def quoted(quote):
    return lambda text: f"{quote}{text.replace(quote, quote * 2)}{quote}"


def escaped(quote, prefix=""):
    return lambda text: prefix + quote + text.replace("\\", "\\\\").replace(quote, f"\\{quote}") + quote


def dollar_quoted(text):
    tag = "t" + "t" * text.count("$")
    return f"${tag}${text}${tag}$"


def q_quoted(text):
    return f"q'~{text}~'"


WRITERS = {
    "sqlite": [quoted("'")],
    "postgresql": [quoted("'"), escaped("'", "E"), dollar_quoted],
    "mysql": [escaped("'"), escaped('"'), lambda text: quoted("'")(text.replace("\\", "\\\\"))],
    "mariadb": [escaped("'"), escaped('"')],
    "oracle": [quoted("'"), q_quoted],
    "mssql": [quoted("'"), quoted('"')],
    None: [quoted("'"), quoted('"'), escaped("'", "E"), escaped("'")],
}
NUMBERS = (
    st.integers(100, 10**12).map(str)
    | st.floats(1e3, 1e12).map(repr)
    | st.integers(4096, 2**40).map(hex)
    | st.floats(1e20, 1e300).map(repr)
)
COMMENTS = {
    "mysql": ("/*{}*/", "-- {}\n", "#{}\n"),
    "mariadb": ("/*{}*/", "-- {}\n", "#{}\n"),
    **dict.fromkeys((None, "sqlite", "postgresql", "oracle", "mssql"), ("/*{}*/", "-- {}\n")),
}


@st.composite
def statements(draw, dialects):
    """``(dialect, statement, the same with a question mark for each literal, literals and comments)``."""
    dialect = draw(st.sampled_from(dialects))
    written, masked, hidden = [], [], []
    for kind in draw(st.lists(st.sampled_from(["code", "text", "text", "number", "comment"]), min_size=1, max_size=12)):
        if kind == "code":
            code = draw(st.sampled_from(CODE))
            written.append(code)
            masked.append(code)
            continue
        if kind == "number":
            text = literal = draw(NUMBERS)
        else:
            text = draw(st.text(SECRET_LETTERS, min_size=1, max_size=20))
            literal = draw(st.sampled_from(WRITERS[dialect]))(text)
        if kind == "comment":
            text = re.sub(r"[*/\n!]", "", text)
            literal = draw(st.sampled_from(COMMENTS[dialect])).format(text)
        else:
            masked.append("?")
        hidden.append(text)
        written.append(literal)
    return dialect, " ".join(written), " ".join(masked), hidden


def runs(text):
    return {text[i : i + 3] for i in range(len(text) - 2)}


def survivors(hidden, shown, code):
    """Runs of three characters of what had to be hidden that are shown, other than those of the code."""
    # White space and signs are everywhere; three in a row prove nothing.
    return {run for text in hidden for run in runs(text) if re.search(r"\w", run) and run in shown and run not in code}


@settings(max_examples=200, deadline=None)
@given(statements([dialect for dialect in WRITERS if dialect]))
def test_every_literal_of_a_known_dialect_is_masked_and_nothing_else(drawn):
    dialect, statement, masked, hidden = drawn
    shown = mask_sql(statement, dialect=dialect)

    assert shown == sql._shortened(masked)
    assert survivors(hidden, shown, masked) == set()


@settings(max_examples=120, deadline=None)
@given(statements([None]))
def test_no_literal_of_an_unknown_dialect_survives(drawn):
    _, statement, masked, hidden = drawn
    shown = mask_sql(statement)

    assert shown in (sql._shortened(masked), UNREADABLE) or survivors(hidden, shown, masked) == set()


@settings(max_examples=120, deadline=None)
@given(statements(list(WRITERS)), st.data())
def test_no_literal_of_a_statement_that_was_cut_off_survives(drawn, data):
    dialect, statement, masked, hidden = drawn
    shown = mask_sql(statement[: data.draw(st.integers(0, len(statement)))], dialect=dialect)

    assert shown == UNREADABLE or survivors(hidden, shown, masked) == set()


SOUP = st.lists(
    st.sampled_from(
        [
            *(
                "'",
                "''",
                '"',
                "`",
                "[",
                "]",
                "(",
                ")",
                "--",
                "-",
                "#",
                "/*",
                "*/",
                "\\",
                "$",
                "$$",
                "$a$",
                "?",
                ":",
                "::",
                "@",
                "%",
            ),
            *(
                "E'",
                "q'[",
                "N'",
                "x",
                "IN",
                "VALUES",
                "ARRAY",
                "1",
                "2.5",
                "0x1F",
                ",",
                " ",
                "\n",
                "\r",
                ".",
                ";",
                "é",
                "\x00",
                "\ud800",
            ),
            *("(?, ?)", "IN (1, 2)", "VALUES (1), (2)", "'a'", "NULL", "%s", ":name", "$1", "%(a)s"),
        ]
    ),
    max_size=40,
).map("".join)


@settings(max_examples=200, deadline=None)
@given(SOUP | st.text(), st.sampled_from([None, *DIALECTS]) | st.text(max_size=5))
def test_anything_is_read_without_an_error_and_reading_it_again_changes_nothing(statement, dialect):
    once = mask_sql(statement, dialect=dialect)

    assert mask_sql(once, dialect=dialect) == once


@pytest.mark.parametrize(
    "unit",
    [
        "''",
        "\\'",
        "[a",
        "$a$ ",
        "/*",
        "/* *",
        "VALUES (",
        "VALUES (a), ",
        "IN (?, ",
        "`",
        "E'",
        "q'[",
        '"a" ',
        '("a", ',
        "a.",
        "1e+",
        "/ ",
    ],
)
def test_time_grows_with_the_length_only(monkeypatch, unit):
    monkeypatch.setattr(sql, "LONGEST", 10**9)

    for dialect in (None, *DIALECTS):
        assert any(growth(partial(mask_sql, dialect=dialect), unit) < 40 for _ in range(3))
