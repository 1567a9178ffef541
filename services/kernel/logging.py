"""Sets up structlog: readable lines on a terminal, JSON lines anywhere else.

Lines that libraries write through the standard library's logging look the same; they are logged from WARNING
up. Contextvars that are bound (request id, method, …) are merged into each line.

No line has a value that may be secret: local variables, texts of exceptions and what libraries quote are left
out (logged_errors.py, logged_libraries.py), and credentials are replaced in the finished line (masking.py).
docs/logs.md describes the lines.
"""

from __future__ import annotations

import datetime as dt
import logging
import sys
import threading
import warnings
from types import TracebackType
from typing import Any, TextIO

import structlog

from services.kernel.log_lines import TIME_FORMAT, layout, moment, plain, shown
from services.kernel.logged_errors import for_log, in_words, story
from services.kernel.logged_libraries import spare_library
from services.kernel.masking import without_credentials

log = structlog.get_logger(__name__)

# Our own loggers; "__main__" is the main module of a process that was started by -m. Any other logger is a
# library's, and is logged from WARNING up: at DEBUG some libraries log whole messages.
OURS = ("services", "celeriac", "__main__")


def configure(service: str, level: str) -> None:
    """Sets up logging of this process; `level` is one of Python's names ("INFO")."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt=TIME_FORMAT, utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = _Handler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[spare_library, *shared],
            pass_foreign_args=True,
            processors=_rendering(service),
            use_get_message=False,
        )
    )
    logging.basicConfig(handlers=[handler], force=True)
    set_level(level)
    sys.excepthook = _uncaught
    sys.unraisablehook = _unraisable
    threading.excepthook = _uncaught_in_thread
    warnings.showwarning = _warning


def set_level(level: str) -> None:
    """Sets the level of our own loggers from now on; libraries' stay at WARNING or above."""
    number: int = logging.getLevelName(level)
    logging.getLogger().setLevel(max(number, logging.WARNING))
    for name in OURS:
        logging.getLogger(name).setLevel(number)


def refused(refusal: SystemExit) -> SystemExit:
    """Logs why this process ends, where lines are JSON, and returns what ends it.

    A person at a terminal is told in plain text, by Python itself.
    """
    if not isinstance(refusal.code, str) or sys.stderr.isatty():
        return refusal
    log.critical("process.refused", message=refusal.code)
    return SystemExit(1)


def _rendering(service: str) -> list[structlog.typing.Processor]:
    drop_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if sys.stderr.isatty():
        return [drop_meta, _tell_exceptions_in_words, structlog.dev.ConsoleRenderer(), _last_look]
    return [
        drop_meta,
        _tell_exceptions,
        layout(service),
        structlog.processors.JSONRenderer(ensure_ascii=False, default=plain),
        _last_look,
    ]


def _tell_exceptions(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    error = _exception_in(event)
    if error is not None:
        event["exception"] = story(error)
    return event


def _tell_exceptions_in_words(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    error = _exception_in(event)
    if error is not None:
        event["exception"] = in_words(error)
    # The renderer would show the repr of any object.
    return {key: shown(value) for key, value in event.items()}


def _exception_in(event: structlog.typing.EventDict) -> BaseException | None:
    """Removes `exc_info` (True, an exception, or the triple) from the event, and returns its exception."""
    given = event.pop("exc_info", None)
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        found: BaseException | None = given[1]
        return found
    return sys.exc_info()[1] if given else None


def _last_look(_logger: structlog.typing.WrappedLogger, _method: str, line: Any) -> str:
    return without_credentials(str(line))


class _Handler(logging.StreamHandler[TextIO]):
    """Writes log.line_lost for a line that can't be written; the standard library would print its values."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        error = sys.exc_info()[1]
        lost = logging.makeLogRecord({"name": __name__, "levelname": "ERROR", "levelno": logging.ERROR})
        lost.msg = {"event": "log.line_lost", "level": "error", "logger": record.name}
        lost.msg["timestamp"] = moment(dt.datetime.now(dt.UTC))
        lost.msg["error"] = for_log(error) if error is not None else ""
        lost._logger, lost._name = None, "error"
        try:
            self.stream.write(self.format(lost) + self.terminator)
            self.flush()
        except Exception:
            pass  # The stream itself is closed, and there is no other place to report it.


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    log.critical("process.failed", error=for_log(error), exc_info=error)


def _uncaught_in_thread(failure: threading.ExceptHookArgs) -> None:
    error = failure.exc_value
    if error is not None and not isinstance(error, SystemExit):
        name = failure.thread.name if failure.thread is not None else ""
        log.error("thread.failed", thread=name, error=for_log(error), exc_info=error)


def _unraisable(failure: Any) -> None:
    """Logs an exception that can't be raised, mostly of an object being deleted; its repr may show values."""
    error, within = (
        failure.exc_value,
        getattr(failure.object, "__qualname__", type(failure.object).__qualname__),
    )
    if error is not None:
        log.error("python.unraisable", within=within, error=for_log(error), exc_info=error)


def _warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any
) -> None:
    """Logs place and category of a warning, without its text, which may quote values (pydantic's do)."""
    log.warning("python.warning", category=category.__qualname__, at=f"{filename}:{lineno}")
