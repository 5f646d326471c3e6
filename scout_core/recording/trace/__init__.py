"""The trace that a transaction belongs to, which may cross services: ids and headers."""
