"""Policies to trust: why a trace was kept, and what other policies would have kept."""
