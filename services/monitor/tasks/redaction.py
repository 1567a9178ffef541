"""Replaces secrets in the texts of tasks, before anything is stored, shown, searched or counted.

Arguments and results come as Celery shows them in events: as reprs, cut anywhere. Exceptions and tracebacks
have whatever the application put into them. A secret is known by its name ("password": …, token=…) or by its
own shape (docs/decisions/monitor-redaction.md). Nearly all texts have neither, and one look tells it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from services.monitor.tasks.quick_look import QuickLook
from services.monitor.tasks.redacted_values import without_secrets
from services.monitor.tasks.secret_names import RUN_TOGETHER, Kind, SecretNames
from services.monitor.tasks.secret_shapes import HINTS, REDACTED, without_shapes
from services.monitor.tasks.secret_values import EMPTY, Value, is_number, quoted_at, value_at
from services.monitor.tasks.values import SealedText

Fields: TypeAlias = tuple[str, str]
# The fields of events that have texts of the application.
ARGUMENTS = ("args", "kwargs")
RESULT = ("result", "")
EXCEPTION = ("exception", "traceback")
FIELDS = {
    "task-sent": ARGUMENTS,
    "task-received": ARGUMENTS,
    "task-succeeded": RESULT,
    "task-failed": EXCEPTION,
    "task-retried": EXCEPTION,
    # Celery writes none there. Who does has it taken in, as a rejection that is put back counts as a retry.
    "task-rejected": EXCEPTION,
}
# Where an event has its arguments encrypted, after secrets in them were replaced.
SEALED = "sealed_arguments"
# Encrypts: of a task's id, its arguments and keyword arguments.
Seal: TypeAlias = Callable[[Any, Any, Any], SealedText | None]
# What stands in place of arguments and results that are not to be kept.
NOT_KEPT = "[not kept]"
# Longer texts are cut before they are looked through; less of them is stored. Of a traceback the end, too, is
# needed, which tells the exception.
MOST, MOST_OF_TRACEBACK, MOST_OF_END = 8_000, 24_000, 8_000
# Texts in which nothing was found: those of task-sent come again in task-received, and tracebacks come again.
MOST_CLEAN, LONGEST_CLEAN = 2_000, 2_100
# The texts of so many events are looked through at once. If something is found, each is by itself.
TOGETHER = 16
# A line of a program in a traceback is looked for no further than this before a name.
MOST_LINE = 500

# A name, and what is between it and its value.
_NAME = re.compile(
    r"""(?<![\w-])([\w-]++)(\]?)(\\*+["'])?[ \t]*+(=>|[:=：＝,])(?![:=])[ \t]*+""",
)
_OPTION = re.compile(r"""(?<![\w-])(--[\w-]++)[ \t]++(?=[^\s-])""")
_BEFORE_PAIR = re.compile(r"""[\[(]\s?[bB]?\\*["']\Z""")
# Classes of exceptions, with which the last line of a traceback begins: "KeyError: 'a'", "InvalidToken: …".
_CLASS = re.compile(
    r"(?:Invalid|Missing|Expired|Unknown|Bad|Wrong|Duplicate)[A-Z]\w*"
    r"|\w*(?:Error|Exception|Warning|Invalid|Expired|Missing|Denied|NotFound|Mismatch|Required|Exists)"
)


class Arguments(enum.StrEnum):
    """What is kept of arguments and results: all but the secrets, nothing, or all as it was sent."""

    REDACTED = "redacted"
    NONE = "none"
    CLEAR = "clear"


class Redaction:
    """`names`: further names of secrets; `clear`: names whose values are none (`SecretNames`).

    `seal`: encrypts arguments in which something is replaced; None: they are not kept.
    """

    def __init__(
        self,
        names: Iterable[str] = (),
        clear: Iterable[str] = (),
        arguments: Arguments = Arguments.REDACTED,
        seal: Seal | None = None,
    ) -> None:
        self._seal = seal if arguments is Arguments.REDACTED else None
        self._names = SecretNames(names, clear)
        self._arguments = arguments
        self._look = QuickLook([*self._names.rules, *RUN_TOGETHER, *HINTS])
        self._clean: set[str] = set()

    def event(self, kind: str, event: dict[str, Any]) -> None:
        """Replaces secrets in an event of a task, of the type `kind`, in place."""
        fields = FIELDS.get(kind)
        if fields is None:
            return
        text = self._unknown_text(fields, event)
        if text is not None and (len(text) > LONGEST_CLEAN or self._look.may_have_secrets(text)):
            self._replace(event, fields)

    def events(self, events: Iterable[dict[str, Any]]) -> None:
        """As `event`, for many events, each of the type that it tells. Their texts are looked through
        together."""
        together: list[tuple[dict[str, Any], Fields, str]] = []
        for event in events:
            fields = FIELDS.get(event["type"])
            if fields is None or (text := self._unknown_text(fields, event)) is None:
                continue
            if len(text) > LONGEST_CLEAN:
                self._replace(event, fields)
                continue
            together.append((event, fields, text))
            if len(together) == TOGETHER:
                self._look_through(together)
                together.clear()
        self._look_through(together)

    def _unknown_text(self, fields: Fields, event: dict[str, Any]) -> str | None:
        """Returns the texts of an event; None if nothing is left to be looked for in them."""
        if fields is not EXCEPTION and self._arguments is not Arguments.REDACTED:
            self._replace(event, fields)
            return None
        text = f"{event.get(fields[0])}\n{event.get(fields[1])}"
        return None if text in self._clean else text

    def _look_through(self, together: Sequence[tuple[dict[str, Any], Fields, str]]) -> None:
        if not self._look.may_have_secrets("\n".join([text for _, _, text in together])):
            for _, fields, text in together:
                if fields is not RESULT:
                    self._remember(text)
            return
        for event, fields, text in together:
            if self._look.may_have_secrets(text):
                self._replace(event, fields)

    def _replace(self, event: dict[str, Any], fields: Fields) -> None:
        shown = [event.get(field) for field in fields]
        for field in fields:
            text = event.get(field)
            if type(text) is str:
                event[field] = self.exception(text) if fields is EXCEPTION else self.argument(text)
        if fields is ARGUMENTS and self._seal and shown != [event.get(field) for field in fields]:
            sealed = self._seal(event.get("uuid"), *shown)
            if sealed is not None:
                event[SEALED] = sealed

    def argument(self, text: str) -> str:
        """Returns arguments or a result, as Celery shows them, without secrets; cut if they are very long."""
        if self._arguments is not Arguments.REDACTED:
            return text if self._arguments is Arguments.CLEAR or not text else NOT_KEPT
        return self._redacted(text if len(text) <= MOST else text[:MOST] + "…", lines=False)

    def setting(self, text: str) -> str:
        """Returns a setting of an application, with its name before it, without secrets.

        They are replaced whatever is kept of arguments.
        """
        return self._redacted(text, lines=False)

    def value(self, value: Any) -> Any:
        """Returns arguments or a result that are there as JSON values, whole, without secrets.

        Raises RecursionError if they are nested some hundred times.
        """
        if self._arguments is not Arguments.REDACTED:
            return value if self._arguments is Arguments.CLEAR else NOT_KEPT
        return without_secrets(value, self._names, lambda text: self._redacted(text, lines=False))

    def exception(self, text: str) -> str:
        """Returns the text of an exception or a traceback without the secrets; cut if it is very long.

        The value of a name does not go on to the next line of it.
        """
        return self._redacted(_cut_traceback(text), lines=True)

    def _remember(self, clean: str) -> None:
        if len(self._clean) >= MOST_CLEAN:
            self._clean.clear()
        self._clean.add(clean)

    def _redacted(self, text: str, *, lines: bool) -> str:
        if not self._look.may_have_secrets(text):
            return text
        return without_shapes(self._without_named(text, lines), text.lower())

    def _without_named(self, text: str, lines: bool) -> str:
        parts, done, at, limit = [], 0, 0, -1 if lines else len(text)
        while (name := _NAME.search(text, at)) is not None:
            at = name.end()
            kind = self._names.kind(name[1])
            if not kind and name.start(1) and text[name.start(1) - 1] == "\\" and name[1][0] in "nrt":
                kind = self._names.kind(name[1][1:])  # "\nkey: …" in a repr
            if not kind:
                continue
            if at > limit:
                limit = text.find("\n", at) if lines else len(text)
                limit = len(text) if limit < 0 else limit
            value = _value_of(text, name, kind, limit, lines)
            if value is None:
                continue
            at = value.end
            found = text[value.start : value.end]
            if not found or found in EMPTY or (kind is Kind.COUNTED and is_number(found)):
                continue
            parts += [text[done : value.start], REDACTED]
            done = value.end
        named = "".join([*parts, text[done:]]) if parts else text
        return self._without_options(named) if "--" in named else named

    def _without_options(self, text: str) -> str:
        """Replaces the values of a program's options, as in "mysql --password hunter2"."""
        parts, done, at = [], 0, 0
        while (option := _OPTION.search(text, at)) is not None:
            at = option.end()
            value = value_at(text, at, len(text)) if self._names.kind(option[1]) else None
            if value is not None:
                parts += [text[done : value.start], REDACTED]
                at = done = value.end
        return "".join([*parts, text[done:]]) if parts else text


def _value_of(text: str, name: re.Match[str], kind: Kind, limit: int, lines: bool) -> Value | None:
    """Returns the value after a name; None if what stands there is none, or none that may be secret."""
    at = name.end()
    if name[4] == ",":
        # A pair, as ("authorization", "Bearer …"), or an option in a list: ["--password", "…"].
        before = text[max(0, name.start() - 20) : name.start()]
        paired = name[3] and (name[1].startswith("--") or _BEFORE_PAIR.search(before))
        return quoted_at(text, at, limit) if paired else None
    if not name[3] and name[4] == ":" and _CLASS.fullmatch(name[1]):
        return None
    if lines and _in_program(text, name.start()):
        return quoted_at(text, at, limit)
    return value_at(text, at, limit, header=kind is Kind.HEADER)


def _cut_traceback(text: str) -> str:
    """Leaves out the middle of a very long one, between two lines of it."""
    if len(text) <= MOST_OF_TRACEBACK + MOST_OF_END:
        return text
    end = text.find("\n", len(text) - MOST_OF_END)
    return f"{text[:MOST_OF_TRACEBACK]}…\n  …{text[end:] if end >= 0 else ''}"


def _in_program(text: str, at: int) -> bool:
    """Whether this is a line of the program in a traceback, where `token=token` tells nothing."""
    start = text.rfind("\n", max(0, at - MOST_LINE), at)
    if start < 0 or not text.startswith("    ", start + 1):
        return False
    before = text.rfind("\n", max(0, start - MOST_LINE), start)
    return text.startswith('  File "', before + 1)
