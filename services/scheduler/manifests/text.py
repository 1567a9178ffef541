"""Reads plain data (dicts, lists, texts, numbers) from untrusted YAML or JSON text, and writes it.

Only the part of YAML that JSON can express is allowed, by the rules of YAML 1.2: `no` and `010` are texts,
`12:30` is no number. Anchors and aliases are refused, because a few lines of them can stand for terabytes.
Tags are refused, because they stand for objects. A key that is given twice is a fault.
"""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

import yaml

# The limit of a text as UTF-8. A gRPC request has at most 8 MiB.
MOST_BYTES = 4 * 1024 * 1024
DEEPEST = 100
INTEGER = re.compile(r"[-+]?[0-9]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
# A value that needs quotes, mostly a crontab: `crontab: */5 * * * *`, `crontab: @daily`.
UNQUOTED = re.compile(r"(?::|-)\s+([*@%`])")
WORDS = {"null": None, "~": None, "": None, "true": True, "false": False}
# Longer words are texts: Python refuses by default to convert more than 4300 digits to a number.
MOST_DIGITS = 4000


class TextInvalid(Exception):
    """The text is invalid. The message says what is wrong, with the line if it is known."""


def size_of(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))


def parse_text(text: str, constant: Callable[[str], object] | None = None) -> Any:
    """Returns the data in a text: JSON if it begins with a brace or bracket, else YAML.

    `constant` makes a value of NaN, Infinity or -Infinity, which JSON does not have. Without it they are
    refused. Raises `TextInvalid`.
    """
    size = size_of(text)
    if size > MOST_BYTES:
        raise TextInvalid(f"has {size} bytes, at most {MOST_BYTES} are allowed")
    return _json(text, constant or _no_constant) if text.lstrip()[:1] in {"{", "["} else _yaml(text)


def _json(text: str, constant: Callable[[str], object]) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=constant, parse_float=exact_number)
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column {error.colno}"
        raise TextInvalid(f"begins as JSON, and is none: {error.msg} at {at}") from error
    except (ValueError, RecursionError) as error:
        raise TextInvalid(f"begins as JSON, and is none: {str(error)[:200]}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen = set[str]()
        for name, _ in pairs:
            if name in seen:
                raise TextInvalid(f"has the key {name[:100]!r} twice in one object")
            seen.add(name)
    return found


def _no_constant(name: str) -> object:
    raise TextInvalid(f"has {name}, which is not JSON")


def _yaml(text: str) -> Any:
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=yaml.CBaseLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise TextInvalid(f"is not YAML: {error.problem} at {_place(mark)}{_hint(text, mark)}") from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise TextInvalid(f"is not YAML: {' '.join(str(error).split())[:200]}") from error
    return builder.root


def _hint(text: str, mark: Any) -> str:
    """Returns a hint if the line at fault has one of the most common mistakes."""
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return ": indent with blanks, not with tabs"
    found = UNQUOTED.search(line)
    return f': what begins with "{found[1]}" must be in quotes' if found else ""


class _Builder:
    """Builds data from YAML's events, without recursion."""

    def __init__(self) -> None:
        self.root: Any = None
        self._documents = 0
        # The collections that are not complete yet: a list, or a dict with the key that waits for its value.
        self._open: list[tuple[list[Any] | dict[str, Any], list[str]]] = []

    def take(self, event: yaml.Event) -> None:
        place = _place(event.start_mark)
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise TextInvalid(f"has a second document at {place}; one is allowed")
            case yaml.AliasEvent():
                raise TextInvalid(f"has an alias (*{str(event.anchor)[:50]}) at {place}; write it out")
            case yaml.CollectionStartEvent():
                self._plain(event, place)
                self._begin({} if isinstance(event, yaml.MappingStartEvent) else [], place)
            case yaml.CollectionEndEvent():
                self._open.pop()
            case yaml.ScalarEvent():
                self._plain(event, place)
                self._scalar(event, place)

    def _plain(self, event: yaml.NodeEvent, place: str) -> None:
        if event.anchor:
            raise TextInvalid(f"has an anchor (&{event.anchor[:50]}) at {place}; leave it out")
        # The tag "!" is allowed: it only makes a value a text, as quotes do.
        tag = cast("str | None", event.tag) if hasattr(event, "tag") else None
        if tag not in {None, "!"}:
            raise TextInvalid(f"has a tag ({str(tag)[:100]}) at {place}; leave it out")

    def _begin(self, value: list[Any] | dict[str, Any], place: str) -> None:
        if len(self._open) == DEEPEST:
            raise TextInvalid(f"is nested deeper than {DEEPEST} at {place}")
        self._put(value, place)
        self._open.append((value, []))

    def _scalar(self, event: yaml.ScalarEvent, place: str) -> None:
        if self._open and isinstance(self._open[-1][0], dict) and not self._open[-1][1]:
            self._open[-1][1].append(event.value)
            if event.value in self._open[-1][0]:
                raise TextInvalid(f"has the key {event.value[:100]!r} twice in one mapping, at {place}")
            return
        self._put(event.value if event.style or event.tag else plain_value(event.value), place)

    def _put(self, value: Any, place: str) -> None:
        if not self._open:
            self.root = value
            return
        holder, key = self._open[-1]
        if isinstance(holder, list):
            holder.append(value)
        elif key:
            holder[key.pop()] = value
        else:
            raise TextInvalid(f"has a key that is no text at {place}")


def plain_value(text: str) -> Any:
    """Returns the value of an unquoted word of YAML 1.2 (core schema): None, a bool, a number or a text."""
    lowered = text.lower()
    if lowered in WORDS and text in {lowered, lowered.capitalize(), lowered.upper()}:
        return WORDS[lowered]
    if len(text) <= MOST_DIGITS:
        if INTEGER.fullmatch(text) and not re.match(r"[-+]?0[0-9]", text):
            return int(text)
        if FLOAT.fullmatch(text) and not re.match(r"[-+]?0[0-9]", text):
            return exact_number(text)
    return text


def exact_number(text: str) -> float | Decimal:
    """Returns the number; a Decimal if a float would lose some of its digits. Infinite if it is too large."""
    number = float(text)
    return number if math.isinf(number) or Decimal(repr(number)) == Decimal(text) else Decimal(text)


def _place(mark: Any) -> str:
    # `mark` is a yaml.Mark, or the C parser's own type.
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "an unknown place"


class Dumper(yaml.CSafeDumper):
    """Quotes every text that would be read as something else, by our rules or by YAML 1.1's."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.representer.SafeRepresenter, value: str) -> yaml.ScalarNode:
    # These line breaks (CR, NEL, LS, PS) and the byte order mark are kept only if they are escaped.
    if any(mark in value for mark in "\r\x85\u2028\u2029\ufeff"):
        style: str | None = '"'
    else:
        style = None if plain_value(value) == value else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


Dumper.add_representer(str, _text)


def json_text(data: Any) -> str:
    """Returns the data as JSON text, in which each Decimal keeps all its digits.

    Raises `ValueError` for numbers that JSON does not have.
    """
    # json can write Decimals as texts only. The mark occurs in no text of the data, as it is made after them.
    mark, numbers = uuid.uuid4().hex, list[str]()

    def marked(number: Decimal) -> str:
        numbers.append(str(number))
        return f"{mark}{len(numbers) - 1}"

    text = json.dumps(data, ensure_ascii=False, allow_nan=False, default=marked)
    return re.sub(rf'"{mark}([0-9]+)"', lambda found: numbers[int(found[1])], text) if numbers else text


def yaml_text(data: Any) -> str:
    """Returns the data as YAML that `parse_text` reads back unchanged; keys keep their order."""
    text: str = yaml.dump(
        data, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100, default_flow_style=False
    )
    return text
