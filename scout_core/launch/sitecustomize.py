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

    path = [folder for folder in sys.path if os.path.realpath(folder or ".") != own_folder]
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
    except ModuleNotFoundError as error:
        if error.name == "scout_core":
            return
        raise
    scout_core.start()


try:
    run_other_sitecustomize(os.path.dirname(os.path.realpath(__file__)))
finally:  # what the other one raises is told by Python, which then goes on; so do we
    if os.environ.get("SCOUT_CORE_RUN"):
        try:
            start_agent()
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a required plugin is missing, or we are broken: never the application's problem
            reason = f"a plugin called sys.exit({error.code!r})" if isinstance(error, SystemExit) else error
            if sys.stderr is not None:
                sys.stderr.write(f"scout-core: not recording: {reason}\n")
