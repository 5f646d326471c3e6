"""
A test suite for plugins and middleware of web frameworks: their author writes a small application, and gets a test for each rule.

``docs/web.md`` has the routes of the application and the rules.
"""

from __future__ import annotations

from scout_core.testing.web.attaching import AttachingRules
from scout_core.testing.web.calls import Answer, AsgiCaller, Caller, HttpCaller, WsgiCaller
from scout_core.testing.web.requests import RequestRules
from scout_core.testing.web.responses import ResponseRules
from scout_core.testing.web.shop import Shop, ShopError, SoldOut

__all__ = ["Answer", "AsgiCaller", "Caller", "HttpCaller", "Shop", "ShopError", "SoldOut", "WebSuite", "WsgiCaller"]


class WebSuite(RequestRules, ResponseRules, AttachingRules):
    """
    One test for each rule. Derive a class whose name begins with ``Test``, and write ``make_app``.

    A test is skipped if ``skip`` has its name, without ``test_``, and the reason; an unknown name in it is a ``TypeError``.
    """
