"""Wheels of small plugins, to measure the cost of starting with many plugins installed."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

MODULE = '''"""Calls of library {number} as spans."""

from __future__ import annotations

from scout_core import Span, hookimpl, span


@hookimpl
def instrument(wrap):
    wrap("library_{number}.client:Client.execute", execute)
    wrap("library_{number}.asyncio.client:Client.execute", execute)
    wrap("library_{number}.client:Pipeline.run", run)


def execute(client: object, command: str, *args: object, **kwargs: object) -> Span:
    return span(f"Library/{{command}}")


def run(pipeline: object) -> Span:
    return span("Library/PIPELINE")
'''

METADATA = """Metadata-Version: 2.1
Name: scout-library-{number}
Version: 1.0
Requires-Dist: scout-core
Provides-Extra: instruments
Requires-Dist: library-{number}>=1.0; extra == "instruments"
"""

WHEEL = """Wheel-Version: 1.0
Generator: scout-core-benchmarks
Root-Is-Purelib: true
Tag: py3-none-any
"""


def write_plugin_wheel(number: int, folder: Path) -> Path:
    """Write a wheel with a plugin that would wrap three functions of a library; the library is not installed."""
    folder.mkdir(parents=True, exist_ok=True)
    metadata = f"scout_library_{number}-1.0.dist-info"
    files = {
        f"scout_library_{number}.py": MODULE.format(number=number),
        f"{metadata}/METADATA": METADATA.format(number=number),
        f"{metadata}/WHEEL": WHEEL,
        f"{metadata}/entry_points.txt": f"[scout_core]\nlibrary-{number} = scout_library_{number}\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{metadata}/RECORD"))
    path = folder / f"scout_library_{number}-1.0-py3-none-any.whl"
    with ZipFile(path, "w") as archive:
        for name, text in {**files, f"{metadata}/RECORD": record}.items():
            archive.writestr(name, text)
    return path
