"""What may leave the process, and in which words: each function takes text that may hold secrets and gives text that holds none."""
