"""The documentation is correct: its examples run, and its hooks, options and commands exist.

A Python block whose first line is a comment with the name of a file is that file; later blocks of the page can import it.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from attrs import frozen

import scout_core
from scout_core import Span, Transaction, transaction
from scout_core.cli import build
from scout_core.config.config import read_config
from scout_core.config.files import find_settings
from scout_core.config.options import OPTIONS
from scout_core.states import State
from scout_core.testing import recording, static_problems
from tests.workbench import Keeper, exporting, running

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"# (\w+\.py)\n")

HOOK_RUNS = '''
"""Cause a call of every hook; then print the calls and the last failure of each function of a plugin."""
import subprocess, sys
import scout_core

agent = scout_core.start(name="Shop", plugins=[sys.argv[1]], plugins_disable=["collector"])
with scout_core.transaction("Controller/shop.checkout", plan="enterprise", user_agent="Crawlbot/1.0"):
    with scout_core.span("SQL/Query"):
        subprocess.run([sys.executable, "-c", ""], check=True)
with scout_core.transaction("Job/heartbeat") as heartbeat:
    heartbeat.ignore("not interesting")
try:
    with scout_core.transaction("Controller/shop.broken"):
        raise KeyError("plan")
except KeyError:
    pass
scout_core.stop()
guards = {*agent.plugins.all[sys.argv[1]].guards, *agent.hooks.frozen(sys.argv[2])}
for guard in (guard for guard in guards if guard.plugin == sys.argv[1]):
    print(guard.place, guard.calls, guard.failures.last)
for outbox in agent.recorder.outboxes:
    print("exported", agent.counters(outbox.exporter.name).exported)
'''


@frozen
class Example:
    """A Python block of a page."""

    page: Path
    line: int
    file: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """Return line number and text of each block in a language."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, found.start()) + 1, found[2]) for found in FENCE.finditer(text) if found[1] == language
    ]


def examples(page: Path) -> list[Example]:
    found = []
    for line, text in blocks(page, "python"):
        name = FILE_NAME.match(text)
        found.append(Example(page, line, name[1] if name else None, text))
    return found


def write_files(page: Path, folder: Path) -> None:
    for example in examples(page):
        if example.file:
            (folder / example.file).write_text(example.text, encoding="utf-8")


def run(*command: str, cwd: Path, **environment: str) -> str:
    """Return the standard output of a Python process, which must succeed without warnings."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("SCOUT_")}
    environment = {**plain, "PYTHONPATH": str(cwd), "XDG_STATE_HOME": str(cwd / "state"), **environment}
    arguments = [sys.executable, "-W", "error", *command]
    done = subprocess.run(arguments, cwd=cwd, env=environment, capture_output=True, text=True)
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


ALL_EXAMPLES = [example for page in PAGES for example in examples(page)]


@pytest.mark.parametrize("example", ALL_EXAMPLES, ids=str)
def test_an_example_runs(example, tmp_path):
    write_files(example.page, tmp_path)
    if (example.file or "").startswith("test_"):
        printed = run("-m", "pytest", "-q", "-p", "no:cacheprovider", example.file, cwd=tmp_path)
        assert " passed" in printed
    elif example.file:
        run(example.file, cwd=tmp_path)
    else:
        run("-c", example.text, cwd=tmp_path)


def hook_signatures() -> dict[str, str]:
    """Return hook name to its signature in the source."""
    tree = ast.parse((ROOT / "scout_core" / "hookspecs.py").read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list]
    return {node.name: f"{node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}" for node in functions}


HOOKS_PAGE = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## `(\w+)(.*?)(?=^## |\Z)", HOOKS_PAGE, re.MULTILINE | re.DOTALL))


def test_the_headings_are_the_signatures_of_the_hooks_in_the_same_order():
    headings = re.findall(r"^## `(.+)`$", HOOKS_PAGE, re.MULTILINE)

    assert list(hook_signatures().values()) == headings


@pytest.mark.parametrize("hook", hook_signatures())
def test_the_example_of_a_hook_is_called_and_does_not_fail(hook, tmp_path):
    """Under a real agent, in a program that causes a call of every hook."""
    (example,) = [
        example for example in ALL_EXAMPLES if example.page.name == "hooks.md" and example.text in SECTIONS[hook]
    ]
    module = example.file.removesuffix(".py")
    (tmp_path / example.file).write_text(example.text, encoding="utf-8")
    if hook == "register_commands":
        (tmp_path / "lines.txt").write_text("first\nlast\n", encoding="utf-8")
        assert "last\n" == run("-m", "scout_core", "last-report", "lines.txt", cwd=tmp_path, SCOUT_PLUGINS=module)
        return

    printed = [line.split(" ", 2) for line in run("-c", HOOK_RUNS, module, hook, cwd=tmp_path).splitlines()]

    calls = {place: int(count) for place, count, *_ in printed}
    assert [] == [(place, error[0]) for place, _, *error in printed if error not in ([], ["None"])]
    assert 0 < calls[hook]
    assert [] == [place for place, count in calls.items() if not count]


@pytest.mark.parametrize("hook", hook_signatures())
def test_the_example_of_a_hook_follows_the_rules_for_plugins(hook, tmp_path):
    (example,) = [
        example for example in ALL_EXAMPLES if example.page.name == "hooks.md" and example.text in SECTIONS[hook]
    ]
    (tmp_path / example.file).write_text(example.text, encoding="utf-8")

    module = example.file.removesuffix(".py")
    assert [] == static_problems(module, packaged=False, path=[str(tmp_path), *sys.path])


@pytest.fixture
def write(monkeypatch, tmp_path):
    """Return a function that makes the files of a page importable during a test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def write_page(name):
        write_files(ROOT / name, tmp_path)

    yield write_page
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


JOB = {"template": "welcome", "to": "ada@example.org", "queued_at": 0.0}


def test_the_example_of_a_queue_links_each_attempt_to_its_publisher(write):
    write("docs/jobs.md")

    with recording(plugins=["postbox_jobs"]) as scout:
        import postbox

        def send():
            if len(scout.transactions) == 1:
                raise postbox.Retry

        queue = postbox.Queue()
        with transaction("Controller/shop.order"):
            queue.publish(send)
        postbox.Worker().work(queue)

        order, first, second = scout.transactions
        assert [order.span_id, first.span_id] == [first.parent_span_id, second.parent_span_id]
        assert 1 == len({recorded.trace_id for recorded in scout.transactions})
        assert [("retry", 1), ("success", 2)] == [(job.tags["outcome"], job.tags["attempt"]) for job in (first, second)]
        assert all(0 <= job.queue_time < 60 for job in (first, second))


@pytest.mark.parametrize(
    "plugin, to, tags, is_error",
    [
        ("mail_jobs", "ada@example.org", {"queue": "mail"}, False),
        ("mail_results", "ada@example.org", {"result": "sent", "error": False}, False),
        ("mail_results", "nobody", {"result": "bounced", "error": True}, True),
    ],
)
def test_the_job_examples_record_jobs(write, plugin, to, tags, is_error):
    write("docs/writing-a-plugin.md")

    with recording(plugins=[plugin]) as scout:
        import mailqueue

        mailqueue.Worker().perform({**JOB, "to": to})
        job = scout.transaction

    assert ("Job/mail.welcome", tags, is_error) == (job.operation, job.tags, job.is_error)


def test_the_example_of_a_client_sends_the_headers_of_its_span(write):
    write("docs/writing-a-plugin.md")

    with recording(plugins=["price_calls"]) as scout:
        import pricelist

        own = {"Accept": "*/*"}
        with transaction("Controller/shop.home") as home:
            assert 200 == pricelist.Client().fetch("http://prices.example/", own)
        (call,) = scout.spans

    assert {"Accept": "*/*"} == own
    (sent,) = pricelist.SENT
    assert f"00-{home.trace_id}-{call.span_id}-03" == sent["traceparent"]


def test_the_header_example_only_adds_a_header(write):
    write("docs/writing-a-plugin.md")

    with recording(plugins=["mail_headers"]):
        import mailqueue

        worker = mailqueue.Worker()
        with transaction("Controller/signup") as signup:
            answer = worker.perform(JOB)

    assert "sent" == answer
    assert [{**JOB, "x-transaction": f"{signup.id:016x}"}] == worker.seen


def test_the_shutdown_example_sends_what_was_recorded(write):
    write("docs/writing-a-plugin.md")
    keeper = Keeper()

    with running(exporting(keeper), import_module("mail_shutdown")):
        import mailqueue

        with transaction("Job/mail"):
            pass
        mailqueue.Worker().shutdown()

        assert 1 == keeper.counted


@pytest.mark.parametrize("page", ["README.md", "docs/writing-a-plugin.md"])
def test_the_five_line_policy_decides_what_is_kept(write, page):
    write(page)

    with recording(plugins=["keep_paying"], traces_per_period=1) as scout:
        for name, plan in (("a", "free"), ("b", "enterprise"), ("c", "free")):
            with transaction(f"Controller/shop.{name}", plan=plan):
                pass
        (trace,) = scout.traces()

    assert "Controller/shop.b" == trace.name
    assert 5.0 == trace.policies["keep_paying"]


def test_the_readme_application_is_recorded(write):
    pytest.importorskip("scout_flask", reason="scout-flask is not installed")
    write("README.md")

    with recording() as scout:
        import app

        answer = app.app.test_client().get("/").get_data(as_text=True)
        operations = scout.operations

    assert "hello" == answer
    assert ["Controller/app.home"] == operations


def test_the_job_after_the_response_is_linked_to_its_request(write):
    pytest.importorskip("scout_flask", reason="scout-flask is not installed")
    write("docs/your-own-code.md")

    with recording(plugins=["scout_flask"]) as scout:
        import receipts

        for _ in range(2):
            receipts.app.test_client().post("/orders").close()
        with transaction("Job/other").detach():
            pass
        found = {name: [seen for seen in scout.transactions if seen.operation == name] for name in scout.operations}

    requests, jobs, (other,) = found["Controller/receipts.order"], found["Job/receipt.send"], found["Job/other"]
    assert [(web.span_id, web.trace_id) for web in requests] == [(job.started_by, job.trace_id) for job in jobs]
    assert [["Mail/Send"]] * 2 == [[seen.operation for seen in job.spans] for job in jobs]
    assert "" == other.started_by


TOML = [(page, line, text) for page in PAGES for line, text in blocks(page, "toml") if "[tool.scout-core" in text]


@pytest.mark.parametrize(("page", "line", "text"), TOML, ids=[f"{page.name}:{line}" for page, line, _ in TOML])
def test_a_configuration_file_in_the_documentation_has_no_problems(page, line, text, tmp_path):
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")

    assert [] == read_config(environment={}, settings=find_settings(tmp_path)).problems


SCRIPTS = [
    path
    for folder in ("docs", "benchmarks", ".ci", "template")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.is_file()
    and "layers" not in path.parts
    and (
        (path.suffix == ".py" and '__name__ == "__main__"' in path.read_text(encoding="utf-8"))
        or (not path.suffix and path.read_bytes().startswith(b"#!"))
    )
]
"""Programs of the repository that are not installed."""


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_script_prints_its_help_and_does_nothing_else(path, tmp_path):
    if path.suffix != ".py":
        command = [str(path)]
    elif path.parent.name == "bench":  # modules of a package, which the benchmarks start
        command = [sys.executable, "-m", f"bench.{path.stem}"]
    else:
        command = [sys.executable, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "benchmarks"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*command, "--help"],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert len(done.stdout.splitlines()) >= 3
    assert [] == list(tmp_path.iterdir())


def test_an_unknown_part_of_the_documentation_is_an_error_that_names_the_parts(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "option"], cwd=tmp_path, capture_output=True, text=True
    )

    assert 2 == done.returncode
    assert (
        "invalid part 'option'; expected one of spans, transactions, options, foreign, plugins, upstream, states, scout-api, scout-keys, scout-others,"
        " scout-defects, costs, known" in done.stderr
    )


def test_generated_parts_are_up_to_date(tmp_path):
    run(str(ROOT / "docs" / "generate.py"), "--check", cwd=tmp_path)


@pytest.mark.parametrize(("kind", "heading"), [(Span, "spans"), (Transaction, "transactions")])
def test_every_public_attribute_of_spans_and_transactions_is_in_the_api_reference(kind, heading):
    """A row of the table has its type and its meaning; methods are listed elsewhere."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    (table,) = re.findall(rf"<!-- generated: {heading} -->\n(.*?)<!-- end -->", page, re.DOTALL)
    rows = {
        name: (of, meaning)
        for name, of, meaning in re.findall(r"^\| `(\w+)` \| `(.+?)` \| (.+) \|$", table, re.MULTILINE)
    }
    internal = set(
        re.findall(
            r'"(\w+)"', (ROOT / "docs" / "attributes.py").read_text("utf-8").partition("INTERNAL")[2].partition(")")[0]
        )
    )
    attributes = {
        name for name in dir(kind) if not name.startswith(("_", "own_")) and not callable(getattr(kind, name))
    }
    inherited = set(dir(Span)) if kind is Transaction else set()

    assert set() == attributes - rows.keys() - internal - inherited
    assert set() == rows.keys() - attributes
    assert set() == internal & rows.keys()
    assert rows["duration" if kind is Span else "path"] == (
        ("float", "Seconds from start to end, or until now while it is open; 0.0 when not recorded.")
        if kind is Span
        else ("str \\| None", "Path of a web request, without its query; None for a job.")
    )


def test_every_public_name_is_in_the_api_reference():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").partition("## Modules")[0]
    documented = set(re.findall(r"^\.\. auto\w+:: (\w+)$", page, re.MULTILINE)) | set(re.findall(r"`(\w+)`", page))
    for module in re.findall(r"^\.\. automodule:: (\S+)$", page, re.MULTILINE):
        documented |= set(vars(import_module(module)))

    assert set() == set(scout_core.__all__) - documented


def test_every_variable_that_is_mentioned_exists():
    known = {option.variable for option in OPTIONS} | {
        f"SCOUT_{name.upper()}"
        for name in ("team_prefix", "warn_slow_seconds", "letters_shortest", "slow_jobs_points", "log_level")
    }

    mentioned = {name for page in PAGES for name in re.findall(r"\bSCOUT_[A-Z][A-Z_]*[A-Z]\b", page.read_text("utf-8"))}

    assert set() == mentioned - known


def test_every_command_that_is_mentioned_exists():
    texts = [page.read_text("utf-8") for page in PAGES]

    mentioned = {name for text in texts for name in re.findall(r"[`/]scout-core ([a-z]+(?:-[a-z]+)*)", text)}

    assert set() == mentioned - set(build().commands) - {"last-report"}


def test_every_test_that_the_page_about_reliability_names_exists():
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:tests|plugins)/[\w/.-]+\.py)`", page))

    assert len(named) > 20
    assert [] == [name for name in sorted(named) if not (ROOT / name).is_file()]


def test_the_session_that_the_page_about_reliability_names_exists():
    page, sessions = ((ROOT / name).read_text(encoding="utf-8") for name in ("docs/reliability.md", "noxfile.py"))

    assert "`nox -s reliability`" in page
    assert "def reliability(session: nox.Session)" in sessions


def reasons_in(path: Path) -> set[str]:
    """Return the reasons for dropped transactions in a module of the core; ``collector answered`` stands for every status."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    names = vars(import_module(".".join(path.relative_to(ROOT).with_suffix("").parts)))
    nodes: list[ast.expr | None] = []
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            position = {"RejectedReport": 1, "NoReceiver": 1, "_lose": 1, "_done": 1, "drop": 0, "lost": 2}.get(called)
            nodes += [] if position is None else node.args[position : position + 1]
        elif isinstance(node, ast.Subscript) and getattr(node.value, "attr", "") == "dropped":
            nodes.append(node.slice)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "reason":
            nodes.append(node.value)
        elif isinstance(node, ast.FunctionDef):
            arguments = node.args.args[len(node.args.args) - len(node.args.defaults) :]
            nodes += [
                default
                for argument, default in zip(arguments, node.args.defaults, strict=True)
                if argument.arg == "reason"
            ]
            if node.name == "_dropped_at_once":
                nodes += [key for part in ast.walk(node) if isinstance(part, ast.Dict) for key in part.keys]
    found = set()
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.IfExp):
            nodes += [node.body, node.orelse]
        elif isinstance(node, ast.JoinedStr):
            nodes.append(node.values[0])
        value = getattr(node, "value", names.get(getattr(node, "id", "")))
        if isinstance(value, str):
            found.add(value.strip())
    return found


def test_every_reason_for_a_dropped_transaction_is_explained():
    core = ROOT / "scout_core"
    modules = [core / "errors.py", *(core / "sending").glob("*.py"), *(core / "builtin").glob("*.py")]
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    table = page.partition("| reason |")[2].partition("\n\n")[0]
    explained = {reason.removesuffix(" 401") for reason in re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)}

    produced = {reason for path in modules for reason in reasons_in(path)} - {""}

    assert explained == produced


def test_the_table_of_causes_has_every_state_in_the_usual_order():
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    table = page.partition("| state |")[2].partition("\n\n")[0]

    assert [*State] == [State(word) for word in ("active", *re.findall(r"^\| `(\w+)`", table, re.MULTILINE))]
