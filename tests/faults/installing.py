"""Build a distribution as a wheel, and install it into a folder of ``sys.path``, as an installer does."""

from __future__ import annotations

import base64
import hashlib
import textwrap
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

WHEEL = "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def build_wheel(
    folder: Path,
    distribution: str,
    *,
    modules: Mapping[str, str],
    entries: str = "",
    requires: tuple[str, ...] = ("scout-core",),
    extra: tuple[str, ...] = (),
    version: str = "1.0",
) -> Path:
    """
    Build a wheel, and return its path.

    Args:
        modules: name to source.
        entries: lines of the group ``scout_core``.
        extra: requirements of the extra ``instruments``.
    """
    base = f"{distribution.replace('-', '_')}-{version}"
    needs = [f"Requires-Dist: {requirement}\n" for requirement in requires]
    needs += [f'Requires-Dist: {requirement}; extra == "instruments"\n' for requirement in extra]
    files = {f"{name}.py": textwrap.dedent(source).lstrip() for name, source in modules.items()}
    files[f"{base}.dist-info/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n{''.join(needs)}Provides-Extra: instruments\n"
    )
    files[f"{base}.dist-info/WHEEL"] = WHEEL
    if entries:
        files[f"{base}.dist-info/entry_points.txt"] = f"[scout_core]\n{entries}\n"
    record = "".join(f"{name},{_digest(text)},{len(text.encode())}\n" for name, text in files.items())
    files[f"{base}.dist-info/RECORD"] = f"{record}{base}.dist-info/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{base}-py3-none-any.whl"
    with ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def install(wheel: Path, site: Path) -> Path:
    """Unpack a wheel of pure Python, and return its metadata folder."""
    site.mkdir(parents=True, exist_ok=True)
    with ZipFile(wheel) as archive:
        archive.extractall(site)
    metadata = site / f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    (metadata / "INSTALLER").write_text("by hand\n", encoding="utf-8")
    return metadata


def _digest(text: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
