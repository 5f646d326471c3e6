"""Compiled templates on disk, as Python keeps compiled modules: compiling them is a third of the first page after a start."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib.metadata import version
from importlib.util import cache_from_source
from pathlib import Path
from tempfile import mkstemp

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket


class CompiledTemplates(BytecodeCache):
    """
    Keeps compiled templates where Python keeps the compiled modules of a directory; ``PYTHONPYCACHEPREFIX`` and
    ``PYTHONDONTWRITEBYTECODE`` apply to both.

    A file is used only for the text that it was compiled from, by the same versions of Python and Jinja2, and with the same options.
    Where none can be written, such as in an installation of another user, the templates are compiled after each start.
    """

    def __init__(self, directory: Path, *, options: object) -> None:
        """
        Args:
            directory: one of modules; one of templates would list the files as templates.
            options: those of the environment, which the compiled code depends on.
        """
        self._directory = directory
        self._made_with = repr((version("jinja2"), sys.version, options))

    def get_source_checksum(self, source: str) -> str:
        """Return a checksum of everything that the compiled code depends on."""
        return super().get_source_checksum(f"{self._made_with}\n{source}")

    def load_bytecode(self, bucket: Bucket) -> None:
        """Load a template, if it is compiled and up to date."""
        with suppress(Exception), self._path(bucket).open("rb") as file:  # a damaged file may raise anything
            bucket.load_bytecode(file)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a compiled template, if that is possible. Its file is replaced as a whole, because several processes may write it."""
        if sys.dont_write_bytecode:
            return
        with suppress(OSError, NotImplementedError):  # or a Python that keeps none
            path = self._path(bucket)
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, new = mkstemp(dir=path.parent, prefix=f"{path.name}.")
            try:
                os.fchmod(handle, self._directory.stat().st_mode & 0o666)
                with open(handle, "wb") as file:
                    bucket.write_bytecode(file)
                os.replace(new, path)
            except BaseException:
                os.unlink(new)
                raise

    def _path(self, bucket: Bucket) -> Path:
        return Path(cache_from_source(str(self._directory / f"{bucket.key}.py")))
