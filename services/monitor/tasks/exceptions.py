"""What an event says of the exception that ended a try: its words, its type and its message.

Celery sends the repr of the exception, as in "ValueError('no luck')". Where that names no type, the end of
the traceback does, as in "billiard.exceptions.WorkerLostError: Worker exited prematurely: signal 9". Both are
read as Celery sent them, before anything is cut, and in a time that does not grow with their length but for
the search of a text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from services.monitor.tasks.secret_shapes import REDACTED
from services.monitor.tasks.tasks import MOST_NAME
from services.monitor.tasks.values import shortened

# Celery never cuts exceptions.
MOST_EXCEPTION = 4_000
MOST_TYPE = 255
MOST_MESSAGE = 2_000
# Of a message in a repr so much is read: an escape is at most ten characters, as in "\U0001f600".
MOST_READ = 10 * MOST_MESSAGE

# The repr of billiard's wrapper, in which the parent process hands over the end of a process that it killed
# or lost. It says nothing of the exception that is wrapped.
WRAPPER = "ExceptionWithTraceback()"
TRACEBACK = "Traceback (most recent call last):\n"
# The line that ends a traceback: "KeyError: 'k'", "a.b.Error", "__main__.f.<locals>.Error: no".
_ENDING = re.compile(r"(?:[\w<>]+\.)*([^\W\d]\w*)(?:: ?|(?=\n)|\Z)")
# One text in quotes, or what is left of it after a cut.
_QUOTED = {
    "'": re.compile(r"'([^'\\]*(?:\\.[^'\\]*)*)(?:'|\Z)", re.DOTALL),
    '"': re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)(?:"|\Z)', re.DOTALL),
}
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|([nrt'\"\\]))")
_MEANT = {"n": "\n", "r": "\r", "t": "\t"}
# The exception of a task that its worker does not have: its message is the task's name. Celery sends it
# without a traceback, unlike one that a task has raised.
UNKNOWN_TASK = "NotRegistered"
RETRY = "Retry(Retry(...), "
_RETRY = re.compile(
    r"Retry\(Retry\(\.\.\.\), (.+), (?:None|-?[0-9.]+|datetime\.datetime\([^()]*(?:\(.*\))?[^()]*\))\)",
    re.DOTALL,
)
_UNINDENTED = re.compile(r"\n(?=\S)")
_SURROGATES = range(0xD800, 0xE000)


class ExceptionTold(NamedTuple):
    """`words`: the repr, or where that says nothing the words that end the traceback; empty without any.

    `type`: the name of its class, without the module; empty if nothing tells it. `message` is empty if the
    exception has none.
    """

    words: str
    type: str
    message: str


def exception_in(event: Mapping[str, Any]) -> ExceptionTold:
    """Returns what a task-failed or task-retried event tells."""
    said = event.get("exception")
    said = _within_retry(said) if type(said) is str else None
    found = _of_repr(said) if said is not None and said != WRAPPER else None
    if said is not None and found is not None and found[1]:
        return _bounded(said, *found)
    ending = _ending(event.get("traceback"))
    match = _ENDING.match(ending)
    by_traceback = (match[1], ending[match.end() :]) if match else None
    if said == WRAPPER:
        return _bounded(ending or said, *(by_traceback or ("", "")))
    if found is None:
        return _bounded(said, *(by_traceback or ("", said or "")))
    # The repr has no message, and the exception may have one.
    return _bounded(said, *(by_traceback if by_traceback and by_traceback[0] == found[0] else found))


def _within_retry(said: str) -> str:
    """Returns the exception for which a task is tried again, where a worker tells Celery's own Retry.

    One whose pool is not `prefork` does: "Retry(Retry(...), ConnectionError('away'), 3)", with the time last.
    """
    if not said.startswith(RETRY) or len(said) > MOST_READ:
        return said
    found = _RETRY.fullmatch(said)
    return said if found is None or found[1] == "None" else found[1]


def name_of_unknown(message: str | None) -> str | None:
    """Returns the registered name that the message of a NotRegistered is; None if it tells none."""
    if not message or REDACTED in message:
        return None
    return shortened(message, MOST_NAME)


def _bounded(words: str | None, name: str, message: str) -> ExceptionTold:
    words = shortened(words or "", MOST_EXCEPTION)
    return ExceptionTold(words, shortened(name, MOST_TYPE), shortened(message, MOST_MESSAGE))


def _of_repr(said: str) -> tuple[str, str] | None:
    """Returns type and message of "a.Error('no luck')"; None if it does not have this form."""
    opened = said.find("(", 0, 4 * MOST_TYPE)
    name = said[:opened].rpartition(".")[2] if opened > 0 else ""
    if not name.isidentifier():
        return None
    inside = said[opened + 1 : opened + 1 + MOST_READ]
    if len(said) - opened - 1 <= MOST_READ:
        inside = inside.removesuffix(")").removesuffix(",")
    quoted = _QUOTED.get(inside[:1])
    match = quoted.fullmatch(inside) if quoted is not None else None
    if match is None:
        return name, inside
    return name, _ESCAPE.sub(_meant, match[1]) if "\\" in match[1] else match[1]


def _meant(escape: re.Match[str]) -> str:
    """Returns the character of an escape; NUL as U+FFFD, and a lone surrogate as it is written."""
    digits = escape[1] or escape[2] or escape[3]
    if digits is None:
        return _MEANT.get(escape[4], escape[4])
    code = int(digits, 16)
    if code in _SURROGATES or code > 0x10FFFF:
        return escape[0]
    return chr(code) if code else "\ufffd"


def last_traceback(traceback: str) -> str:
    """Returns the last traceback of a chain of exceptions, with what follows it; empty without any.

    A blank line is before it. A traceback within the message of an exception has none.
    """
    last = traceback.rfind("\n\n" + TRACEBACK)
    start = traceback.find(TRACEBACK, max(last, 0))
    return traceback[start:] if start >= 0 else ""


def _ending(traceback: object) -> str:
    """Returns what follows the lines of the last traceback, which are indented; empty without any."""
    if type(traceback) is not str:
        return ""
    last = last_traceback(traceback)
    end = _UNINDENTED.search(last, len(TRACEBACK) - 1)
    return last[end.start() :].strip() if end else ""
