"""``scout-core plugins check``: the conformance rules that need no calls, for a plugin that need not be installed."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import asdict, frozen

from scout_core.boundary.discovery import find_plugins
from scout_core.boundary.importing import search_path
from scout_core.boundary.names import why_invalid
from scout_core.cli.output import as_json_option, bold, coloured, echo, print_json
from scout_core.cli.seconds import Seconds
from scout_core.cli.suggesting import no_such
from scout_core.hookspecs import PROJECT

if TYPE_CHECKING:
    from scout_core.testing.rules.problems import Violation

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGED = "metadata"
"""The rule that applies to distributions only."""
NOT_REACHED = "not reached"
"""The state of a rule that was not checked, because an earlier problem ended the check."""


@frozen
class Subject:
    """One module to check."""

    module: str
    where: str
    path: tuple[str, ...] = ()
    """Folders to put in front of ``sys.path``."""
    is_packaged: bool = False


_HELP: Final = """
Check a plugin against the rules for all plugins.

\b
scout-core plugins check my_plugin.py      a module
scout-core plugins check ./scout-redis     a package with its pyproject.toml
scout-core plugins check redis             an installed plugin

The plugin runs in a separate process, so the check also reports plugins that exit or hang. The rules that need calls of
the library belong in the plugin's tests: test_conformance = scout_core.testing.conformance("scout_redis", ...).
Exits with 1 if a rule is broken.
"""


@click.command("check", help=_HELP)
@click.argument("path")
@click.option("--timeout", type=Seconds(), default=60.0, show_default=True, help="Seconds before the check is aborted.")
@as_json_option
@click.pass_context
def check_plugin(ctx: click.Context, path: str, timeout: float, as_json: bool) -> None:
    """Run the command ``check``."""
    for variable in [name for name in os.environ if name.startswith("SCOUT_")]:
        del os.environ[variable]  # the check is about the plugin, not about these settings
    with _subjects(ctx, path) as subjects:
        results = [_result(subject, timeout) for subject in subjects]
    if as_json:
        print_json(results[0] if len(results) == 1 else results)
    else:
        for result in results:
            _print(result)
    if any(result["problems"] for result in results):
        raise SystemExit(1)


def _result(subject: Subject, timeout: float) -> dict[str, Any]:  # Any: several types
    from scout_core.testing import RULES, STATIC_RULES, static_problems
    from scout_core.testing.rules.problems import STARTED_RULES

    found = static_problems(
        subject.module, packaged=subject.is_packaged, path=[*subject.path, *search_path()], timeout=timeout
    )
    problems = [problem for problem in found if not problem.is_note]
    broken = {problem.rule for problem in problems}
    last = _last_checked(problems, STATIC_RULES)
    starts = not any(problem.is_fatal and problem.rule == "hooks" for problem in problems)

    def state(rule: str) -> str:
        if rule == PACKAGED and not subject.is_packaged:
            return "skipped"
        if rule in broken:
            return "problem"
        is_reached = STATIC_RULES.index(rule) <= STATIC_RULES.index(last) and (starts or rule not in STARTED_RULES)
        return "ok" if is_reached else NOT_REACHED

    rules = [{"rule": rule, "state": state(rule), "meaning": RULES[rule]} for rule in STATIC_RULES]
    return {
        "module": subject.module,
        "where": subject.where,
        "rules": rules,
        "problems": [asdict(problem) for problem in problems],
        "notes": [asdict(problem) for problem in found if problem.is_note],
    }


def _last_checked(problems: Sequence[Violation], rules: Sequence[str]) -> str:
    """
    Return the last rule that was checked.

    The check ends with the process of the plugin, and where its module cannot be imported.
    """
    ends = [
        problem.rule for problem in problems if problem.ends_process or (problem.is_fatal and problem.rule == "import")
    ]
    return min(ends, key=rules.index, default=rules[-1])


def _print(result: Mapping[str, Any]) -> None:  # Any: several types
    echo(bold(result["module"]), f" ({result['where']})")
    width = max(8, *(len(rule["state"]) for rule in result["rules"]))
    for rule in result["rules"]:
        state = rule["state"]
        meaning = "not applicable to a plain module" if state == "skipped" else rule["meaning"]
        echo(coloured(state, state.ljust(width)), f" {rule['rule'].ljust(9)} {meaning}")
        for problem in (*result["problems"], *result["notes"]):
            if problem["rule"] == rule["rule"]:
                margin = " " * (width + 11)
                echo(margin, problem["evidence"])
                echo(margin, f"→ {problem['advice']}")


@contextmanager
def _subjects(ctx: click.Context, given: str) -> Iterator[list[Subject]]:
    """Yield the modules to check, which can be imported until the ``with`` block ends."""
    path = Path(given)
    found = [plugin for plugin in find_plugins(search_path()).plugins if plugin.name == given]
    if path.suffix == ".py" and path.is_file():
        yield [Subject(path.stem, str(path), (str(path.resolve().parent),))]
    elif (path / "pyproject.toml").is_file():
        with tempfile.TemporaryDirectory(prefix="scout-core-") as site:
            yield _subjects_of_project(ctx, path.resolve(), Path(site))
    elif (path / "__init__.py").is_file():
        yield [Subject(path.resolve().name, str(path), (str(path.resolve().parent),))]
    elif found:
        yield [Subject(found[0].module, f"{found[0].distribution} {found[0].version}", is_packaged=True)]
    else:
        names = [plugin.name for plugin in find_plugins(search_path()).plugins]
        otherwise = "Give a Python file, a folder with a pyproject.toml, or the name of an installed plugin."
        raise click.UsageError(no_such("plugin", given, names, otherwise=otherwise), ctx)


def _subjects_of_project(ctx: click.Context, folder: Path, site: Path) -> list[Subject]:
    """Return the plugins of a project as if it were installed: with metadata, and the code in the folder or in its ``src``."""
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8-sig")).get("project", {})
    except ValueError as error:
        raise click.UsageError(f"{folder / 'pyproject.toml'} is not valid TOML ({error})", ctx) from None
    entries = project.get("entry-points", {}).get(PROJECT, {})
    if not project.get("name") or not entries:
        text = f"{folder / 'pyproject.toml'} defines no plugin; it needs a name and [project.entry-points.{PROJECT}]"
        raise click.UsageError(text, ctx)
    for entry, module in entries.items():
        invalid = why_invalid(entry, module)
        if invalid:
            raise click.UsageError(f"{folder / 'pyproject.toml'}: {invalid}", ctx)
    _write_metadata(site, project, entries)
    path = (str(site), *(str(place) for place in (folder / "src", folder) if place.is_dir()))
    return [Subject(module, str(folder), path, is_packaged=True) for module in entries.values()]


def _write_metadata(site: Path, project: Mapping[str, Any], entries: Mapping[str, str]) -> None:  # Any: TOML
    name, version = project["name"], project.get("version", "0")
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in project.get("dependencies", [])]
    for extra, requirements in project.get("optional-dependencies", {}).items():
        lines += [f"Provides-Extra: {extra}", *(f"Requires-Dist: {_with_extra(text, extra)}" for text in requirements)]
    metadata = site / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("\n".join([*lines, "", ""]), encoding="utf-8")
    rows = "\n".join(f"{entry} = {module}" for entry, module in entries.items())
    (metadata / "entry_points.txt").write_text(f"[{PROJECT}]\n{rows}\n", encoding="utf-8")


def _with_extra(requirement: str, extra: str) -> str:
    text, _, marker = requirement.partition(";")
    wanted = f'extra == "{extra}"'
    return f"{text.strip()}; ({marker.strip()}) and {wanted}" if marker else f"{text.strip()}; {wanted}"
