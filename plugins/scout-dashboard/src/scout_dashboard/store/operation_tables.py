"""The tables of operations in a day's file. Statements, and names of transactions and lines, are stored once."""

from __future__ import annotations

from typing import Final

OPERATIONS: Final = """
        CREATE TABLE IF NOT EXISTS operation_text (
            op TEXT PRIMARY KEY,
            operation TEXT NOT NULL,
            detail TEXT NOT NULL
        );
        CREATE TABLE IF NOT EXISTS operation_place (
            id INTEGER PRIMARY KEY,
            text TEXT NOT NULL UNIQUE
        );
        CREATE TABLE IF NOT EXISTS operation_series (
            id INTEGER PRIMARY KEY,
            app TEXT NOT NULL,
            op TEXT NOT NULL,
            UNIQUE (app, op)
        );
        CREATE TABLE IF NOT EXISTS operation_rollup (
            series INTEGER NOT NULL REFERENCES operation_series (id),
            level INTEGER NOT NULL,
            start INTEGER NOT NULL,
            count INTEGER NOT NULL,
            errors INTEGER NOT NULL,
            total REAL NOT NULL,
            durations BLOB NOT NULL,
            endpoints TEXT NOT NULL,
            lines TEXT NOT NULL,
            UNIQUE (series, level, start)
        )
"""
"""Statements that create them; texts of ``operation_rollup`` have numbers of places."""
