"""Log what happened to the functions of plugins. On the agent's thread: the application's never logs for a plugin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scout_core.boundary.guard import Guard
from scout_core.log import Log

log = Log("scout_core.plugins")


def log_changes(guards: Iterable[Guard]) -> None:
    """Judge each function's pace, and log its first failure, that it is slow or off, and what is not followed, once each."""
    for guard in guards:
        guard.judge()
        if guard.reason is not None:
            _log_off(guard)
        elif guard.off is None:
            _log_failure(guard)
            _log_slowness(guard)
            _log_unfollowed(guard)
            _log_unsent(guard)


def log_unfollowed(functions: dict[str, bool]) -> None:
    """Log each decorated function whose results are not followed, once; see ``Tracer.unfollowed``."""
    for text in _not_logged(functions):
        log.info("%s, and its spans end with the call; open a span around its work instead", text)


def log_misused(calls: dict[str, bool]) -> None:
    """Log each kind of call that had no effect, once; see ``Tracer.misused``."""
    for text in _not_logged(calls):
        log.warning("%s", text)


def _not_logged(notes: dict[str, bool]) -> Iterator[str]:
    """Yield each note that has not been logged, and mark it; the application's threads add further ones meanwhile."""
    for text, is_logged in list(notes.items()):
        if not is_logged:
            notes[text] = True
            yield text


def _log_off(guard: Guard) -> None:
    if "off" not in guard.logged:
        guard.logged.add("off")
        last = guard.failures.last
        error = f"; last error: {last}" if last is not None else ""
        log.warning("plugin %r: %s is switched off: %s%s", guard.plugin, guard.place, guard.reason, error)


def _log_failure(guard: Guard) -> None:
    last = guard.failures.last
    if last is not None and "failure" not in guard.logged:
        guard.logged.add("failure")
        log.warning("plugin %r: %s failed: %s; the application is not affected", guard.plugin, guard.place, last)


def _log_slowness(guard: Guard) -> None:
    slowness = guard.pace.slowness
    if slowness is not None and "slowness" not in guard.logged:
        guard.logged.add("slowness")
        log.warning("plugin %r: %s is slow: %s", guard.plugin, guard.place, slowness)


def _log_unfollowed(guard: Guard) -> None:
    if guard.unfollowed and "unfollowed" not in guard.logged:
        guard.logged.add("unfollowed")
        text = "plugin %r: the spans of %s end with the call, though it returns %s; keep_open() lets them last longer"
        log.info(text, guard.plugin, guard.place, " and ".join(guard.unfollowed))


def _log_unsent(guard: Guard) -> None:
    if guard.unsent and "unsent" not in guard.logged:
        guard.logged.add("unsent")
        text = "plugin %r: %s sends no trace headers where %s"
        log.info(text, guard.plugin, guard.place, " or ".join(guard.unsent))
