"""Distributions with a single fault each, and how they are installed."""
