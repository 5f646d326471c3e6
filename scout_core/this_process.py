"""This process as its reports describe it: a forked child is another one."""

from __future__ import annotations

import os
import platform
from random import SystemRandom
from typing import TYPE_CHECKING

from attrs import evolve

from scout_core.clocks import time
from scout_core.measuring.process import Process

if TYPE_CHECKING:
    from scout_core.config.config import Config


def this_process(config: Config, version: str) -> Process:
    """
    Describe this process, which begins to record now.

    Args:
        version: of the agent.
    """
    return Process(
        app=config.get("name"),
        hostname=config.get("hostname"),
        pid=os.getpid(),
        instance=_instance(),
        started=time(),
        agent=version,
        python=platform.python_version(),
        revision=config.get("revision_sha"),
    )


def forked(parent: Process) -> Process:
    """Describe this process, which was forked from another one."""
    return evolve(parent, pid=os.getpid(), instance=_instance(), started=time())


def _instance() -> str:
    return f"{SystemRandom().getrandbits(64):016x}"
