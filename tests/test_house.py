"""House rules that no other tool checks: which module imports which, the length of modules, docstrings, tests of hooks."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import scout_core.testing
from scout_core.operations import CONTROLLER, JOB
from scout_core.states import State

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# A module imports from its own group and from those above it. `__init__` stands for `scout_core` itself.
GROUPS = {
    "words": (
        "application_code",
        "classes",
        "clocks",
        "endpoints",
        "errors",
        "fork_lock",
        "hookspecs",
        "private_files",
        "operations",
        "problems",
        "proxies",
        "children",
        "states",
        "suggest",
        "signals",
        "special_methods",
        "tag_values",
        "tracebacks",
    ),
    "text": ("text",),
    "config": ("config",),
    "measuring": ("measuring",),
    "recording": ("recording",),
    "boundary": ("boundary", "log", "log_records", "threads", "uwsgi"),
    "sending": ("sending",),
    "agent": ("added", "agent", "callbacks", "deadlines", "first_requests", "running", "this_process", "__init__"),
    "instruments": ("instruments",),
    "beside": ("builtin", "cli", "launch", "scaffold", "testing", "pytest_plugin", "__main__"),
}

PARTS_OF_THE_AGENT = {"evaluation", "ledger", "outboxes", "recorder", "tracer"}
"""Attributes that lead into the agent: a plugin uses the agent's own methods."""

LONGEST_MODULE = 300
REGISTRY_HOST = re.compile(
    r"pyp[i]\.(python\.)?org|pythonh[o]sted\.org|npmj[s]\.(org|com)|unpk[g]\.com|jsdeliv[r]\.net"
)
LOCK_FILES = {"uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "package-lock.json", "yarn.lock"}

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "scout_core"
CORE_MODULES = sorted(CORE.rglob("*.py"))
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
PLUGIN_MODULES = sorted(ROOT.glob("plugins/*/src/**/*.py"))

PUBLIC_MODULES = dict(
    re.findall(
        r"^\| `(scout_core[\w.]*)` \| (.*?) \| ", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.MULTILINE
    )
)
"""
Modules that a plugin may import at run time, to the names that the page lists.

The plugins of this repository follow the same rule; if one needs another module, add it to the page.
"""


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def module_name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name: str) -> bool:
    place = ROOT.joinpath(*name.split("."))
    return place.with_suffix(".py").is_file() or place.is_dir()


def run_time_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every node except those only for a type checker."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield other
                yield from run_time_nodes(other)
            continue
        yield child
        yield from run_time_nodes(child)


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports at run time, also within functions."""
    found = set()
    for node in run_time_nodes(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner.startswith("scout_core.") and is_module(inner) else node.module)
    return found


def group_of(module: str) -> int:
    first = module.split(".")[1] if "." in module else "__init__"
    for number, members in enumerate(GROUPS.values()):
        if first in members:
            return number
    raise AssertionError(f"{module} is in no group: add it to GROUPS in this file")


def core_imports(path: Path) -> set[str]:
    return {name for name in imports(path) if name.split(".")[0] == "scout_core"}


@pytest.mark.parametrize("path", CORE_MODULES, ids=relative)
def test_a_module_imports_only_from_its_own_group_and_the_groups_above(path):
    own = group_of(module_name(path))
    names = list(GROUPS)

    below = {name: names[group_of(name)] for name in core_imports(path) if group_of(name) > own}

    assert {} == below


@pytest.mark.parametrize("path", sorted((CORE / "builtin").rglob("*.py")) + PLUGIN_MODULES, ids=relative)
def test_a_plugin_imports_only_public_modules(path):
    own_package = "scout_core.builtin." if CORE in path.parents else "\0"

    private = {name for name in core_imports(path) if name not in PUBLIC_MODULES and not name.startswith(own_package)}

    assert set() == private


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_the_names_that_the_page_lists_for_a_public_module_exist(module):
    listed = set(re.findall(r"`(\w+)`", PUBLIC_MODULES[module]))

    assert listed or "*" in PUBLIC_MODULES[module]
    assert set() == listed - set(dir(import_module(module)))


def test_the_page_lists_every_public_module_once_and_each_exists():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(scout_core[\w.]*)` ", page, re.MULTILINE)

    assert [*PUBLIC_MODULES] == rows
    assert [] == [name for name in rows if not is_module(name)]
    assert set(re.findall(r"^\.\. (?:automodule|currentmodule):: (\S+)$", page, re.MULTILINE)) <= {*rows}


@pytest.mark.parametrize("path", sorted((CORE / "builtin").rglob("*.py")) + PLUGIN_MODULES, ids=relative)
def test_a_plugin_does_not_reach_into_the_agent(path):
    used = {node.attr for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}

    assert set() == used & PARTS_OF_THE_AGENT


@pytest.mark.parametrize("path", PLUGIN_MODULES, ids=relative)
def test_plugins_do_not_import_other_plugins(path):
    own = path.relative_to(ROOT / "plugins").parts[2]

    others = {
        name for name in imports(path) if name.startswith("scout_") and name.split(".")[0] not in (own, "scout_core")
    }

    assert set() == others


def test_suggestions_are_computed_in_a_single_module():
    users = [
        relative(path)
        for path in CORE_MODULES + PLUGIN_MODULES
        if "difflib.get_close_matches"
        in {
            f"{node.module}.{alias.name}"
            for node in ast.walk(tree(path))
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
    ]

    assert ["scout_core/suggest.py"] == users


@pytest.mark.parametrize("path", CORE_MODULES + PLUGIN_MODULES, ids=relative)
def test_a_module_is_not_too_long(path):
    lines = path.read_text(encoding="utf-8").count("\n")

    assert lines <= LONGEST_MODULE


def public_definitions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            # A hook is documented in hookspecs.py, and a setter or deleter with its property.
            decorators = {
                ast.unparse(decorator).partition("(")[0].rpartition(".")[2] for decorator in node.decorator_list
            }
            if not decorators & {"hookimpl", "setter", "deleter", "overload"}:
                yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node.body, f"{prefix}{node.name}.")


@pytest.mark.parametrize("path", CORE_MODULES + PLUGIN_MODULES, ids=relative)
def test_everything_public_has_a_docstring(path):
    module = tree(path)
    undocumented = {name for name, node in public_definitions(module.body) if not ast.get_docstring(node)}
    if module.body and not ast.get_docstring(module):
        undocumented.add("the module itself")

    assert set() == undocumented


def hook_names() -> list[str]:
    functions = [node for node in tree(CORE / "hookspecs.py").body if isinstance(node, ast.FunctionDef)]
    return [node.name for node in functions if "hookspec" in map(ast.unparse, node.decorator_list)]


def test_every_hook_has_a_test():
    tests = {
        node.name
        for path in (ROOT / "tests").rglob("*.py")
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }

    assert [] == [name for name in hook_names() if not any(test.startswith(f"test_hook_{name}") for test in tests)]


@pytest.mark.parametrize("folder", [ROOT, *PLUGINS], ids=relative)
def test_a_distribution_declares_the_versions_it_is_tested_with(folder):
    """Each library of the extra ``instruments`` has its lower bound pinned in the oldest set."""
    project_file = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    needs = project_file["tool"].get("scout-test", {})
    oldest = {pin.name.lower(): pin for pin in map(Requirement, needs.get("oldest", []))}
    libraries = map(Requirement, project_file["project"].get("optional-dependencies", {}).get("instruments", []))

    keys = {"once", "isolated", "processes", "reliability", "skew", "wrapt"}
    named = [name for key in keys for name in needs.get(key, [])]
    assert [] == [name for name in named if not list((folder / "tests").glob(name))]
    assert set(needs) <= keys | {"oldest", "latest", "sets", "apart", "requires", "extra"}
    assert set(needs.get("apart", [])) <= {"latest", "oldest"}
    for library in libraries:
        pins = [clause.version for clause in oldest[library.name.lower()].specifier if clause.operator == "=="]
        lowest = [clause.version for clause in library.specifier if clause.operator in (">=", "~=", "==")]
        assert [True] == [library.specifier.contains(pin, prereleases=True) for pin in pins]
        assert [True] == [f"{pins[0]}.".startswith(f"{bound}.") for bound in lowest]


@pytest.mark.parametrize("folder", PLUGINS, ids=relative)
def test_a_plugin_declares_its_entry_point_and_a_range_of_core_versions(folder):
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needs = {need.name: need.specifier for need in map(Requirement, project["dependencies"])}
    short = project["name"].removeprefix("scout-")

    assert folder.name == project["name"]
    assert project["entry-points"]["scout_core"][short].split(".")[0] == f"scout_{short.replace('-', '_')}"
    assert {">=", "<"} == {clause.operator for clause in needs["scout-core"]}


def kept_files() -> list[Path]:
    """Return the files that are tracked by git, or would be added."""
    if not (ROOT / ".git").exists():
        pytest.skip("not on an unpacked archive: without git the tracked files are unknown")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_the_host_of_a_package_registry():
    """The package index differs between environments; a lock file would contain its host, too."""
    found = [
        f"{relative(path)}: {match.group()}"
        for path in kept_files()
        for match in REGISTRY_HOST.finditer(path.read_bytes().decode("utf-8", "replace"))
    ]

    assert [] == found
    assert [] == [relative(path) for path in kept_files() if path.name in LOCK_FILES]


def test_changelog_fragments_have_names_that_a_release_accepts():
    kinds = ("added", "changed", "fixed", "removed", "security")
    fragments = [path for path in kept_files() if path.parent.name == "changelog.d" and path.suffix == ".md"]

    assert [] == [
        relative(path)
        for path in fragments
        if not re.fullmatch(rf"(\d+|\+[\w-]+)\.({'|'.join(kinds)})\.md", path.name) and not path.name.startswith(".")
    ]


def test_a_skip_that_depends_on_a_version_has_a_reason_that_ci_accepts():
    """CI fails on every other skip, but only on the Python or the library that it is for."""
    reasons = {}
    for path in kept_files():
        if path.suffix == ".py" and "tests" in path.parts:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("skipif"):
                    condition, reason = ast.unparse(node.args[0]), ast.unparse(node.keywords[0].value).lstrip("f'\"")
                    if "version" in condition.lower():
                        reasons[f"{relative(path)}:{node.lineno}"] = reason

    assert len(reasons) > 5
    assert {} == {place: reason for place, reason in reasons.items() if not reason.startswith(("not on ", "not with "))}


def test_ci_runs_the_command_of_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    commands = [line.strip() for line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()]

    assert [line for line in readme if "bin/nox" in line and line in commands]


def test_owners_and_modes_of_files_are_examined_in_one_module():
    own = {
        "scout_core/private_files.py",
        "scout_core/cli/edit.py",
    }  # the latter keeps the mode of a file that it replaces

    assert own >= {
        relative(path)
        for path in CORE_MODULES + PLUGIN_MODULES
        if {"st_uid", "S_IMODE", "geteuid"}
        & {node.attr for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}
    }


USES_LOGGING = {
    "scout_core/log.py": "all logging of the core and of plugins",
    "scout_core/testing/unattended.py": "a handler, for the agent's own messages in a suite of somebody else; it logs nothing",
    "scout_core/log_records.py": "a filter for the application's own logging; it logs nothing",
    "plugins/scout-dashboard/src/scout_dashboard/commands.py": "silences uvicorn, in a process of its own",
    "plugins/scout-dashboard/src/scout_dashboard/connections.py": "gives uvicorn a silent logger",
    "plugins/scout-demo/src/scout_demo/shop/__main__.py": "silences the server of the demo, which is an application",
}


def test_a_single_module_logs_since_handlers_and_filters_are_code_of_the_application():
    users = {relative(path) for path in CORE_MODULES + PLUGIN_MODULES if "logging" in imports(path)}

    assert set(USES_LOGGING) == users


WRITERS = {
    "scout_core/cli/output.py": "everything that commands print",
    "scout_core/log.py": "the last resort when an application's logging raises",
    "scout_core/launch/sitecustomize.py": "why an application is not recorded, before anything of the core can be imported",
    "plugins/scout-demo/src/scout_demo/command.py": "figures of its own, on a line that it replaces",
    "plugins/scout-demo/src/scout_demo/result.py": "figures of its own",
    "plugins/scout-demo/src/scout_demo/shop/__main__.py": "its port, for the process that started it",
}
"""Modules that write to the terminal, with the texts that they write."""


def written(path: Path) -> set[str]:
    """The calls that write to standard output or standard error, or put escape sequences into a text."""
    calls = {ast.unparse(node.func) for node in ast.walk(tree(path)) if isinstance(node, ast.Call)}
    last = {call.rpartition(".")[2]: call for call in calls if call.partition(".")[0] in ("click", "sys", "os")}
    imported = {
        alias.name
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and node.module == "click"
        for alias in node.names
    }
    names = {"echo", "secho", "style", "echo_via_pager", "progressbar"}
    found = {call for name, call in last.items() if call.startswith("click.") and name in names}
    found |= {call for call in calls if re.fullmatch(r"sys\.(__)?std(out|err)(__)?(\.buffer)?\.write(lines)?", call)}
    return found | ({"print", "pprint"} & calls) | (names & imported)


def test_a_single_module_writes_to_the_terminal_since_texts_may_contain_escape_sequences():
    writers = {relative(path): written(path) for path in CORE_MODULES + PLUGIN_MODULES if written(path)}

    assert set(WRITERS) == set(writers), writers


TEXTS = {"reason", "detail", "advice", "message", "last_error", "problem", "sentence", "seen", "slow", "error", "text"}
"""Names of values that are written for people."""
SEARCHES = {"startswith", "endswith", "partition", "rpartition", "split", "rsplit", "find", "rfind", "index", "removeprefix", "removesuffix"}  # fmt: skip
PARSED_ELSEWHERE = {
    "plugins/scout-dashboard/src/scout_dashboard/views/processes.py: reason": "a counter's key, which is an identifier",
    "plugins/scout-dashboard/src/scout_dashboard/store/store.py: error": "SQLite's own message; Python 3.10 has no error code",
}
"""Text of another program, or not a text."""


def searched_texts(path: Path) -> Iterator[str]:
    """The names of texts that a module searches for a phrase."""
    for node in ast.walk(tree(path)):
        holders = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SEARCHES:
            holders = [node.func.value]
        elif isinstance(node, ast.Compare) and any(isinstance(operator, (ast.In, ast.NotIn)) for operator in node.ops):
            holders = [*node.comparators]
        for holder in holders:
            if isinstance(holder, ast.Call) and ast.unparse(holder.func) == "str" and holder.args:
                holder = holder.args[0]
            name = getattr(holder, "attr", getattr(holder, "id", ""))
            if isinstance(holder, ast.Subscript) and isinstance(holder.slice, ast.Constant):
                name = holder.slice.value
            if name in TEXTS - {"text"} or (name == "text" and isinstance(holder, ast.Attribute)):
                yield name


@pytest.mark.parametrize("path", CORE_MODULES + PLUGIN_MODULES, ids=relative)
def test_no_module_searches_a_text_that_is_written_for_people(path):
    """Kinds and states are compared; a text may be reworded at any time."""
    searched = {f"{relative(path)}: {name}" for name in searched_texts(path)}

    assert set() == searched - set(PARSED_ELSEWHERE)


def test_a_public_class_of_the_test_kit_has_a_name_that_no_other_public_module_uses():
    """A plugin's author imports both, and an editor offers both under one name."""
    owners: dict[str, list[str]] = {}
    for path in CORE_MODULES:
        module = module_name(path)
        if module in PUBLIC_MODULES or module.startswith("scout_core.testing."):
            for node in tree(path).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    owners.setdefault(node.name, []).append(module)
    exported = set(scout_core.testing.__all__)

    assert {} == {name: modules for name, modules in owners.items() if name in exported and len(modules) > 1}


def test_a_traceback_is_walked_in_one_module():
    walkers = {
        relative(path)
        for path in CORE_MODULES + PLUGIN_MODULES
        if any(
            (isinstance(node, ast.Attribute) and node.attr in ("tb_next", "walk_tb"))
            or (isinstance(node, ast.ImportFrom) and node.module == "traceback")
            for node in ast.walk(tree(path))
        )
    }

    assert {"scout_core/tracebacks.py"} == walkers


KINDS_OF_EXAMPLES = {
    "scout_core/recording/safety/abandoned.py": "objects that are never recorded",
    "scout_core/testing/rules/calls.py": "the name of a transaction, as an application would write it",
    "scout_core/testing/rules/endings.py": "the same",
    "scout_core/testing/rules/forking.py": "the same",
    "scout_core/testing/rules/of_calls.py": "the same",
}


@pytest.mark.parametrize("path", CORE_MODULES + PLUGIN_MODULES, ids=relative)
def test_the_kinds_of_the_core_are_written_in_one_module(path):
    if relative(path) == "scout_core/operations.py" or relative(path) in KINDS_OF_EXAMPLES:
        return
    texts = [
        node.value for node in ast.walk(tree(path)) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]

    assert [] == [text for text in texts if re.match(rf"({CONTROLLER}|{JOB})(/\S*)?$", text)]


STATE_WORDS = {state.value for state in State}
OWN_STATES = {
    "scout_core/states.py": "the states",
    "scout_core/boundary/patches.py": "a target waits for its module, too",
    "scout_core/boundary/status.py": "compares the state of targets",
    "scout_core/boundary/plugin.py": "compares the state of targets",
    "scout_core/cli/check.py": "a rule is skipped",
}


@pytest.mark.parametrize(
    "path", [path for path in CORE_MODULES + PLUGIN_MODULES if relative(path) not in OWN_STATES], ids=relative
)
def test_states_of_plugins_are_compared_as_members_of_state(path):
    compared = {
        constant.value
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Compare)
        for constant in ast.walk(node)
        if isinstance(constant, ast.Constant) and constant.value in STATE_WORDS
    }

    assert set() == compared
