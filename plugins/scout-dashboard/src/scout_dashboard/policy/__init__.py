"""``scout-core policy``: why a trace was kept, and what other policies would have kept."""
