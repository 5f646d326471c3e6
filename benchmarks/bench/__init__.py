"""What scout-core costs: the same work in processes of its own, with and without an agent, in turns."""
