"""``python -m scout_core`` is the command ``scout-core``."""

from scout_core.cli import main

if __name__ == "__main__":
    main()
