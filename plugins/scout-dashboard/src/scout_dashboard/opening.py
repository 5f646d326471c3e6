"""``scout-core open``: log a browser in to the running dashboard."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import Final

import click

from scout_core.cli.output import echo
from scout_core.errors import ScoutError
from scout_core.sending.asking import connection_to, read_login_token
from scout_core.sending.protocol import LINKS, LinkAnswer, error_text, read_answer
from scout_core.sending.rendezvous import CollectorAddress, describe_absence, locate
from scout_dashboard.options import ADDRESSES, BY_IP, BY_NAME

_TIMEOUT_SECONDS: Final = 10.0
_MAX_BYTES: Final = 65_536

_HELP: Final = """
Log a browser in to the running dashboard.

It makes a link that works once, within five minutes, prints it, and opens it in the browser, if there is one.

\b
scout-core open
scout-core open --print            only print the link
scout-core open --address ip       for a browser that does not find the host name, such as Safari
"""

address_option = click.option(
    "--address",
    type=click.Choice(ADDRESSES),
    help="Address of the pages: a host name below localhost, or the IP address for browsers that do not find the name, "
    "such as Safari. Default: ip on macOS, otherwise name.",
)


@click.command("open", help=_HELP)
@click.option("--print", "print_only", is_flag=True, help="Only print the link.")
@address_option
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    help="State directory of the collector. Default: the agents' state directory.",
)
def open_dashboard(print_only: bool, address: str | None, state_dir: Path | None) -> None:
    """Run the command ``open``."""
    from scout_dashboard.commands import read_settings

    configured_dir, options = read_settings()
    answer = request_links(*find_dashboard(state_dir or configured_dir))
    link = link_at(address or options.address, answer)
    echo(link)
    echo(f"The link works once, within {answer.valid_seconds // 60} minutes.", err=True)
    if not print_only:
        open_browser(link)


def find_dashboard(state_dir: Path) -> tuple[CollectorAddress, str]:
    """
    Return the address of the collector that is announced in a state directory, and its login token.

    Raises:
        ScoutError: none is announced there, or the directory cannot be read.
    """
    try:
        address = locate(state_dir)
    except OSError as error:
        raise ScoutError(f"cannot read {error.filename or state_dir}: {error.strerror}") from error
    if address is None:
        raise ScoutError(describe_absence(state_dir))
    return address, read_login_token(state_dir)


def request_links(address: CollectorAddress, token: str) -> LinkAnswer:
    """
    Ask a collector for a new login link.

    Raises:
        ScoutError: it did not answer, or is not on this machine.
    """
    import json
    from http.client import HTTPException

    url = address.url
    try:
        connection = connection_to(address, timeout=_TIMEOUT_SECONDS)
    except ValueError as error:
        raise ScoutError(str(error)) from error
    except OSError as error:
        raise ScoutError(f"the dashboard at {url} does not answer: {error}; start it: scout-core up") from error
    try:
        connection.request("POST", LINKS, headers={"Authorization": f"Bearer {token}", "Content-Length": "0"})
        with connection.getresponse() as response:
            facts = json.loads(response.read(_MAX_BYTES))
        if response.status != 201:
            raise ScoutError(f"the dashboard at {url} answered {response.status}: {error_text(facts)}")
        return read_answer(facts, LinkAnswer)
    except (OSError, HTTPException, ValueError, RecursionError) as error:
        raise ScoutError(
            f"the dashboard at {url} does not answer: {error}; if it has ended, start it: scout-core up"
        ) from error
    finally:
        connection.close()


def link_at(address: str, answer: LinkAnswer) -> str:
    """Return the link at the chosen address: ``name``, ``ip``, or empty for the default of this system."""
    return {BY_NAME: answer.by_name, BY_IP: answer.by_ip}.get(address, answer.default)


def open_browser(link: str) -> None:
    """
    Open a link in the browser of the desktop; without a desktop, do nothing, as a browser in the terminal would take it over.

    Other users can see the link on the browser's command line, which is one more reason that it works only once.
    """
    if sys.platform == "darwin" or any(os.environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")):
        webbrowser.open(link)
