"""structlog, once for all: readable on a terminal, JSON lines anywhere else.

What libraries say through the standard library's logging comes out the same way. Contextvars (request
id, actor, method, schedule, task id) are bound by the interceptors and merged into each line. No line has a
token in it, at any level.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog

from services.kernel.masking import without_tokens


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
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_rendering(service))
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # grpc's poller and SQLAlchemy's pool say much at INFO that nobody asks about.
    for noisy in ("grpc", "sqlalchemy", "alembic.runtime.migration", "asyncio"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def set_level(level: str) -> None:
    """From now on; handlers and noise stay as `configure` had them."""
    logging.getLogger().setLevel(level)


class _Handler(logging.StreamHandler[TextIO]):
    """Writes no token, whoever logs one: a library at DEBUG prints the headers that it sends."""

    def format(self, record: logging.LogRecord) -> str:
        return without_tokens(super().format(record))


def _rendering(service: str) -> list[structlog.typing.Processor]:
    def name_service(
        _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        event["service"] = service
        return event

    drop_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if sys.stderr.isatty():
        return [drop_meta, structlog.dev.ConsoleRenderer()]
    return [
        drop_meta,
        name_service,
        structlog.processors.dict_tracebacks,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
