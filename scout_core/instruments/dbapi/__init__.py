"""Database drivers that follow DB-API 2.0 (PEP 249): their statements as spans, ``SQL/Query`` and ``SQL/Many``."""

from scout_core.instruments.dbapi.driver import Driver
from scout_core.instruments.dbapi.proxied import ConnectionProxy, CursorProxy

__all__ = ["ConnectionProxy", "CursorProxy", "Driver"]
