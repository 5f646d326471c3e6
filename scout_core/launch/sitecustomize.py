"""Starts the agent in every Python interpreter that runs under ``scout-core run``, before the application.

It hides a ``sitecustomize`` that the environment may have, so it runs that one first. An error here is one line on stderr;
the application starts in any case.
"""

from __future__ import annotations

import os
import sys


def run_other_sitecustomize(own_folder: str) -> None:
    """Run the ``sitecustomize`` that this file hides, as Python would have done."""
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
    """Start the agent; does nothing in an environment without scout-core."""
    try:
        import scout_core
    except ModuleNotFoundError as error:
        if error.name == "scout_core":
            return
        raise
    scout_core.start()


try:
    run_other_sitecustomize(os.path.dirname(os.path.realpath(__file__)))
finally:  # Python reports an exception of the other one and continues; so do we
    if os.environ.get("SCOUT_CORE_RUN"):
        try:
            start_agent()
        except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever went wrong, the application must start
            reason = f"a plugin called sys.exit({error.code!r})" if isinstance(error, SystemExit) else error
            if sys.stderr is not None:
                text = "".join(part if part.isprintable() else ascii(part)[1:-1] for part in str(reason))
                sys.stderr.write(f"scout-core: not recording: {text}\n")
