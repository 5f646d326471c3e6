"""Recording on the application's thread: spans and transactions, and the one context variable that nests them."""
