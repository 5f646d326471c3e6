"""Write the parts of the documentation that are generated from the code: ``python docs/generate.py --help``.

Such a part is between ``<!-- generated: NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attributes import table

if TYPE_CHECKING:
    from scout_core.config.options import Option

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent


def options() -> str:
    """Return the table of all options."""
    from scout_core.config.options import (
        OPTIONS,
    )  # imported here, because the other parts are written where nothing is installed

    lines = ["| key | environment | type | default | meaning |", "|---|---|---|---|---|"]
    return "\n".join(lines + [_row(option) for option in OPTIONS])


def plugins() -> str:
    """Return the table of this repository's plugins, from their project files and the hooks in their code."""
    lines = ["| plugin | what it gives | libraries | Python | hooks |", "|---|---|---|---|---|"]
    return "\n".join(lines + [_plugin(file) for file in _projects()])


def upstream() -> str:
    """Return the table of the runs of libraries' own test suites, and what was left out or differs, from the results."""
    lines = ["| plugin | library | tests | of these passed | spans | Python | date | settings |", "|" + "---|" * 8]
    reasons = []
    for file in sorted(ROOT.glob("plugins/*/upstream.json")):
        run = json.loads(file.read_text(encoding="utf-8"))
        counts = " | ".join(f"{run[key]:,}" for key in ("tests", "passed", "spans"))
        library = f"{run['library']} {run['version']}"
        settings = ", ".join(f"`{key} = {value}`" for key, value in run["settings"].items()) or "–"
        lines.append(f"| {file.parent.name} | {library} | {counts} | {run['python']} | {run['date']} | {settings} |")
        for key, word in {"selected": "were run", "deselected": "were left out", "differences": "differ"}.items():
            reasons += [f"| {run['library']} | `{test}` | {word} | {reason} |" for test, reason in run[key].items()]
    if reasons:
        lines += ["", "| library | tests | these | reason |", "|---|---|---|---|", *reasons]
    return "\n".join(lines)


def known() -> str:
    """Return the dict of each plugin with the libraries that it supports, which ``scout-core doctor --suggest`` reads."""
    projects = (tomllib.loads(file.read_text(encoding="utf-8"))["project"] for file in _projects())
    rows = {it["name"]: it.get("optional-dependencies", {}).get("instruments", []) for it in projects}
    lines = [f"    {_text(name)}: ({_texts(libraries)}),\n" for name, libraries in rows.items() if libraries]
    return f"KNOWN: Final[dict[str, tuple[str, ...]]] = {{\n{''.join(lines)}}}"


def _texts(texts: list[str]) -> str:
    return ", ".join(map(_text, texts)) + ("," if len(texts) == 1 else "")


def _text(text: str) -> str:
    return json.dumps(text)  # as a literal of Python with the quotes that ruff prefers


def foreign() -> str:
    """Return the table of the options of Scout's own agents, by the service that they are for."""
    from scout_core.config.foreign import FOREIGN  # as above

    services = dict.fromkeys(FOREIGN.values())
    lines = ["| for | keys |", "|---|---|"]
    return "\n".join(
        lines
        + [
            f"| {service} | {', '.join(f'`{key}`' for key in FOREIGN if FOREIGN[key] == service)} |"
            for service in services
        ]
    )


def states() -> str:
    """Return the table of the states of plugins, from their docstrings: ``NAME = "word"``, followed by the meaning."""
    (definition,) = (
        node
        for node in ast.parse((ROOT / "scout_core" / "states.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    )
    rows = [
        f"| `{ast.literal_eval(member.value)}` | {ast.literal_eval(meaning.value)} |"
        for member, meaning in zip(definition.body, definition.body[1:], strict=False)
        if isinstance(member, ast.Assign) and isinstance(meaning, ast.Expr)
    ]
    return "\n".join(["| state | meaning |", "|---|---|", *rows])


def promises(kind: str) -> str:
    """Return a table of what scout_apm promises and what it is here; ``kind`` is a part of the file of promises."""
    lines = ["| scout_apm | here |", "|---|---|"]
    return "\n".join(lines + [f"| `{name}` | {row['here']} |" for name, row in _promises()[kind].items()])


def defects() -> str:
    """Return the table of the defects of scout_apm that tests show to be absent, and of those not tested yet."""
    lines = ["| scout_apm | here |", "|---|---|"]
    rows = _promises()["defects"].values()
    return "\n".join(lines + [f"| {row['scout']}. | {row.get('open', 'absent, tested')} |" for row in rows])


def _promises() -> dict[str, dict[str, dict[str, Any]]]:  # Any: TOML
    return tomllib.loads((ROOT / "tests" / "scout_promises.toml").read_text(encoding="utf-8"))


WORKLOADS = {
    "hello": "Flask, a constant",
    "unsampled": "Flask, a constant, sampled out",
    "request": "Flask, ten queries and a template",
    "flat": "one span by hand",
    "call": "a wrapped call that becomes a span",
}
"""Workload of the benchmarks to its name on the page."""


def costs() -> str:
    """Return the table of the counts that are stored for the oldest Python that has some."""
    file = min((ROOT / "benchmarks" / "baselines").glob("*.json"))
    stored = json.loads(file.read_text(encoding="utf-8"))["costs"]
    lines = ["| work | without an agent | added on the caller | added on the agent's thread |", "|---|---|---|---|"]
    for workload, name in WORKLOADS.items():
        caller, agent = (stored[f"{workload}, {thread}"] for thread in ("caller", "agent's thread"))
        without = f"{round(caller['request'], -3):,}" if caller["item"] == "request" else "–"
        lines.append(f"| {name} | {without} | {_count(caller)} | {_count(agent)} |")
    return "\n".join(lines)


def _count(cost: dict[str, Any]) -> str:  # Any: JSON
    return f"{round(cost['added'], -2):,} ({cost['ratio']:.3f})"


def attributes_of_spans() -> str:
    """Return the table of the attributes of a span."""
    return table("spans")


def attributes_of_transactions() -> str:
    """Return the table of the attributes that a transaction has as well."""
    return table("transactions")


PARTS: dict[str, tuple[Path, Callable[[], str]]] = {
    "spans": (ROOT / "docs" / "api.md", attributes_of_spans),
    "transactions": (ROOT / "docs" / "api.md", attributes_of_transactions),
    "options": (ROOT / "docs" / "configuration.md", options),
    "foreign": (ROOT / "docs" / "configuration.md", foreign),
    "plugins": (ROOT / "docs" / "plugins.md", plugins),
    "upstream": (ROOT / "docs" / "plugins.md", upstream),
    "states": (ROOT / "docs" / "how-it-works.md", states),
    "scout-api": (ROOT / "docs" / "coming-from-scout.md", lambda: promises("api")),
    "scout-keys": (ROOT / "docs" / "coming-from-scout.md", lambda: promises("keys")),
    "scout-others": (ROOT / "docs" / "coming-from-scout.md", lambda: promises("others")),
    "scout-defects": (ROOT / "docs" / "coming-from-scout.md", defects),
    "costs": (ROOT / "docs" / "performance.md", costs),
    "known": (ROOT / "scout_core" / "cli" / "known.py", known),
}
"""Name of each part, to its page and the function that generates it."""
OF_A_RELEASE = {"costs", "known"}
"""
Parts that the release of the core writes, and that may be out of date until then: otherwise each plugin and each new count
would change these pages.
"""


def filled(text: str, names: set[str]) -> str:
    """Return a page with these parts up to date."""
    for name in names:
        part = re.compile(rf"(?<=<!-- generated: {name} -->\n).*?(?=(?:# )?<!-- end -->)", re.DOTALL)
        if part.search(text):
            made = PARTS[name][1]()
            text = part.sub(lambda _, made=made: f"\n{made}\n\n", text)
    return text


def is_stale(old: str, new: str) -> bool:
    """Whether a page is out of date; a plugin may be missing until its first release adds it."""
    missing = {line for line in new.splitlines() if line not in old.splitlines() and not _is_released(line)}
    return old.splitlines() != [line for line in new.splitlines() if line not in missing]


def main(arguments: list[str]) -> int:
    """Write or compare; return 1 when a page is out of date."""
    parser = argparse.ArgumentParser(
        prog="docs/generate.py", description="Write the parts of the documentation that are generated from the code."
    )
    parser.add_argument(
        "parts",
        metavar="PART",
        nargs="*",
        help=f"{', '.join(PARTS)}; by default all except {', '.join(sorted(OF_A_RELEASE))}, which releases write",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is out of date")
    asked = parser.parse_args(arguments)
    for part in asked.parts:
        if part not in PARTS:
            parser.error(f"invalid part {part!r}; expected one of {', '.join(PARTS)}")
    names = set(asked.parts) or set(PARTS) - OF_A_RELEASE
    texts = {path: path.read_text(encoding="utf-8") for path, _ in (PARTS[name] for name in sorted(names))}
    status = 0
    for path, text in texts.items():
        new = filled(text, names)
        if not asked.check:
            path.write_text(new, encoding="utf-8")
        elif is_stale(text, new):
            sys.stderr.write(f"{path.name} is out of date; run: python docs/generate.py\n")
            status = 1
    return status


def _projects() -> list[Path]:
    return sorted(ROOT.glob("plugins/*/pyproject.toml"))


def _plugin(file: Path) -> str:
    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    libraries = project.get("optional-dependencies", {}).get("instruments", [])
    cells = (
        f"[{project['name']}](../{file.parent.relative_to(ROOT).as_posix()}/README.md)",
        project["description"],
        ", ".join(f"`{library}`" for library in libraries) or "–",
        f"`{project['requires-python']}`",
        ", ".join(f"`{hook}`" for hook in sorted(set(_hooks(file.parent)))),
    )
    return f"| {' | '.join(cells)} |"


def _hooks(folder: Path) -> Iterator[str]:
    """Yield the hooks that a plugin implements, without importing it."""
    for file in sorted(folder.glob("src/**/*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and any(map(_is_hookimpl, node.decorator_list)):
                yield node.name


def _is_hookimpl(decorator: ast.expr) -> bool:
    name = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(name).rpartition(".")[2] == "hookimpl"


def _is_released(line: str) -> bool:
    """Whether a line is not about a plugin, or about a plugin that has a release in its changelog."""
    name = re.match(r"\| \[[^]]+\]\(\.\./plugins/([^/)]+)/README\.md\)", line)
    changelog = ROOT / "plugins" / name[1] / "CHANGELOG.md" if name else None
    return changelog is None or re.search(r"^## \d", changelog.read_text(encoding="utf-8"), re.MULTILINE) is not None


def _row(option: Option) -> str:
    aliases = "".join(f", `{alias}`" for alias in option.aliases)
    meaning = option.help.replace("``", "`").replace("|", "\\|")
    cells = (f"`{option.key}`{aliases}", f"`{option.variable}`", option.kind.expected, _default(option), meaning)
    return f"| {' | '.join(cells)} |"


def _default(option: Option) -> str:
    value = option.default
    if option.kind.written is not None:
        return f"`{option.kind.written(value)}`"
    if value in ("", (), None) or value == {}:
        return "–"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
