"""Writes manifests: converts definitions to entries, and entries to text."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from services.scheduler.manifests.read import FIELDS, Wanted
from services.scheduler.manifests.text import exact_number
from services.scheduler.manifests.text_in_steps import writer
from services.scheduler.schedule.definition import Definition, Overlap, Task
from services.scheduler.timing.due_times import CrontabTiming, IntervalTiming, OnceTiming, SolarTiming, Timing
from services.scheduler.timing.durations import format_span
from services.scheduler.timing.plan import Misfire, MisfireAction

# Arguments that are nested deeper than this are written as JSON text: the YAML writer works by recursion.
DEEPEST_ARGUMENTS = 40
_EXACT = json.JSONDecoder(parse_float=exact_number)


def manifest_text(definitions: Iterable[Definition], *, as_json: bool = False) -> str:
    return entries_text([entry_of(definition) for definition in definitions], as_json=as_json)


def entries_text(entries: Sequence[dict[str, Any]], *, as_json: bool = False) -> str:
    text = writer(as_json=as_json)
    for entry in entries:
        for _ in text.add(entry):
            pass
    return text.end()


def said_by(wanted: Wanted) -> dict[str, Any]:
    """Returns the entry of a schedule in a manifest, without an anchor if the manifest gives none."""
    entry = entry_of(wanted.definition)
    if not wanted.says_anchor:
        entry.pop("anchor", None)
    return entry


def entry_of(definition: Definition) -> dict[str, Any]:
    """Returns the entry of a definition, in the order of FIELDS, without most fields that have defaults."""
    values = {
        "id": definition.id,
        "description": definition.description,
        **_task_values(definition.task),
        **_timing_values(definition.timing),
        "start": _moment(definition.bounds.start),
        "end": _moment(definition.bounds.end),
        "max_runs": definition.bounds.max_runs,
        "jitter": format_span(definition.jitter) if definition.jitter else None,
        **_misfire_values(definition.misfire),
        "overlap": None if definition.overlap is Overlap.ALLOW else definition.overlap.value,
        "resend_lost": definition.resend_lost or None,
        "pause_after_failures": definition.pause_after_failures,
        "labels": dict(sorted(definition.labels.items())),
        "paused": definition.paused or None,
        "pause_note": definition.pause_note,
    }
    return {name: values[name] for name in FIELDS if values.get(name) not in (None, "", {}, [])}


def _task_values(task: Task) -> dict[str, Any]:
    return {
        "task": task.name,
        "args": _arguments(task.args_json),
        "kwargs": _arguments(task.kwargs_json),
        "queue": task.queue,
        "priority": task.priority or None,
        "expires": _span(task.expires),
        "soft_time_limit": _span(task.soft_time_limit),
        "time_limit": _span(task.time_limit),
        "headers": dict(sorted(task.headers.items())),
    }


def _arguments(text: str) -> Any:
    """Returns arguments as data; as the stored JSON text if a manifest can't hold the data."""
    value = _EXACT.decode(text)
    return value if _writable(value, DEEPEST_ARGUMENTS) else text


def _writable(value: Any, depth: int) -> bool:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return depth > 0 and all(_writable(each, depth - 1) for each in inner)
    # Other readers of YAML and JSON would lose digits of a Decimal.
    return not isinstance(value, Decimal) and (not isinstance(value, float) or math.isfinite(value))


def _timing_values(timing: Timing) -> dict[str, Any]:
    values: dict[str, Any] = {"zone": timing.zone}
    match timing:
        case CrontabTiming():
            values["crontab"] = timing.crontab.expression
        case IntervalTiming():
            values |= {"every": format_span(timing.every), "anchor": _moment(timing.anchor)}
        case OnceTiming():
            values["once"] = _moment(timing.at)
        case SolarTiming():
            values["solar"] = {
                "event": timing.event,
                "latitude": timing.latitude,
                "longitude": timing.longitude,
            }
    return values


def _misfire_values(misfire: Misfire) -> dict[str, Any]:
    usual = Misfire()
    if misfire.action is MisfireAction.SKIP:
        return {"misfire": "skip"}
    return {
        "misfire": None if misfire == usual else misfire.action.value,
        "misfire_window": None if misfire.window == usual.window else format_span(misfire.window),
    }


def _span(seconds: float | None) -> str | None:
    return None if seconds is None else format_span(seconds)


def _moment(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
