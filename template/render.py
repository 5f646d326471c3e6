"""Create a plugin in this repository: ``python template/render.py mailqueue --target mailqueue:Client.send``.

The same as ``scout-core plugins new --into plugins``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from scout_core.cli.new import new_plugin
from scout_core.errors import ScoutError

PLUGINS = Path(__file__).resolve().parent.parent / "plugins"

if __name__ == "__main__":
    try:
        new_plugin(["--into", str(PLUGINS), *sys.argv[1:]], prog_name="template/render.py")
    except ScoutError as error:
        sys.exit(f"template/render.py: {error}")
