"""The conformance suite: a rule for each promise of a plugin, and what tests them."""
