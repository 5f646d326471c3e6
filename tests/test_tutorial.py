"""The tutorial, followed to the letter: in an empty folder, with built wheels, every block copied in order.

``sh`` blocks run in one shell for the whole page. A ``python`` block becomes the file that its first line names. The lines of a
``text`` block are among the output of the commands before it, in this order; ``…`` matches anything, and numbers, names of
months and ids match others of their kind.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "--- output of line"
SHELL_KEEPS = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
"""Variables that the reader's shell keeps, besides pip's settings."""


@frozen
class Block:
    """One fenced block."""

    line: int
    language: str
    text: str

    @property
    def script(self) -> str:
        """Commands for the reader's shell, which run the block or write the file."""
        if self.language == "sh":
            return self.text
        name, _, _ = self.text.partition("\n")
        return f"cat > {name.removeprefix('# ')} <<'END-OF-FILE'\n{self.text}END-OF-FILE\n"


def blocks() -> list[Block]:
    text = PAGE.read_text(encoding="utf-8")
    return [Block(text.count("\n", 0, found.start()) + 1, found[1], found[2]) for found in BLOCK.finditer(text)]


def build(project: Path, out: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)


@pytest.fixture(scope="module")
def shell(tmp_path_factory) -> dict[str, str]:
    """The reader's environment: a home of its own, ``python3`` is this Python, and pip finds wheels of this checkout."""
    folder = tmp_path_factory.mktemp("reader")
    for project in (ROOT, ROOT / "plugins" / "scout-dashboard"):
        build(project, folder / "wheels")
    (folder / "bin").mkdir()
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    (folder / "bin" / "python3").symlink_to(base if base.exists() else sys.executable)
    kept = {key: value for key, value in os.environ.items() if key in SHELL_KEEPS or key.startswith("PIP_")}
    return {
        **kept,
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PATH": f"{folder / 'bin'}{os.pathsep}{kept['PATH']}",
        "PIP_FIND_LINKS": f"{(folder / 'wheels')} {kept.get('PIP_FIND_LINKS', '')}".strip(),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "COLUMNS": "200",
    }


@pytest.fixture(scope="module")
def printed(shell, tmp_path_factory) -> dict[int, str]:
    """Output of each ``sh`` block, by its line; the whole page is followed before the first test."""
    steps = [block for block in blocks() if block.language in ("sh", "python")]
    script = "set -eu\n" + "".join(f"echo '{MARK} {step.line}'\n{step.script}" for step in steps)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path_factory.mktemp("empty"), env=shell, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL, text=True, timeout=900,
    )  # fmt: skip
    assert 0 == done.returncode, done.stdout[-5_000:]
    parts = re.split(rf"^{MARK} (\d+)\n", done.stdout, flags=re.MULTILINE)
    return {int(line): text for line, text in zip(parts[1::2], parts[2::2], strict=True)}


def plain(line: str) -> str:
    """A line without the parts that differ between runs. The number of tests that passed does not."""
    line = re.sub(r"\x1b\[[0-9;]*m", "", line)
    line = re.sub(r"\b[0-9a-f]{16}\b|\b\d{4}-\d\d-\d\d\b", "#", line)
    line = re.sub(r"\b\d+ (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b", "#", line)
    line = re.sub(r"(?<![\w.-])\d+(:\d+)*(\.\d+)?(?![\w.-])(?! passed)( (s|ms|µs|ns))?", "#", line)
    return " ".join(re.sub(r"\bin [\d.]+s", "in #", line).split())


def test_every_line_that_the_page_shows_is_printed(printed):
    """In the order of the page; a printed line counts once."""
    missing: list[str] = []
    before: Block | None = None
    for block in blocks():
        if block.language == "text":
            assert before, f"line {block.line}: no command before it could print it"
            lines = iter([plain(line) for line in printed[before.line].splitlines()])
            for line in block.text.splitlines():
                pattern = ".*".join(re.escape(part) for part in plain(line).split("…"))
                if not any(re.fullmatch(pattern, output) for output in lines):
                    missing.append(f"{PAGE.name}:{block.line} shows {line!r}; printed was\n{printed[before.line]}")
        elif block.language == "sh":
            before = block

    assert [] == missing, "\n".join(missing)


def test_no_command_printed_a_warning(printed):
    """Except for messages of other tools about themselves."""
    warned = [
        line for text in printed.values() for line in text.splitlines() if re.search(r"Warning\b|Traceback", line)
    ]

    assert [] == warned


def test_every_block_is_of_a_tested_kind():
    assert {"python", "sh", "text"} == {block.language for block in blocks()}
    assert [] == [block.line for block in blocks() if block.language == "python" and not block.text.startswith("# ")]


def test_the_range_on_the_core_in_the_documentation_is_that_of_a_new_package():
    """Copying from either gives the same range."""
    from scout_core.scaffold.plan import core_range

    toml = re.findall(r"^```toml\n(.*?)^```$", (ROOT / "docs" / "writing-a-plugin.md").read_text("utf-8"), re.M | re.S)
    (project,) = [facts["project"] for facts in map(tomllib.loads, toml) if "project" in facts]

    assert [core_range()] == project["dependencies"]
