"""Spans that are not one call: generators, coroutines, bodies of responses, and results that stand for later work."""
