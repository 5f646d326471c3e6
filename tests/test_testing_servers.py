"""Servers that the test kit starts: Python's own, and PostgreSQL, whose start takes several steps."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest import SkipTest
from urllib.error import URLError
from urllib.request import urlopen

import psycopg
import pytest

from scout_core.testing import servers


def serve_files(port: int, folder: Path) -> Sequence[str]:
    (folder / "hello").write_text("hello", encoding="utf-8")
    return [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]


def test_a_server_runs_for_the_length_of_the_block_in_a_folder_of_its_own():
    with servers.running(serve_files) as port:
        url = f"http://127.0.0.1:{port}/hello"
        assert b"hello" == urlopen(url, timeout=20).read()

    with pytest.raises(URLError, match="refused"):
        urlopen(url, timeout=20)


def test_a_test_that_fails_ends_its_server_too():
    with pytest.raises(ZeroDivisionError), servers.running(serve_files) as port:
        raise ZeroDivisionError

    with pytest.raises(URLError, match="refused"):
        urlopen(f"http://127.0.0.1:{port}/", timeout=20)


def test_a_server_that_does_not_start_is_shown_with_what_it_printed():
    def broken(port: int, folder: Path) -> Sequence[str]:
        return [sys.executable, "-c", "raise SystemExit('no room on the disk')"]

    with pytest.raises(RuntimeError, match="does not start: no room on the disk"), servers.running(broken):
        pass


def test_a_command_is_made_once_for_each_try():
    tries: list[Path] = []

    def broken(port: int, folder: Path) -> Sequence[str]:
        tries.append(folder)
        return [sys.executable, "-c", "raise SystemExit(1)"]

    with pytest.raises(RuntimeError, match="does not start"), servers.running(broken):
        pass

    assert servers.ATTEMPTS == len(tries)


def test_a_port_that_is_taken_meanwhile_is_tried_again():
    tries: list[Path] = []

    def second_time(port: int, folder: Path) -> Sequence[str]:
        tries.append(folder)
        return serve_files(port, folder) if len(tries) == 2 else [sys.executable, "-c", "raise SystemExit(1)"]

    with servers.running(second_time) as port:
        assert b"hello" == urlopen(f"http://127.0.0.1:{port}/hello", timeout=20).read()

    assert 2 == len(set(tries))
    assert [] == [folder for folder in tries if folder.exists()]


def test_postgres_runs_for_the_length_of_the_block_even_with_a_client_that_stays():
    with servers.postgres_server("-c", "max_prepared_transactions=5") as url:
        client = psycopg.connect(url, autocommit=True)
        client.execute("CREATE DATABASE shop")
        assert ("5",) == client.execute("SHOW max_prepared_transactions").fetchone()
        scheme, _, place = url.partition("@")
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"{scheme}x@{place}")

    with pytest.raises(psycopg.OperationalError):
        client.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(url)


def test_a_postgres_that_cannot_start_is_shown_with_what_it_printed(monkeypatch):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # root runs it as another user
        for name in ("initdb", "postgres"):
            program = Path(folder, name)
            program.write_text("#!/bin/sh\necho no room on the disk >&2; exit 1\n", encoding="utf-8")
            program.chmod(0o755)
        monkeypatch.setenv("PATH", folder)

        with (
            pytest.raises(RuntimeError, match="initdb fails: no room on the disk"),
            servers.postgres_server("-c", "x=1"),
        ):
            pass


def test_a_server_that_listens_before_it_is_ready_is_waited_for():
    code = """if True:
        import http.server, os, sys
        server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler)
        print("ready", flush=True)
        server.serve_forever()
    """

    def serve(port: int, folder: Path) -> Sequence[str]:
        return [sys.executable, "-c", code, str(port)]

    with servers.running(serve, end=signal.SIGINT, ready=b"ready") as port:
        assert 200 == urlopen(f"http://127.0.0.1:{port}/", timeout=20).status


@pytest.mark.parametrize("kind, scheme", [("redis", "redis"), ("postgres", "postgres"), ("rabbitmq", "amqp")])
def test_a_server_that_is_given_is_used(monkeypatch, kind, scheme):
    monkeypatch.setenv(f"SCOUT_TEST_{scheme.upper()}_URL", f"{scheme}://127.0.0.1:1/5")

    with getattr(servers, f"{kind}_server")() as url:
        assert f"{scheme}://127.0.0.1:1/5" == url


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("redis", "needs redis-server: apt install redis-server"), ("postgres", "needs initdb: apt install postgresql")],
)
def test_what_is_not_installed_is_skipped_with_the_package_to_install(monkeypatch, tmp_path, kind, reason):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(f"SCOUT_TEST_{kind.upper()}_URL", raising=False)
    monkeypatch.setattr(servers, "_POSTGRES_FOLDERS", str(tmp_path))

    with pytest.raises(SkipTest, match=reason), getattr(servers, f"{kind}_server")():
        pass


def test_a_port_at_which_another_server_listens_is_refused():
    with (
        servers.running(serve_files) as port,
        pytest.raises(RuntimeError, match=f"another server listens on port {port}"),
        servers.running(serve_files, port=port),
    ):
        pass


def test_a_server_listens_on_the_port_that_is_chosen():
    port = servers.free_port()
    with servers.running(serve_files, port=port) as used:
        assert b"hello" == urlopen(f"http://127.0.0.1:{port}/hello", timeout=20).read()

    assert port == used


def test_pytest_skips_all_tests_of_a_server_that_is_not_installed(tmp_path):
    (tmp_path / "test_server.py").write_text(
        """
import pytest
from scout_core.testing.servers import installed

@pytest.fixture(scope="session")
def server():
    return installed("a-server", package="a-package")

def test_one(server): pass
def test_two(server): pass
"""
    )
    command = [sys.executable, "-m", "pytest", "-rs", "-q", "-pno:cacheprovider", "-pno:randomly", "test_server.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "needs a-server: apt install a-package" in done.stdout
    assert "2 skipped" in done.stdout
