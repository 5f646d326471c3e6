"""Environments that the command creates: one for each peer, and one with twenty more plugins."""

from __future__ import annotations

import hashlib
import os
import shutil
import site
import subprocess
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import evolve

from bench.child import BENCHMARKS
from bench.plan import BARE, BARE_FOR, Variant
from bench.wheels import write_plugin_wheel

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KEPT: Final = BENCHMARKS.parent / "build" / "benchmarks"
"""Environments with the same requirements are created only once."""


FACTS: Final[dict[str, Any]] = tomllib.loads(
    (BENCHMARKS / "environments.toml").read_text(encoding="utf-8")
)  # Any: TOML
PEERS: Final = tuple(FACTS["peers"])
"""Names of the peers."""


def peer_variants(names: Collection[str], progress: Callable[[str], None]) -> list[Variant]:
    """
    Return two variants for each peer: the bare application in the peer's environment, and the peer.

    Args:
        names: of the peers; empty: all.
    """
    found = []
    for name, peer in FACTS["peers"].items():
        if names and name not in names:
            continue
        progress(f"{name}: creating its environment")
        python = environment(name, [*FACTS["app"]["requirements"], *peer["requirements"]])
        bare = evolve(BARE, name=f"{BARE_FOR}{name}", python=python)
        found += [
            bare,
            Variant(
                name=name,
                agent=peer["agent"],
                python=python,
                baseline=bare.name,
                spans=peer.get("spans", {}),
                silent=peer.get("silent", False),
            ),
        ]
    return found


def environment(name: str, requirements: Sequence[str]) -> Path:
    """Return the interpreter of an environment with these requirements; create it if necessary."""
    marks = "\n".join((sys.version, *requirements))
    folder = KEPT / f"{name}-{hashlib.sha256(marks.encode()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    done = folder / "complete"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        create(folder)
        install(python, requirements)
        done.touch()
    return python


def with_twenty_plugins(folder: Path) -> Path:
    """
    Return the interpreter of a new environment with twenty more plugins than this one.

    A path file makes everything that is installed here importable there.
    """
    create(folder)
    python = folder / "bin" / "python"
    wheels = [write_plugin_wheel(number, folder / "wheels") for number in range(20)]
    install(python, ["--no-index", "--no-deps", *map(str, wheels)])
    lines = [f"import site; site.addsitedir({place!r})" for place in site.getsitepackages()]
    (next(folder.glob("lib/python*/site-packages")) / "outer.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return python


def create(folder: Path) -> None:
    """Create an empty environment with the version of the running interpreter."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    uv = shutil.which("uv")
    if uv:
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
    else:
        _run([sys.executable, "-m", "venv", str(folder)])


def install(python: Path, requirements: Sequence[str]) -> None:
    """Install with uv if it is installed, otherwise with the environment's pip."""
    uv = shutil.which("uv")
    command = (
        [uv, "pip", "install", "--quiet", "--python", str(python)]
        if uv
        else [str(python), "-m", "pip", "install", "--quiet"]
    )
    _run([*command, *requirements])


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}, stdout=sys.stderr)
