"""Texts that may leave the process: each function takes text that may contain secrets and returns text without them."""
