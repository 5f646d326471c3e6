"""What is known of all transactions: aggregates, statistics, the best traces of a period, and the report they make."""
