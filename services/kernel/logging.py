"""structlog, once for all: readable on a terminal, JSON lines anywhere else.

What libraries say through the standard library's logging comes out the same way, from WARNING on. Contextvars
(request id, actor, method, schedule, task id) are bound by the interceptors and merged into each line.

No line has a value that may be secret: local variables, texts of exceptions and what libraries quote are left
out (logged_errors.py, logged_libraries.py), and each line is looked through once more (masking.py).
"""

from __future__ import annotations

import datetime as dt
import enum
import logging
import sys
import threading
import uuid
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import structlog

from services.kernel.logged_errors import for_log, in_words, story
from services.kernel.logged_libraries import spare_library
from services.kernel.masking import without_credentials

log = structlog.get_logger(__name__)

# Our own loggers. Any other is a library's, of which only warnings are asked for: at DEBUG some log messages
# whole. Of a process that was started by -m, the main module is "__main__".
OURS = ("services", "celeriac", "__main__")
# Values of a line that stand in it as they print themselves; of any other object only its type does.
PLAIN = (dt.date, dt.time, dt.timedelta, enum.Enum, uuid.UUID, Path)


def configure(service: str, level: str) -> None:
    """Sets up logging of this process; `level` is one of Python's names ("INFO")."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
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
    """From now on."""
    number: int = logging.getLevelName(level)
    logging.getLogger().setLevel(max(number, logging.WARNING))
    for name in OURS:
        logging.getLogger(name).setLevel(number)


def _rendering(service: str) -> list[structlog.typing.Processor]:
    def name_service(
        _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        event["service"] = service
        return event

    drop_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if sys.stderr.isatty():
        return [drop_meta, _tell_exceptions_in_words, structlog.dev.ConsoleRenderer(), _last_look]
    return [
        drop_meta,
        name_service,
        _tell_exceptions,
        structlog.processors.JSONRenderer(ensure_ascii=False, default=_plain),
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
    # The renderer would show anything's repr.
    return {key: _shown(value) for key, value in event.items()}


def _exception_in(event: structlog.typing.EventDict) -> BaseException | None:
    """Takes out what `exc_info` may be: true, an exception, or the triple."""
    given = event.pop("exc_info", None)
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        found: BaseException | None = given[1]
        return found
    return sys.exc_info()[1] if given else None


def _plain(value: object) -> object:
    if isinstance(value, BaseException):
        return for_log(value)
    return str(value) if isinstance(value, PLAIN) else f"<{type(value).__qualname__}>"


def _shown(value: object) -> object:
    """As the JSON has it, for a terminal."""
    match value:
        case None | str() | int() | float():
            return value
        case list() | tuple():
            return [_shown(one) for one in value]
        case dict():
            return {str(key): _shown(one) for key, one in value.items()}
        case _:
            return _plain(value)


def _last_look(_logger: structlog.typing.WrappedLogger, _method: str, line: Any) -> str:
    return without_credentials(str(line))


class _Handler(logging.StreamHandler[TextIO]):
    """What can't be written is told by name; the standard library would print the values of the line."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        error = sys.exc_info()[1]
        lost = logging.makeLogRecord({"name": __name__, "levelname": "ERROR", "levelno": logging.ERROR})
        lost.msg = {"event": "log.line_lost", "level": "error", "logger": record.name}
        lost.msg["error"] = for_log(error) if error is not None else ""
        lost._logger, lost._name = None, "error"
        try:
            self.stream.write(self.format(lost) + self.terminator)
            self.flush()
        except Exception:
            pass  # The stream itself is gone, and there is no other place to say so.


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
    """Of an object that was being removed, mostly: its text may say what it held."""
    error, within = (
        failure.exc_value,
        getattr(failure.object, "__qualname__", type(failure.object).__qualname__),
    )
    if error is not None:
        log.error("python.unraisable", within=within, error=for_log(error), exc_info=error)


def _warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any
) -> None:
    """By place and kind: texts of warnings quote values, too (pydantic's do)."""
    log.warning("python.warning", category=category.__qualname__, at=f"{filename}:{lineno}")
