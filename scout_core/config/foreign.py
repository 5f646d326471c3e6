"""
Options of Scout's own agents that have no effect here, because they are for a service that scout-core does not send to by itself.

They are known, so that who comes from such an agent reads which of the options can go, instead of ``unknown option``.

Source: the configuration of scout_apm for Python, 3.5 and 4.0, and of scout_apm_logging.
"""

from __future__ import annotations

from typing import Final

from scout_core.config.origin import Origin
from scout_core.problems import Problem

CORE_AGENT: Final = "Scout's core agent"
ERRORS: Final = "Scout's error service"
LOGS: Final = "Scout's log service"
FOREIGN: Final = {
    "key": CORE_AGENT,
    "core_agent_config_file": CORE_AGENT,
    "config_file": CORE_AGENT,
    "core_agent_dir": CORE_AGENT,
    "core_agent_download": CORE_AGENT,
    "core_agent_full_name": CORE_AGENT,
    "core_agent_launch": CORE_AGENT,
    "core_agent_log_file": CORE_AGENT,
    "log_file": CORE_AGENT,
    "core_agent_log_level": CORE_AGENT,
    "log_level": CORE_AGENT,
    "core_agent_permissions": CORE_AGENT,
    "core_agent_socket_path": CORE_AGENT,
    "socket_path": CORE_AGENT,
    "core_agent_triple": CORE_AGENT,
    "core_agent_version": CORE_AGENT,
    "download_url": CORE_AGENT,
    "log_payload_content": CORE_AGENT,
    "app_server": CORE_AGENT,
    "application_root": CORE_AGENT,
    "framework": CORE_AGENT,
    "framework_version": CORE_AGENT,
    "scm_subdirectory": CORE_AGENT,
    "shutdown_message_enabled": CORE_AGENT,
    "environment": ERRORS,
    "errors_batch_size": ERRORS,
    "errors_host": ERRORS,
    "logs_ingest_key": LOGS,
    "logs_reporting_endpoint": LOGS,
}
"""Key to the service that it is for."""


def for_service(key: str, name: str, origin: Origin) -> Problem:
    """
    Return the problem of a setting that has no effect.

    Args:
        name: as it is written where it is set: the key, or its environment variable.
    """
    service = FOREIGN[key]
    return Problem(
        "needs-exporter",
        name,
        f"{name} ({origin}) has no effect: it is for {service}, and nothing here sends to that",
        "remove it, or keep it for an exporter that reads it",
    )
