"""Dumps the schedule of another beat, for Celeriac's ImportSchedules to take over.

    python -m celeriac.beat_dump beat-schedule proj.celery > dump.json   the app's own beat_schedule
    python -m celeriac.beat_dump django proj.celery > dump.json          django-celery-beat's tables
    python -m celeriac.beat_dump redbeat proj.celery > dump.json         redbeat's keys

Run it where that beat runs, with its settings and in its folder: the app is found as `celery -A` finds it.
It only reads. Beside Celery, it needs only Python 3.10 and the standard library, so this one file can also be
copied and run by its path.

The dump is JSON: each entry unchanged, with the queue that the app's routes give it. ImportSchedules then
reports what a schedule can't represent.
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

# datetime.UTC needs Python 3.11.
UTC = dt.timezone(dt.timedelta(0))
CRONTAB_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
# Options of a task's decorator that Celery puts into its messages (celery.app.task.extract_exec_options).
# Time limits are not among them: the worker reads them from its own copy of the task.
TASK_OPTIONS = ("queue", "routing_key", "exchange", "priority", "expires")


def entries_of_app(app: Any) -> list[dict[str, Any]]:
    """Returns the entries of `beat_schedule`, and the entry that beat adds by itself."""
    from celery.beat import Scheduler

    # Lazy: it reads the configuration but no file. It builds the entries as beat does, with beat's own one.
    scheduler: Any = Scheduler(app, lazy=True)
    schedule = dict(app.conf.beat_schedule or {})
    scheduler.data = {}
    scheduler.update_from_dict(schedule)
    try:
        scheduler.install_default_entries(schedule)
    except Exception as error:  # any error of a result backend, for example if its library is not installed
        _warn(f"whether beat would add celery.backend_cleanup can't be told: {error}")
    return [_entry(app, entry) for entry in scheduler.data.values()]


def entries_of_redbeat(app: Any) -> list[dict[str, Any]]:
    """Returns all entries that redbeat keeps in Redis, including disabled ones."""
    redbeat: Any = importlib.import_module("redbeat.schedulers")
    # redbeat's crontabs use the time zone of the current app.
    app.set_current()
    config, client = redbeat.ensure_conf(app), redbeat.get_redis(app)
    keys = sorted(client.scan_iter(match=f"{_literal(config.key_prefix)}*", count=1000))
    return list(_of_redbeat(app, redbeat, client, config.key_prefix, keys))


def _of_redbeat(
    app: Any, redbeat: Any, client: Any, prefix: str, keys: Iterable[str]
) -> Iterator[dict[str, Any]]:
    for key in keys:
        # redbeat's other keys (schedule, statics, lock) are not hashes.
        if client.type(key) != "hash" or not client.hexists(key, "definition"):
            continue
        try:
            entry = _of_key(app, redbeat, key)
        except Exception as error:  # one unreadable entry must not stop the others
            entry = _unreadable(key, f"unreadable definition ({error})")
        if key != f"{prefix}{entry['name']}":
            # The key was copied or renamed: its own name keeps the names of the entries distinct.
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
    """Returns the rows of django-celery-beat's PeriodicTask. DJANGO_SETTINGS_MODULE names the settings."""
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
    except Exception as error:  # one unreadable row must not stop the others
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
        # django-celery-beat sends this header with each task, and django-celery-results shows it.
        options["headers"] = {**headers, "periodic_task_name": row.name}
    options = _routed(app, row.task, args, kwargs, options)
    if row.expires:
        # This is a moment after which django-celery-beat disables the entry: the end of the schedule.
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
    """Converts a celery.beat.ScheduleEntry, or an instance of a subclass."""
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
    """Converts `args` or `kwargs`. ("daily") is a text, not a tuple: it must not become a list of letters."""
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
    # Only Celery's own classes, and the crontab with a time zone: other subclasses may follow other rules.
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
    """Returns the field as text without blanks. A set of numbers becomes a list with commas."""
    if isinstance(value, (str, int)):
        return "".join(str(value).split())
    return ",".join(map(str, sorted(value)))


def _routed(app: Any, task: str, args: Any, kwargs: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Returns the options with which beat would send the task.

    These are the entry's own options, those of the task's decorator, and the queue from the app's routes.
    """
    known = app.tasks.get(task)
    own = {name: getattr(known, name, None) for name in TASK_OPTIONS} if known is not None else {}
    given = {name: value for name, value in options.items() if value is not None}
    merged = {name: value for name, value in own.items() if value is not None} | given
    place = {name: merged.pop(name) for name in ("queue", "exchange", "routing_key") if name in merged}
    if not place.get("queue") and ("exchange" in place or "routing_key" in place):
        # The broker decides which queue these lead to.
        return merged | place
    try:
        route = app.amqp.router.route(dict(place), task, args or (), kwargs or {})
        queue = route["queue"]
    except Exception as error:  # a router is the app's own code
        _warn(f"the queue of {task} can't be told: {error}")
        return merged | place
    # A route may contain more than the queue: {"queue": "video", "priority": 3}.
    more = {name: value for name, value in route.items() if name != "queue" and value is not None}
    return more | merged | {"queue": str(getattr(queue, "name", queue))}


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options with values that JSON can hold; other values as their repr()."""
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
    """Returns the IANA name of the zone, or its text if it has none."""
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if name is None and type(zone).__name__ == "LocalTimezone":
        # Celery's class for the zone of the machine, used with `enable_utc = False` and no `timezone`.
        import tzlocal

        name = tzlocal.get_localzone_name()
    return str(name or zone)


def _moment(moment: dt.datetime | None) -> str | None:
    """Returns the time in ISO 8601. A time without a zone is UTC, as the beats store it."""
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _literal(prefix: str) -> str:
    """Returns a Redis pattern that matches the prefix literally."""
    return "".join(f"\\{letter}" if letter in "*?[]\\" else letter for letter in prefix)


def _fail(what: str, error: Exception) -> NoReturn:
    """Exits with one line: what failed, why, and in which file and line."""
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
    write(given.source, given.app)


def write(source: str, named: str) -> None:
    """Writes the entries of a source to standard output. `named`: the app, as `celery -A` takes it."""
    from celery.app.utils import find_app

    try:
        app: Any = find_app(named)
        # Import the modules with the tasks, so that the options of their decorators are known.
        app.loader.import_default_modules()
    except Exception as error:  # importing runs the app's own code
        _fail(f"no app {named!r}, named as for celery -A (proj, proj.celery:app)", error)
    name, read = SOURCES[source]
    try:
        entries = read(app)
    except Exception as error:  # any error of Django's settings, a database or a broker
        _fail(f"{source} of {named!r} can't be read", error)
    json.dump({"celeriac_dump": 1, "source": name, "entries": entries}, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
