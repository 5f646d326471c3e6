"""The errors of a transaction: found where they are raised, copied, and reported."""
