"""Write the parts of the documentation that are made from the code: ``python docs/generate.py``; ``--check`` only compares.

Such a part stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from scout_core.config.options import OPTIONS, Option

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent


def options() -> str:
    """The table of all options."""
    lines = ["| key | environment | default | meaning |", "|---|---|---|---|"]
    return "\n".join(lines + [_row(option) for option in OPTIONS])


def plugins() -> str:
    """The table of the plugins of this repository, from their own project files."""
    lines = ["| plugin | what it gives | library |", "|---|---|---|"]
    for file in sorted(ROOT.glob("plugins/*/pyproject.toml")):
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        libraries = project.get("optional-dependencies", {}).get("instruments", [])
        name = f"[{project['name']}]({file.parent.relative_to(ROOT)}/README.md)"
        lines.append(f"| {name} | {project['description']} | {', '.join(f'`{one}`' for one in libraries) or '–'} |")
    return "\n".join(lines)


PARTS: dict[str, tuple[Path, Callable[[], str]]] = {
    "options": (ROOT / "docs" / "configuration.md", options),
    "plugins": (ROOT / "README.md", plugins),
}
"""Name of a part to its page and what makes it."""


def page(path: Path) -> str:
    """The whole page as it should be."""
    text = path.read_text(encoding="utf-8")
    for name, (place, make) in PARTS.items():
        if place == path:
            part = re.compile(rf"(?<=<!-- generated: {name} -->\n).*?(?=<!-- end -->)", re.DOTALL)
            text = part.sub(lambda _, make=make: f"\n{make()}\n\n", text)
    return text


def main() -> int:
    """Write, or compare; 1 when a page is out of date."""
    stale = [path for path, _ in PARTS.values() if page(path) != path.read_text(encoding="utf-8")]
    if "--check" in sys.argv:
        for path in stale:
            sys.stderr.write(f"{path.name} is out of date; run: python docs/generate.py\n")
        return 1 if stale else 0
    for path in stale:
        path.write_text(page(path), encoding="utf-8")
    return 0


def _row(option: Option) -> str:
    aliases = "".join(f", `{alias}`" for alias in option.aliases)
    meaning = option.help.replace("``", "`").replace("|", "\\|")
    return f"| `{option.key}`{aliases} | `{option.variable}` | {_default(option.default)} | {meaning} |"


def _default(value: object) -> str:
    if value in ("", (), None) or value == {}:
        return "–"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    sys.exit(main())
