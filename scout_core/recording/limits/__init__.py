"""The limits on what a transaction holds, and how the rest is counted."""
