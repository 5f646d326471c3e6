"""Run by every Python interpreter below ``scout-core run``, before the application: starts the agent.

It stands in front of a ``sitecustomize`` that the environment may have, and runs that one first. Whatever goes wrong here is one
line on stderr; the application starts all the same.
"""

from __future__ import annotations

import os
import sys


def run_other_sitecustomize(own_folder: str) -> None:
    """Run the ``sitecustomize`` that this file hides, as Python would have."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    path = [folder for folder in sys.path if os.path.abspath(folder or ".") != own_folder]
    spec = PathFinder.find_spec("sitecustomize", path)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


def start_agent() -> None:
    """Start it; an environment without scout-core is left as it is."""
    try:
        import scout_core
    except ImportError:
        return
    scout_core.start()


if os.environ.get("SCOUT_CORE_RUN"):
    run_other_sitecustomize(os.path.dirname(os.path.abspath(__file__)))
    try:
        start_agent()
    except Exception as error:  # noqa: BLE001  # a required plugin is missing, or we are broken: never the application's problem
        sys.stderr.write(f"scout-core: not recording: {error}\n")
