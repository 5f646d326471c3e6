"""
A lock that keeps the process from forking while we import something.

A child that is forked during an import of another thread has half a module, and waits forever for the other half when it imports it too.
"""

from __future__ import annotations

import os
from threading import RLock
from typing import Final

importing: Final = RLock()
"""Hold it while something is imported: ``with importing: from http.client import HTTPConnection``."""

if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=importing.acquire, after_in_parent=importing.release, after_in_child=importing.release)
