"""Aggregates and statistics of all transactions, the best traces of a period, and the report of both."""
