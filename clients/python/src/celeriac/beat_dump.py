"""Writes down what another beat runs, for Celeriac's ImportSchedules to take over.

    python -m celeriac.beat_dump beat-schedule proj.celery > dump.json   the app's own beat_schedule
    python -m celeriac.beat_dump django proj.celery > dump.json          django-celery-beat's tables
    python -m celeriac.beat_dump redbeat proj.celery > dump.json         redbeat's keys

Run it where that beat runs, with its settings and from its folder: the app is found as `celery -A` finds it.
It only reads, and needs only what is installed there: Python 3.10 and the standard library beside Celery, so
this one file can also be copied and run by its path.

The dump is JSON: each entry as it is, with the queue that the app's routes give it. What of it a schedule can
hold is for the scheduler to say.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib
import json
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn

# datetime.UTC is of Python 3.11.
UTC = dt.timezone(dt.timedelta(0))
CRONTAB_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
# Options of a task's decorator that its messages carry (celery.app.task.extract_exec_options); the limits are
# the worker's to know.
TASK_OPTIONS = ("queue", "routing_key", "exchange", "priority", "expires")


def entries_of_app(app: Any) -> list[dict[str, Any]]:
    """The entries of `beat_schedule`, with the one that beat adds by itself."""
    from celery.beat import Scheduler

    # Lazy: reads the configuration and no file. It makes entries as beat does, and adds what beat adds.
    scheduler: Any = Scheduler(app, lazy=True)
    schedule = dict(app.conf.beat_schedule or {})
    scheduler.data = {}
    scheduler.update_from_dict(schedule)
    try:
        scheduler.install_default_entries(schedule)
    except Exception as error:  # any backend's, where its library is not installed
        _warn(f"whether beat would add celery.backend_cleanup can't be told: {error}")
    return [_entry(app, entry) for entry in scheduler.data.values()]


def entries_of_redbeat(app: Any) -> list[dict[str, Any]]:
    """All entries that redbeat keeps in Redis, with those that are disabled."""
    redbeat: Any = importlib.import_module("redbeat.schedulers")
    # Its crontabs are of the current app's zone.
    app.set_current()
    config, client = redbeat.ensure_conf(app), redbeat.get_redis(app)
    keys = sorted(client.scan_iter(match=f"{_literal(config.key_prefix)}*", count=1000))
    return list(_of_redbeat(app, redbeat, client, config.key_prefix, keys))


def _of_redbeat(
    app: Any, redbeat: Any, client: Any, prefix: str, keys: Iterable[str]
) -> Iterator[dict[str, Any]]:
    for key in keys:
        # Its schedule, statics and lock are no hashes.
        if client.type(key) != "hash" or not client.hexists(key, "definition"):
            continue
        try:
            entry = _of_key(app, redbeat, key)
        except Exception as error:  # whatever is in there, the others are carried over
            entry = _unreadable(key, f"unreadable definition ({error})")
        if key != f"{prefix}{entry['name']}":
            # A key that was copied or renamed: names are to tell one from another.
            entry["name"] = key
        yield entry


def _of_key(app: Any, redbeat: Any, key: str) -> dict[str, Any]:
    found = redbeat.RedBeatSchedulerEntry.from_key(key, app=app)
    meta = redbeat.RedBeatSchedulerEntry.load_meta(key, app=app)
    return _entry(app, found) | {
        "enabled": bool(found.enabled),
        "last_run_at": _moment(meta.get("last_run_at")),
        "total_run_count": meta.get("total_run_count", 0),
    }


def entries_of_django(app: Any) -> list[dict[str, Any]]:
    """The rows of django-celery-beat's PeriodicTask. Django's settings come from DJANGO_SETTINGS_MODULE."""
    django: Any = importlib.import_module("django")
    django.setup()
    models: Any = importlib.import_module("django_celery_beat.models")
    settings: Any = importlib.import_module("django.conf").settings
    in_zone = getattr(settings, "DJANGO_CELERY_BEAT_TZ_AWARE", True)
    rows = models.PeriodicTask.objects.select_related("interval", "crontab", "solar", "clocked")
    return [_of_row_or_why_not(app, row, in_zone) for row in rows.order_by("name")]


def _of_row_or_why_not(app: Any, row: Any, in_zone: bool) -> dict[str, Any]:
    try:
        return _of_row(app, row, in_zone)
    except Exception as error:  # whatever is in there, the others are carried over
        return _unreadable(row.name, f"unreadable row ({error})")


def _unreadable(name: str, what: str) -> dict[str, Any]:
    return {"name": name, "schedule": {"kind": "unreadable", "what": what}}


def _of_row(app: Any, row: Any, in_zone: bool) -> dict[str, Any]:
    not_json: dict[str, str] = {}
    args, kwargs = _loaded("args", row.args, "[]", not_json), _loaded("kwargs", row.kwargs, "{}", not_json)
    headers = _loaded("headers", row.headers, "{}", not_json)
    options = {name: getattr(row, name) for name in ("queue", "exchange", "routing_key", "priority")}
    options["expires"] = row.expires_
    if isinstance(headers, dict):
        # What its scheduler sends with each task, and django-celery-results shows.
        options["headers"] = {**headers, "periodic_task_name": row.name}
    options = _routed(app, row.task, args, kwargs, options)
    if row.expires:
        # A moment, after which it disables the entry: its end.
        del options["expires"]
    return {
        "name": row.name,
        "task": row.task,
        "args": args,
        "kwargs": kwargs,
        "schedule": _schedule_of_row(app, row, in_zone),
        "options": _plain(options),
        "enabled": row.enabled,
        "one_off": row.one_off,
        "start": _moment(row.start_time),
        "end": _moment(row.expires),
        "description": row.description,
        "last_run_at": _moment(row.last_run_at),
        "total_run_count": row.total_run_count,
        "not_json": not_json,
    }


def _schedule_of_row(app: Any, row: Any, in_zone: bool) -> dict[str, Any]:
    zone = _zone(app.timezone)
    if row.interval:
        every = dt.timedelta(**{row.interval.period: row.interval.every})
        return {"kind": "interval", "seconds": every.total_seconds(), "relative": False, "zone": zone}
    if row.crontab:
        fields = {name: getattr(row.crontab, name) for name in CRONTAB_FIELDS}
        return {"kind": "crontab", **fields, "zone": _zone(row.crontab.timezone) if in_zone else zone}
    if row.solar:
        place = {"latitude": float(row.solar.latitude), "longitude": float(row.solar.longitude)}
        return {"kind": "solar", "event": row.solar.event, **place, "zone": zone}
    if row.clocked:
        return {"kind": "clocked", "at": _moment(row.clocked.clocked_time), "zone": zone}
    return {"kind": "none", "what": "empty schedule"}


def _loaded(name: str, text: str | None, default: str, not_json: dict[str, str]) -> Any:
    try:
        return json.loads(text or default)
    except ValueError as error:
        not_json[name] = str(error)
        return None


def _entry(app: Any, entry: Any) -> dict[str, Any]:
    """A celery.beat.ScheduleEntry, or one of a kind of it."""
    not_json: dict[str, str] = {}
    args = _arguments(entry.args or (), "args", (list, tuple), not_json)
    kwargs = _arguments(entry.kwargs or {}, "kwargs", Mapping, not_json)
    return {
        "name": str(entry.name),
        "task": entry.task,
        "args": args,
        "kwargs": kwargs,
        "schedule": _schedule(app, entry.schedule),
        "options": _plain(_routed(app, entry.task, args, kwargs, dict(entry.options or {}))),
        "not_json": not_json,
    }


def _arguments(value: Any, name: str, kind: Any, not_json: dict[str, str]) -> Any:
    """`args` or `kwargs`; ("daily") is a text, of which no list of letters is to be made."""
    if not isinstance(value, kind):
        not_json[name] = f"{name} is of the type {type(value).__name__}"
        return None
    return _json(dict(value) if kind is Mapping else list(value), name, not_json)


def _json(value: Any, name: str, not_json: dict[str, str]) -> Any:
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        not_json[name] = str(error)
        return None


def _schedule(app: Any, schedule: Any) -> dict[str, Any]:
    from celery import schedules

    zone = _zone(getattr(schedule, "tz", None) or app.timezone)
    # Only Celery's own, and a crontab with a zone: what else someone derived from them runs by other rules.
    kind = type(schedule)
    if kind is schedules.crontab or kind.__name__ == "TzAwareCrontab":
        fields = {name: _crontab_field(getattr(schedule, f"_orig_{name}")) for name in CRONTAB_FIELDS}
        return {"kind": "crontab", **fields, "zone": zone}
    if kind is schedules.solar:
        place = {"latitude": float(schedule.lat), "longitude": float(schedule.lon)}
        return {"kind": "solar", "event": schedule.event, **place, "zone": zone}
    if kind is schedules.schedule:
        seconds, relative = schedule.run_every.total_seconds(), bool(schedule.relative)
        return {"kind": "interval", "seconds": seconds, "relative": relative, "zone": zone}
    if kind.__name__ == "clocked":
        return {"kind": "clocked", "at": _moment(schedule.clocked_time), "zone": zone}
    return {"kind": kind.__name__, "what": str(schedule)}


def _crontab_field(value: Any) -> str:
    """Text without blanks; a set of numbers becomes a list."""
    if isinstance(value, (str, int)):
        return "".join(str(value).split())
    return ",".join(map(str, sorted(value)))


def _routed(app: Any, task: str, args: Any, kwargs: Any, options: dict[str, Any]) -> dict[str, Any]:
    """The options with which beat would send the task: its decorator's, and the queue of the app's routes."""
    known = app.tasks.get(task)
    own = {name: getattr(known, name, None) for name in TASK_OPTIONS} if known is not None else {}
    given = {name: value for name, value in options.items() if value is not None}
    merged = {name: value for name, value in own.items() if value is not None} | given
    place = {name: merged.pop(name) for name in ("queue", "exchange", "routing_key") if name in merged}
    if not place.get("queue") and ("exchange" in place or "routing_key" in place):
        # Where that leads is the broker's to know.
        return merged | place
    try:
        route = app.amqp.router.route(dict(place), task, args or (), kwargs or {})
        queue = route["queue"]
    except Exception as error:  # a router is the app's own code
        _warn(f"the queue of {task} can't be told: {error}")
        return merged | place
    # A route may say more than the queue: {"queue": "video", "priority": 3}.
    more = {name: value for name, value in route.items() if name != "queue" and value is not None}
    return more | merged | {"queue": str(getattr(queue, "name", queue))}


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Values that JSON has; of others, what they are."""
    return {str(name): _plain_value(value) for name, value in options.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, dt.datetime):
        return _moment(value)
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        return repr(value)


def _zone(zone: Any) -> str:
    """An IANA name, if the zone has one."""
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if name is None and type(zone).__name__ == "LocalTimezone":
        # Celery's, for `enable_utc = False` without a `timezone`: this machine's.
        import tzlocal

        name = tzlocal.get_localzone_name()
    return str(name or zone)


def _moment(moment: dt.datetime | None) -> str | None:
    """ISO 8601; a time without a zone is UTC, as beats have it."""
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _literal(prefix: str) -> str:
    """The prefix as a pattern of Redis that means itself."""
    return "".join(f"\\{letter}" if letter in "*?[]\\" else letter for letter in prefix)


def _fail(what: str, error: Exception) -> NoReturn:
    """Ends with one line: what can't be done, why, and where in which file that is."""
    frames = traceback.extract_tb(error.__traceback__)
    place = next((one for one in reversed(frames) if not one.filename.startswith("<")), frames[-1])
    sys.exit(f"beat_dump: {what}: {type(error).__name__}: {error} (at {place.filename}:{place.lineno})")


def _warn(text: str) -> None:
    print(f"beat_dump: {text}", file=sys.stderr)  # noqa: T201 # a person runs this


SOURCES: dict[str, tuple[str, Callable[[Any], list[dict[str, Any]]]]] = {
    "beat-schedule": ("beat_schedule", entries_of_app),
    "django": ("django_celery_beat", entries_of_django),
    "redbeat": ("redbeat", entries_of_redbeat),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="beat_dump", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", choices=SOURCES)
    parser.add_argument("app", help="the Celery app, as `celery -A` takes it")
    given = parser.parse_args()
    from celery.app.utils import find_app

    try:
        app: Any = find_app(given.app)
        # So that tasks are known, with what their decorators say.
        app.loader.import_default_modules()
    except Exception as error:  # importing runs the app's own code
        _fail(f"no app {given.app!r}, named as for celery -A (proj, proj.celery:app)", error)
    name, read = SOURCES[given.source]
    try:
        entries = read(app)
    except Exception as error:  # of Django's settings, a database, a broker
        _fail(f"{given.source} of {given.app!r} can't be read", error)
    json.dump({"celeriac_dump": 1, "source": name, "entries": entries}, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
