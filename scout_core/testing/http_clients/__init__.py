"""The public test suite for HTTP clients."""

from scout_core.testing.http_clients.suite import HttpClientSuite

__all__ = ["HttpClientSuite"]
