"""Writes a manifest's text in small steps, so that other work can use the event loop in between."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Protocol

import yaml

from services.scheduler.manifests.text import Dumper

# The events of texts with at most so many characters are cached.
MOST_KNOWN = 40


class Writer(Protocol):
    """Writes the list of schedules; `end` returns the text."""

    @property
    def size(self) -> int:
        """The number of characters written so far."""

    def add(self, entry: dict[str, Any]) -> Iterator[None]:
        """Writes an entry as the result is iterated over; each step takes some microseconds."""

    def end(self) -> str: ...


class YamlWriter:
    """Writes the same text as `yaml_text` does for all entries at once."""

    def __init__(self) -> None:
        self._text = io.StringIO()
        self._dumper = Dumper(self._text, allow_unicode=True, width=100)
        # Cached, because the names of fields are the same in each entry.
        self._known = lru_cache(maxsize=1000)(self._scalar)
        self._emit(yaml.StreamStartEvent(), yaml.DocumentStartEvent(explicit=False))
        self._emit(_MAPPING, self._scalar("schedules"), _LIST)

    @property
    def size(self) -> int:
        return self._text.tell()

    def add(self, entry: dict[str, Any]) -> Iterator[None]:
        for event in self._events(entry):
            self._emit(event)
            yield

    def end(self) -> str:
        self._emit(yaml.SequenceEndEvent(), yaml.MappingEndEvent())
        self._emit(yaml.DocumentEndEvent(explicit=False), yaml.StreamEndEvent())
        return self._text.getvalue()

    def _emit(self, *events: yaml.Event) -> None:
        for event in events:
            self._dumper.emit(event)

    def _events(self, data: Any) -> Iterator[yaml.Event]:
        if isinstance(data, dict):
            yield _MAPPING
            for key, value in data.items():
                yield self._known(key)
                yield from self._events(value)
            yield yaml.MappingEndEvent()
        elif isinstance(data, list):
            yield _LIST
            for value in data:
                yield from self._events(value)
            yield yaml.SequenceEndEvent()
        elif isinstance(data, str) and len(data) <= MOST_KNOWN:
            yield self._known(data)
        else:
            yield self._scalar(data)

    def _scalar(self, data: Any) -> yaml.Event:
        """Returns the event of a scalar as the library's serializer makes it.

        `implicit` says whether the tag follows from the text when it is plain, and when it is quoted.
        """
        # Any: the type stubs declare any kind of node here, and leave `resolve` untyped.
        node: Any = self._dumper.represent_data(data)
        resolve: Any = self._dumper.resolve
        implicit = tuple(
            resolve(yaml.ScalarNode, node.value, style) == node.tag
            for style in ((True, False), (False, True))
        )
        return yaml.ScalarEvent(None, node.tag, implicit, node.value, style=node.style)


_MAPPING = yaml.MappingStartEvent(None, None, True, flow_style=False)
_LIST = yaml.SequenceStartEvent(None, None, True, flow_style=False)


class JsonWriter:
    """Indented JSON, as `json.dumps` writes it."""

    def __init__(self) -> None:
        self._text = io.StringIO()
        self._text.write('{\n  "schedules": [')
        self._encoder = json.JSONEncoder(ensure_ascii=False, indent=2)
        self._separator = "\n    "

    @property
    def size(self) -> int:
        return self._text.tell()

    def add(self, entry: dict[str, Any]) -> Iterator[None]:
        self._text.write(self._separator)
        self._separator = ",\n    "
        for part in self._encoder.iterencode(entry):
            # JSON escapes the line breaks within texts, so these are all between values.
            self._text.write(part.replace("\n", "\n    "))
            yield

    def end(self) -> str:
        self._text.write("]\n}\n" if self._separator == "\n    " else "\n  ]\n}\n")
        return self._text.getvalue()


def writer(*, as_json: bool) -> Writer:
    return JsonWriter() if as_json else YamlWriter()
