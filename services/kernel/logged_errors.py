"""Exceptions as they are logged: what was raised and where, without any value of a request.

The text of an exception often quotes the value at which something failed: a row of a table, an argument, a
part of a document. So a text is logged only if its class is known to quote no values (`TEXTS`, `Loggable`);
of any other exception only class and place are logged. Local variables are never logged.
docs/decisions/logs-without-values.md says why.
"""

from __future__ import annotations

import itertools
import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

LONGEST_TEXT = 500
# The most frames of a traceback that are logged: those nearest to the fault.
MOST_FRAMES = 50
# The most exceptions of one chain, and the most members of one group, that are logged.
MOST_IN_CHAIN = 20
# The folder of our own modules.
OURS = f"{Path(__file__).parents[1]}{os.sep}"
LEFT_OUT = "(text left out: it may hold a value)"
# gRPC codes whose message may quote the request. UNKNOWN comes with the text of an exception.
QUOTING_CODES = frozenset({"INVALID_ARGUMENT", "OUT_OF_RANGE", "UNKNOWN"})
# Classes of SQLSTATE whose messages quote values. 22: "invalid input syntax for type integer: "…"".
QUOTING_SQLSTATES = ("22",)

Story: TypeAlias = dict[str, Any]


class Loggable(Exception):
    """An exception whose text may be logged: names, numbers and reasons, never a value that may be secret."""

    def logged(self) -> str:
        return str(self)


def for_log(error: BaseException) -> str:
    """Returns one line for the log: the class with its text, or with the place if the text is left out."""
    text = text_of(error)
    return f"{_name(error)}: {text}" if text else f"{_name(error)}{_place(error)} {LEFT_OUT}"


def text_of(error: BaseException) -> str:
    """Returns the part of an exception's text that may be logged, in one line; "" if there is none."""
    if isinstance(error, Loggable):
        text = error.logged()
    else:
        names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)
        rule = next((TEXTS[name] for name in names if name in TEXTS), _nothing)
        text = rule(error)
    return " ".join(text.split())[:LONGEST_TEXT]


def story(error: BaseException) -> list[Story]:
    """Returns the exception, then its causes, as JSON values: classes, texts and frames."""
    return [_one(each, is_cause) for each, is_cause in itertools.islice(_chain(error), MOST_IN_CHAIN)]


def in_words(error: BaseException) -> str:
    """Returns the same as plain text in the order of Python's tracebacks: the first cause comes first."""
    return "\n".join(_printed(error))


def _chain(error: BaseException) -> Iterator[tuple[BaseException, bool]]:
    """Yields each exception of the chain once, with whether it is the stated cause of the one before."""
    seen: set[int] = set()
    following: BaseException | None = error
    is_cause = False
    while following is not None and id(following) not in seen:
        yield following, is_cause
        seen.add(id(following))
        is_cause = following.__cause__ is not None
        suppressed = following.__suppress_context__
        following = following.__cause__ or (None if suppressed else following.__context__)


def _one(error: BaseException, is_cause: bool) -> Story:
    frames = _frames(error.__traceback__)
    told: Story = {
        "exc_type": _name(error),
        "exc_value": text_of(error) or LEFT_OUT,
        "is_cause": is_cause,
        "frames": [
            {"filename": frame.filename, "lineno": frame.lineno, "name": frame.name} for frame in frames
        ],
    }
    if isinstance(error, BaseExceptionGroup):
        told["exceptions"] = [story(member) for member in error.exceptions[:MOST_IN_CHAIN]]
    return told


def _printed(error: BaseException) -> Iterator[str]:
    chain = list(itertools.islice(_chain(error), MOST_IN_CHAIN))
    for position, (each, is_cause) in reversed(list(enumerate(chain))):
        for frame in _frames(each.__traceback__):
            yield f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}'
        yield f"{_name(each)}: {text_of(each) or LEFT_OUT}"
        if isinstance(each, BaseExceptionGroup):
            for member in each.exceptions[:MOST_IN_CHAIN]:
                yield from (f"  | {line}" for line in _printed(member))
        if position:
            yield "which caused:" if is_cause else "while that was handled:"


def _frames(trace: TracebackType | None) -> traceback.StackSummary:
    # Without the lines of the source, and without local variables.
    return traceback.StackSummary.extract(
        traceback.walk_tb(trace), limit=-MOST_FRAMES, lookup_lines=False, capture_locals=False
    )


def _name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _place(error: BaseException) -> str:
    """Returns the innermost frame in our own code: if a library raised, the one that called the library."""
    frames = _frames(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(OURS)] or frames
    return f" at {ours[-1].filename}:{ours[-1].lineno}" if ours else ""


def _whole(error: Any) -> str:
    return str(error)


def _nothing(_: Any) -> str:
    return ""


def _of_postgres(error: Any) -> str:
    """Returns SQLSTATE, names and message of the fault, without its DETAIL, which quotes rows and keys."""
    about = [error.sqlstate or "", *_named(error, "constraint_name", "table_name", "column_name")]
    quotes = (error.sqlstate or "").startswith(QUOTING_SQLSTATES)
    return " ".join(filter(None, [*about, "" if quotes else str(error.args[0])]))


def _named(error: Any, *fields: str) -> list[str]:
    found = {field.removesuffix("_name"): getattr(error, field) for field in fields}
    return [f"{name}={value}" for name, value in found.items() if value]


def _of_statement(error: Any) -> str:
    """Returns the driver's error. SQLAlchemy's own text has the statement and its parameters."""
    inner = error.orig
    while inner is not None and inner.__cause__ is not None:
        inner = inner.__cause__
    return "" if inner is None else f"{_name(inner)} {text_of(inner)}"


def _of_call(error: Any) -> str:
    code = error.code() if callable(getattr(error, "code", None)) else None
    if code is None:
        return ""
    return code.name if code.name in QUOTING_CODES else f"{code.name}: {error.details()}"


def _of_command(error: Any) -> str:
    return str(error).partition(", with args beginning with")[0]


def _of_fields(error: Any) -> str:
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['type']}" for fault in faults)


# Rules by the full name of a class, so that no library is imported for them. The nearest base class counts.
TEXTS: Mapping[str, Callable[[Any], str]] = {
    "builtins.OSError": _whole,  # Connections, files, time-outs: an address or a path, and the reason.
    "builtins.ImportError": _whole,
    "builtins.NameError": _whole,
    "builtins.AttributeError": _whole,
    "builtins.ArithmeticError": _whole,
    "builtins.UnicodeError": _whole,  # A byte or a character, and its position.
    "builtins.RecursionError": _whole,
    "json.decoder.JSONDecodeError": _whole,  # Position and kind; the document is in an attribute.
    "asyncio.exceptions.IncompleteReadError": _whole,  # Numbers of bytes.
    "asyncpg.exceptions._base.PostgresError": _of_postgres,
    "asyncpg.exceptions._base.InterfaceError": _whole,
    "asyncpg.exceptions._base.ClientConfigurationError": _nothing,  # Has the address of the database.
    "asyncpg.exceptions._base.InternalClientError": _whole,
    "sqlalchemy.exc.StatementError": _of_statement,
    "sqlalchemy.exc.TimeoutError": _whole,
    "redis.exceptions.ConnectionError": _whole,
    "redis.exceptions.TimeoutError": _whole,
    "redis.exceptions.ResponseError": _of_command,
    "kombu.exceptions.OperationalError": _whole,  # The texts of the broker's ConnectionError.
    "grpc.RpcError": _of_call,
    "pydantic_core._pydantic_core.ValidationError": _of_fields,
}
