"""From the inbox to the exporters: the agent's thread, its ledger, and bounded queues that never reach back."""
