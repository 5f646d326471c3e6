"""Make the folder of a new plugin: ``python template/render.py mailqueue --oldest 2.1``. Needs Jinja2."""

from __future__ import annotations

import argparse
from pathlib import Path

from jinja2 import Environment, StrictUndefined

SKELETON = Path(__file__).resolve().parent / "scout-{{ name }}"
PLUGINS = SKELETON.parent.parent / "plugins"


def render(into: Path, **values: str) -> Path:
    """
    Fill in the skeleton.

    Args:
        into: the folder that ``scout-<name>`` is made in.
        values: ``name``, ``library`` and ``oldest``, its oldest supported version.

    Returns:
        The plugin's folder.

    Raises:
        FileExistsError: there is such a plugin.
    """
    jinja = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701  # no HTML

    def fill(text: str) -> str:
        return jinja.from_string(text).render(values)

    root = into / fill(SKELETON.name)
    root.mkdir(parents=True)
    for source in sorted(path for path in SKELETON.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        target = root / fill(str(source.relative_to(SKELETON)))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(fill(source.read_text(encoding="utf-8")), encoding="utf-8")
    return root


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="of the plugin: lower case, as the library is called")
    parser.add_argument("--library", help="that it instruments; default: the plugin's name")
    parser.add_argument("--oldest", default="1.0", help="oldest version of the library that is supported; default: 1.0")
    given = parser.parse_args()
    render(PLUGINS, name=given.name, library=given.library or given.name, oldest=given.oldest)


if __name__ == "__main__":
    main()
