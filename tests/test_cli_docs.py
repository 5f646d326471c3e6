"""The examples in ``docs/command.md`` show what the command prints; ``python -m tests.test_cli_docs`` updates them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.commandline import NEEDS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "command.md"
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = re.compile(r"^```\w+\n# ([\w.]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return create_shop(tmp_path_factory.mktemp("shop").resolve())


def create_shop(root: Path) -> Path:
    """Create the application of the page, and an environment with only scout-core beside it; return the folder of both."""
    site = root / "site"
    for folder in (site, root / "home", root / "shop", root / "bin"):
        folder.mkdir()
    for spec in filter(None, map(find_spec, NEEDS)):
        origin = Path(spec.origin)
        place = origin.parent if origin.name == "__init__.py" else origin
        (site / place.name).symlink_to(place)
    metadata = site / f"scout_core-{distribution('scout-core').version}.dist-info"
    metadata.mkdir()
    for name in ("METADATA", "entry_points.txt"):
        (metadata / name).write_text(distribution("scout-core").read_text(name), encoding="utf-8")
    (site / "flask-3.1.3.dist-info").mkdir()
    (site / "flask-3.1.3.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: flask\nVersion: 3.1.3\n\n")
    script = root / "bin" / "scout-core"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -m scout_core "$@"\n')
    script.chmod(0o755)
    for name, text in FILES.findall(PAGE.read_text(encoding="utf-8")):
        (root / "shop" / name).write_text(text, encoding="utf-8")
    return root


def run_block(root: Path, block: str) -> str:
    """Run the commands of a console block, and return each followed by its output."""
    environment = {"PYTHONPATH": str(root / "site"), "HOME": str(root / "home"), "COLUMNS": "140"}
    environment["PATH"] = os.pathsep.join([str(root / "bin"), os.environ["PATH"]])
    parts = []
    for line in block.splitlines():
        if line.startswith("$ "):
            assert "scout-core" in shlex.split(line), line
            done = subprocess.run(
                ["sh", "-c", line[2:]], cwd=root / "shop", env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60
            )  # fmt: skip
            parts += [line, done.stdout.decode().rstrip("\n")]
    text = "\n".join(parts).replace(str(root / "home"), "/home/ada").replace(str(root / "shop"), "/srv/shop")
    return f"{text}\n"


def test_every_example_prints_what_the_page_shows(shop):
    """In the order of the page, since some commands change a file that later ones read."""
    blocks = CONSOLE.findall(PAGE.read_text(encoding="utf-8"))

    assert len(blocks) > 5
    assert blocks == [run_block(shop, block) for block in blocks]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        root = create_shop(Path(folder).resolve())
        text = CONSOLE.sub(
            lambda found: f"```console\n{run_block(root, found[1])}```", PAGE.read_text(encoding="utf-8")
        )
    PAGE.write_text(text, encoding="utf-8")
