"""Texts in double quotes in statements for SQLite; SQLite itself shows which of them it reads as strings."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scout_core.text.sql import mask_sql

SCHEMA = """
CREATE TABLE t (a TEXT, b TEXT, c TEXT UNIQUE); CREATE TABLE u (a TEXT, d TEXT); CREATE TABLE "order" (id INTEGER, "user name" TEXT);
CREATE TABLE "from" ("select" TEXT, "set" TEXT);
"""


@pytest.mark.parametrize(
    ("statement", "masked"),
    [
        # where an expression can stand
        ('SELECT CASE a WHEN "x" THEN "y" ELSE "z" END FROM t', "SELECT CASE a WHEN ? THEN ? ELSE ? END FROM t"),
        ('SELECT a FROM t WHERE a = ("x") OR a = (("y"))', "SELECT a FROM t WHERE a = (?) OR a = ((?))"),
        (
            'SELECT a FROM t WHERE a = lower("x") AND trim("y", "z")',
            "SELECT a FROM t WHERE a = lower(?) AND trim(?, ?)",
        ),
        ('SELECT "x", a, "y" || "z" FROM t', "SELECT ?, a, ? || ? FROM t"),
        ('SELECT DISTINCT "x" FROM t ORDER BY "y" LIMIT "z"', "SELECT DISTINCT ? FROM t ORDER BY ? LIMIT ?"),
        ('SELECT a FROM t GROUP BY "x" HAVING "y"', "SELECT a FROM t GROUP BY ? HAVING ?"),
        ('SELECT a FROM t WHERE a BETWEEN "x" AND "y" AND "z"', "SELECT a FROM t WHERE a BETWEEN ? AND ? AND ?"),
        (
            'SELECT a FROM t WHERE NOT "x" AND a IS NOT DISTINCT FROM "y"',
            "SELECT a FROM t WHERE NOT ? AND a IS NOT DISTINCT FROM ?",
        ),
        ('SELECT a FROM t WHERE a = :from AND b = "x"', "SELECT a FROM t WHERE a = :from AND b = ?"),
        ('SELECT a FROM t WHERE t.set = "x" AND [from] = "y"', "SELECT a FROM t WHERE t.set = ? AND [from] = ?"),
        ('SELECT a FROM t JOIN u ON "x" = d', "SELECT a FROM t JOIN u ON ? = d"),
        ('SELECT key("x"), conflict("y"), iif(a, "z", 1)', "SELECT key(?), conflict(?), iif(a, ?, ?)"),
        ('SELECT a FROM json_each("x")', "SELECT a FROM json_each(?)"),
        ('INSERT INTO t VALUES ("x", lower("y"))', "INSERT INTO t VALUES (?, lower(?))"),
        ('INSERT INTO t (a) SELECT "x" RETURNING "y"', "INSERT INTO t (a) SELECT ? RETURNING ?"),
        (
            'CREATE TABLE n (a DEFAULT "x", b DEFAULT ("y") CHECK (b <> "z"))',
            "CREATE TABLE n (a DEFAULT ?, b DEFAULT (?) CHECK (b <> ?))",
        ),
        ('ALTER TABLE t ADD COLUMN d TEXT DEFAULT "x"', "ALTER TABLE t ADD COLUMN d TEXT DEFAULT ?"),
        ('CREATE INDEX i ON t (a, lower("x")) WHERE b = "y"', "CREATE INDEX i ON t (a, lower(?)) WHERE b = ?"),
        ('ATTACH "x" AS "y" KEY "z"', "ATTACH ? AS ? KEY ?"),
        ('PRAGMA key = "x"', "PRAGMA key = ?"),
        ('PRAGMA rekey("x")', "PRAGMA rekey(?)"),
        ('VACUUM INTO "x"', "VACUUM INTO ?"),
        ('EXPLAIN VACUUM INTO "x"', "EXPLAIN VACUUM INTO ?"),
        ('explain query plan vacuum main into "x"', "explain query plan vacuum main into ?"),
        ('/* c */ EXPLAIN -- c\nQUERY PLAN VACUUM INTO "x"; SELECT a', "EXPLAIN QUERY PLAN VACUUM INTO ?; SELECT a"),
        ('EXPLAIN ATTACH "x" AS "y" KEY "z"', "EXPLAIN ATTACH ? AS ? KEY ?"),
        ('EXPLAIN CREATE INDEX "i" ON "t" (lower("x"))', 'EXPLAIN CREATE INDEX "i" ON "t" (lower(?))'),
        ('SELECT RAISE(ABORT, "x")', "SELECT RAISE(ABORT, ?)"),
        (
            'CREATE TRIGGER g AFTER INSERT ON "t" WHEN EXISTS (SELECT 1 FROM t JOIN u ON "x") BEGIN UPDATE t SET a = "y"; END',
            'CREATE TRIGGER g AFTER INSERT ON "t" WHEN EXISTS (SELECT ? FROM t JOIN u ON ?) BEGIN UPDATE t SET a = ?; END',
        ),
        # where nothing but a name can stand
        *(
            (statement, statement)
            for statement in (
                'SELECT "t"."a" AS "b c", main."u".d FROM "t", "u" "v" LEFT JOIN "w" AS "x" USING ("a", "b")',
                'SELECT a FROM main."t" INDEXED BY "i" WHERE "t"."a" COLLATE "nocase" = ?',
                'INSERT INTO "t" ("a", "b") VALUES (?, ?)',
                'INSERT INTO "t"("a") VALUES (?) ON CONFLICT ("a") DO UPDATE SET "a" = excluded."a", "b" = ?',
                'UPDATE "t" AS "s" SET "a" = ?, b = ?, "c" = ? WHERE "s"."a" = ?',
                'DELETE FROM "t" WHERE "t"."a" IN (SELECT "u"."a" FROM "u")',
                'WITH "c" ("n", "m") AS (SELECT a, b FROM "t"), "d" AS NOT MATERIALIZED (SELECT a) SELECT * FROM "c", "d"',
                'SELECT "count"(a) OVER "w" FROM t WINDOW "w" AS (PARTITION BY "t"."a"), "v" AS ()',
                'CREATE TABLE IF NOT EXISTS "main"."n" ("a" TEXT REFERENCES "t" ("a", "b"), "b c" INT, CONSTRAINT "k" UNIQUE ("a"))',
                'CREATE TABLE n (a, PRIMARY KEY ("a", "b"), FOREIGN KEY ("a") REFERENCES u("id"))',
                'CREATE UNIQUE INDEX IF NOT EXISTS "i" ON "t" (a)',
                'CREATE VIEW "v" AS SELECT a FROM "t"',
                'ALTER TABLE "t" RENAME COLUMN "a" TO "b"; ALTER TABLE "t" ADD "c" TEXT; DROP TABLE IF EXISTS "t"',
                'SAVEPOINT "s"; ROLLBACK TO "s"; RELEASE "s"',
                'SELECT a FROM (SELECT b FROM t) "sub"',
            )
        ),
    ],
)
def test_texts_in_double_quotes(statement, masked):
    assert masked == mask_sql(statement, dialect="sqlite")


def strings_of(statement):
    """Return the strings that SQLite finds in a statement; None when it cannot be compiled."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        try:
            program = connection.execute(f"EXPLAIN {statement}").fetchall()
        except sqlite3.Error:
            return None
    return {row[5] for row in program if row[1] in ("String", "String8")}


def test_sqlite_reads_unknown_names_as_strings():
    """Otherwise the next test proves nothing."""
    assert {"word1"} == strings_of('SELECT a FROM t WHERE a = "word1"')


NAMES = ("a", "b", "t.a", '"t"."b"', "c", '"c"')
UNKNOWN = st.sampled_from([f'"word{number}"' for number in range(9)])
EXPRESSIONS = st.recursive(
    UNKNOWN | st.sampled_from([*NAMES, "?", ":from", "'set'", "17", "NULL"]),
    lambda inner: st.one_of(
        st.builds("({})".format, inner),
        st.builds(
            "{} {} {}".format,
            inner,
            st.sampled_from(["=", "<>", "||", "AND", "IS", "IS NOT", "LIKE", "+", ">", "GLOB", "OR"]),
            inner,
        ),
        st.builds("{} BETWEEN {} AND {}".format, inner, inner, inner),
        st.builds("lower({})".format, inner),
        st.builds("coalesce({}, {})".format, inner, inner),
        st.builds("CASE {} WHEN {} THEN {} ELSE {} END".format, inner, inner, inner, inner),
        st.builds("CASE WHEN {} THEN {} END".format, inner, inner),
        st.builds("{} IN ({}, {})".format, inner, inner, inner),
        st.builds("{} IN (SELECT {} FROM u)".format, inner, inner),
        st.builds("EXISTS (SELECT {} FROM u JOIN t ON {})".format, inner, inner),
        st.builds("CAST({} AS TEXT)".format, inner),
        st.builds('{} COLLATE "nocase"'.format, inner),
        st.builds("NOT {}".format, inner),
    ),
    max_leaves=6,
)
STATEMENTS = st.one_of(
    st.builds('SELECT {} AS "first", {} FROM "t" WHERE {} ORDER BY {} LIMIT 5'.format, *[EXPRESSIONS] * 4),
    st.builds('SELECT {} FROM t, "u" AS "v" WHERE {} GROUP BY {} HAVING {}'.format, *[EXPRESSIONS] * 4),
    st.builds(
        'SELECT t.c FROM "t" JOIN (SELECT {} AS "e" FROM "t") "s" ON {} UNION ALL VALUES ({})'.format,
        *[EXPRESSIONS] * 3,
    ),
    st.builds('INSERT INTO "t" ("a", "b") VALUES ({}, {})'.format, UNKNOWN, UNKNOWN),
    st.builds(
        'INSERT INTO t (c) SELECT {} FROM t WHERE true ON CONFLICT ("c") DO UPDATE SET "a" = {}, "b" = {}'.format,
        *[EXPRESSIONS] * 3,
    ),
    st.builds('UPDATE "t" SET "a" = {}, "b" = {} WHERE {}'.format, *[EXPRESSIONS] * 3),
    st.builds('DELETE FROM "t" WHERE {}'.format, EXPRESSIONS),
    st.builds('WITH "x" ("y") AS (SELECT {} FROM t) SELECT "x"."y", {} FROM "x", "t"'.format, EXPRESSIONS, EXPRESSIONS),
    st.builds('SELECT sum({}) OVER "w" FROM t WINDOW "w" AS (PARTITION BY {})'.format, EXPRESSIONS, EXPRESSIONS),
)
TEXT = re.compile('"(word[0-9])"')


@settings(max_examples=200, deadline=None)
@given(STATEMENTS)
def test_no_text_that_sqlite_reads_as_a_string_is_shown(statement):
    masked = mask_sql(statement, dialect="sqlite")

    assert not TEXT.search(masked)
    assert (strings_of(statement) or set()).isdisjoint(re.findall("word[0-9]", masked))
    for name in re.findall(r'FROM "(\w+)"|INTO "(\w+)"|UPDATE "(\w+)"|AS "(\w+)"', statement):
        assert f'"{"".join(name)}"' in masked
    assert masked == mask_sql(masked, dialect="sqlite")


FIRST_WORD_COUNTS = st.sampled_from(
    (
        'ATTACH DATABASE "x" AS "y"',
        'VACUUM "s" INTO "x"',
        'CREATE INDEX "i" ON "t" ("a")',
        'CREATE TRIGGER "g" AFTER INSERT ON "t" WHEN "x" BEGIN SELECT "y"; END',
        'PRAGMA "k" = "x"',
    )
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["EXPLAIN ", "explain query plan "]), STATEMENTS | FIRST_WORD_COUNTS)
def test_a_statement_that_is_explained_is_masked_as_it_is_without_that(prefix, statement):
    assert prefix + mask_sql(statement, dialect="sqlite") == mask_sql(prefix + statement, dialect="sqlite")
