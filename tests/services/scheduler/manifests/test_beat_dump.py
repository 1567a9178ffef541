"""Taking over from another beat: the real Celery, django-celery-beat and redbeat, dumped and imported."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import redis
from celeriac import beat_dump
from celeriac.scheduler.v1 import manifests_pb2 as pb
from sqlalchemy.engine import make_url

from tests.support.calls import fields_at_fault
from tests.support.servers import Valkey
from tests.support.yaml_text import read_yaml

APP = """
    import datetime as dt
    import os
    from decimal import Decimal
    from celery import Celery
    from celery.schedules import crontab, schedule, solar

    app = Celery("shop", broker=os.environ["BROKER"], set_as_current=True)
    app.conf.update(timezone="Europe/Berlin", task_default_queue="shop", result_backend="file:///tmp",
                    redbeat_redis_url=os.environ["BROKER"], redbeat_key_prefix="[shop]:",
                    task_routes={"video.*": {"queue": "video", "priority": 6}})

    @app.task(name="mail.send", queue="mail", expires=120)
    def send(): ...

    class Moon(schedule):
        pass

    app.conf.beat_schedule = {
        "every-30s": {"task": "mail.send", "schedule": 30.0, "args": ["all", 1], "kwargs": {"max": 5}},
        "Quarter Hourly!": {"task": "video.cut", "schedule": crontab(minute={0, 15, 30, 45}, hour="8-18/2"),
                            "options": {"priority": 3, "serializer": "json", "headers": {"a": "b", "n": 1}}},
        "daily": {"task": "count", "schedule": dt.timedelta(days=1), "relative": True,
                  "options": {"queue": "mine", "expires": dt.timedelta(hours=1), "time_limit": 60,
                              "soft_time_limit": 50, "countdown": 3}},
        "dusk": {"task": "count", "schedule": solar("dusk_civil", 52.5, 13.4),
                 "options": {"expires": dt.datetime(2030, 1, 1), "priority": 200}},
        "moon": {"task": "count", "schedule": Moon(30)},
        "decimal": {"task": "count", "schedule": 10, "args": [Decimal(1)]},
        "letters": {"task": "count", "schedule": 10, "args": ("daily")},
        "fast": {"task": "count", "schedule": 0.1},
        "routed": {"task": "count", "schedule": 60, "options": {"exchange": "x", "routing_key": "a.b"}},
    }
"""
DJANGO = """
    import os
    SECRET_KEY = "x"
    INSTALLED_APPS = ["django_celery_beat"]
    USE_TZ = True
    TIME_ZONE = "America/New_York"
    DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["NAME"],
                             "HOST": os.environ["HOST"], "USER": os.environ["USER_NAME"]}}
"""
ROWS = """
    import datetime as dt, json
    import django
    django.setup()
    from django.core.management import call_command
    call_command("migrate", verbosity=0)
    from django_celery_beat.models import *
    moment = dt.datetime(2030, 5, 1, 12, tzinfo=dt.timezone.utc)
    half_hour = IntervalSchedule.objects.create(every=30, period="minutes")
    morning = CrontabSchedule.objects.create(minute="0", hour="7", day_of_week="1-5", timezone="Asia/Tokyo")
    PeriodicTask.objects.create(name="half", task="count", interval=half_hour, args='[1, "a"]',
        kwargs='{"k": null}', queue="q", expire_seconds=90, headers='{"tenant": "acme"}', priority=4,
        description="each half hour", start_time=moment, total_run_count=7, last_run_at=moment)
    PeriodicTask.objects.create(name="Morning", task="mail.send", crontab=morning, enabled=False,
        expires=moment, one_off=True, priority=77)
    PeriodicTask.objects.create(name="noon", task="count",
        solar=SolarSchedule.objects.create(event="solar_noon", latitude="25.03", longitude="121.56"))
    PeriodicTask.objects.create(name="once", task="count", one_off=True, exchange="x", queue="q",
        routing_key="r", clocked=ClockedSchedule.objects.create(clocked_time=moment))
    PeriodicTask.objects.create(name="fortnightly", task="count",
        interval=IntervalSchedule.objects.create(every=5, period="fortnights"))
    PeriodicTask.objects.create(name="micro", task="count",
        interval=IntervalSchedule.objects.create(every=5, period="microseconds"))
    PeriodicTask.objects.filter(pk=PeriodicTask.objects.create(
        name="broken", task="count", interval=half_hour).pk).update(args="[1,")
"""
KEYS = """
    import datetime as dt
    from celery.schedules import crontab, schedule
    from redbeat import RedBeatSchedulerEntry
    from redbeat.schedules import rrule
    from redbeat.schedulers import get_redis
    from shop import app
    def save(name, task, when, **more):
        RedBeatSchedulerEntry(name, task, when, app=app, **more).save()
    save("every", "video.cut", schedule(45), args=[1], kwargs={"k": "v"})
    save("night", "count", crontab(minute="5", hour="2", day_of_week="sat,sun"), options={"queue": "n"})
    save("off", "count", schedule(60, relative=True), enabled=False)
    save("rule", "count", rrule("MINUTELY", dt.datetime(2030, 1, 1, tzinfo=dt.timezone.utc), interval=20))
    ran = RedBeatSchedulerEntry("ran", "count", schedule(3600), app=app).save()
    next(ran)
    import json
    get_redis(app).hset("[shop]:bad", "definition", "{no json")
    every = {"__type__": "interval", "every": 5, "relative": False}
    whole = {"name": "x", "task": "count", "schedule": every, "args": [], "kwargs": {}, "options": {}}
    for number, damage in enumerate(({"args": 5}, {"kwargs": [1]}, {"options": [1]}, {"task": None})):
        get_redis(app).hset(f"[shop]:bad-{number}", "definition", json.dumps(whole | damage))
    get_redis(app).hset("[shop]:bad-4", "definition", json.dumps(whole))
    get_redis(app).hset("[shop]:bad-4", "meta", json.dumps({"last_run_at": "x"}))
    get_redis(app).hset("[shop]:copy", "definition", json.dumps(whole | {"name": "every"}))
    get_redis(app).hset("[other]:x", "definition", "{}")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a user's project looks like: an app, and Django's settings."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "shop.py").write_text(textwrap.dedent(APP))
    (folder / "shop_settings.py").write_text(textwrap.dedent(DJANGO))
    return folder


@pytest.fixture(scope="module")
def environment(folder: Path, database_url: str, valkey: Valkey) -> dict[str, str]:
    valkey.flush()
    url = make_url(database_url)
    return {
        "PATH": os.environ["PATH"],
        "BROKER": f"redis://{valkey.host}:{valkey.port}/5",
        "DJANGO_SETTINGS_MODULE": "shop_settings",
        "NAME": str(url.database),
        "HOST": str(url.query.get("host") or url.host),
        "USER_NAME": str(url.username),
    }


def run(folder: Path, environment: dict[str, str], *command: str) -> str:
    ran = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def dump(folder: Path, environment: dict[str, str], source: str) -> str:
    return run(folder, environment, "-m", "celeriac.beat_dump", source, "shop")


def imported(manifests: Any, text: str, **how: Any) -> tuple[pb.ImportSchedulesResponse, dict[str, Any]]:
    """The answer, and the entries of its manifest by their id."""
    answer = manifests.ImportSchedules(pb.ImportSchedulesRequest(dump=text, **how))
    return answer, {each.pop("id"): each for each in read_yaml(answer.manifest)["schedules"]}


def not_carried(answer: pb.ImportSchedulesResponse) -> dict[tuple[str, str], str]:
    return {(note.entry, note.field): note.reason for note in answer.not_carried}


def is_imported_once(manifests: Any, text: str, origin: str, **how: Any) -> None:
    """First only told, then done, then nothing is left to do; and what was stored is what was told."""
    how["labels"] = {"origin": origin}
    told, entries = imported(manifests, text, validate_only=True, **how)
    assert told.difference.create_count == len(entries)
    done, _ = imported(manifests, text, etag=told.difference.etag, **how)
    assert done.difference.text == told.difference.text
    again, _ = imported(manifests, text, **how)
    assert (again.difference.unchanged_count, list(again.difference.changes)) == (len(entries), [])
    stored = manifests.ExportSchedules(pb.ExportSchedulesRequest(labels=[f"origin={origin}"])).manifest
    assert len(read_yaml(stored)["schedules"]) == len(entries)


def test_a_beat_schedule_is_taken_over(manifests: Any, folder: Path, environment: dict[str, str]) -> None:
    text = dump(folder, environment, "beat-schedule")
    # One entry tells an exchange and a routing key alone.
    _, without = imported(manifests, text, validate_only=True)
    assert "routed" not in without
    queue = "queues/shop"
    answer, found = imported(manifests, text, validate_only=True, default_queue=queue)
    zone = "Europe/Berlin"
    assert found == {
        "every-30s": {
            "task": "mail.send",
            "args": ["all", 1],
            "kwargs": {"max": 5},
            # Of the task's decorator.
            "queue": "mail",
            "expires": "2m",
            "every": "30s",
            "zone": zone,
        },
        "quarter-hourly": {
            "description": "Quarter Hourly!",
            "task": "video.cut",
            # Of the app's routes; the entry's own priority comes first.
            "queue": "video",
            "priority": 3,
            "headers": {"a": "b"},
            "crontab": "0,15,30,45 8-18/2 * * *",
            "zone": zone,
        },
        "daily": {
            "task": "count",
            "queue": "mine",
            "expires": "1h",
            "soft_time_limit": "50s",
            "time_limit": "1m",
            "every": "1d",
            "anchor": "1999-12-31T23:00:00Z",
            "zone": zone,
        },
        "dusk": {
            "task": "count",
            "queue": "shop",
            "solar": {"event": "dusk_civil", "latitude": 52.5, "longitude": 13.4},
            "zone": zone,
        },
        "routed": {"task": "count", "queue": "shop", "every": "1m", "zone": zone},
        # Beat adds this by itself for result backends that forget nothing.
        "celery.backend_cleanup": {
            "task": "celery.backend_cleanup",
            "queue": "shop",
            "expires": "12h",
            "crontab": "0 4 * * *",
            "zone": zone,
        },
    }
    notes = not_carried(answer)
    assert set(notes) == {
        ("Quarter Hourly!", "name"),
        ("Quarter Hourly!", "options.serializer"),
        ("Quarter Hourly!", "options.headers.n"),
        ("daily", "schedule.relative"),
        ("daily", "options.countdown"),
        ("dusk", "options.expires"),
        ("dusk", "options.priority"),
        ("moon", ""),
        ("decimal", ""),
        ("letters", ""),
        ("fast", ""),
        ("routed", "options.queue"),
    }
    assert "Moon" in notes["moon", ""] or "30" in notes["moon", ""]
    assert "Decimal" in notes["decimal", ""]
    assert "from 1s" in notes["fast", ""]
    is_imported_once(manifests, text, "beat", default_queue=queue)


def test_django_celery_beats_tables_are_taken_over(
    manifests: Any, folder: Path, environment: dict[str, str]
) -> None:
    run(folder, environment, "-c", textwrap.dedent(ROWS))
    text = dump(folder, environment, "django")
    answer, found = imported(manifests, text, validate_only=True)
    paused = {"paused": True, "pause_note": "disabled in the beat that it was taken over from"}
    moment = "2030-05-01T12:00:00Z"
    assert found.pop("celery.backend_cleanup", {}).get("task") in (None, "celery.backend_cleanup")
    assert found == {
        "half": {
            "description": "each half hour",
            "task": "count",
            "args": [1, "a"],
            "kwargs": {"k": None},
            "queue": "q",
            "priority": 4,
            "expires": "1m30s",
            "headers": {"tenant": "acme", "periodic_task_name": "half"},
            "every": "30m",
            # It goes on from its last run.
            "anchor": moment,
            "zone": "Europe/Berlin",
            "start": moment,
        },
        "morning": {
            "description": "Morning",
            "task": "mail.send",
            "queue": "mail",
            "headers": {"periodic_task_name": "Morning"},
            # Each crontab has a zone of its own there.
            "crontab": "0 7 * * 1-5",
            "zone": "Asia/Tokyo",
            "end": moment,
            "max_runs": 1,
            **paused,
        },
        "noon": {
            "task": "count",
            "queue": "shop",
            "headers": {"periodic_task_name": "noon"},
            "solar": {"event": "solar_noon", "latitude": 25.03, "longitude": 121.56},
            "zone": "Europe/Berlin",
        },
        "once": {
            "task": "count",
            "queue": "q",
            "headers": {"periodic_task_name": "once"},
            "once": moment,
            "zone": "Europe/Berlin",
        },
    }
    notes = not_carried(answer)
    assert set(notes) == {
        ("half", "total_run_count"),
        ("Morning", "name"),
        ("Morning", "options.priority"),
        ("once", "options.exchange"),
        ("once", "options.routing_key"),
        ("fortnightly", ""),
        ("micro", ""),
        ("broken", ""),
    }
    assert "args" in notes["broken", ""]
    is_imported_once(manifests, text, "django")


def test_redbeats_keys_are_taken_over(manifests: Any, folder: Path, environment: dict[str, str]) -> None:
    run(folder, environment, "-c", textwrap.dedent(KEYS))
    text = dump(folder, environment, "redbeat")
    answer, found = imported(manifests, text, validate_only=True)
    zone = "Europe/Berlin"
    # Redbeat writes down a last run when it makes an entry.
    ran_at = [dt.datetime.fromisoformat(found[name].pop("anchor")) for name in ("every", "ran")]
    assert all(dt.timedelta() < dt.datetime.now(dt.UTC) - each < dt.timedelta(minutes=5) for each in ran_at)
    assert found == {
        "every": {
            "task": "video.cut",
            "args": [1],
            "kwargs": {"k": "v"},
            "queue": "video",
            "priority": 6,
            "every": "45s",
            "zone": zone,
        },
        # Redbeat keeps no zone: its crontabs are of the app's.
        "night": {"task": "count", "queue": "n", "crontab": "5 2 * * sat,sun", "zone": zone},
        "off": {
            "task": "count",
            "queue": "shop",
            "every": "1m",
            "anchor": "1999-12-31T23:00:00Z",
            "zone": zone,
            "paused": True,
            "pause_note": "disabled in the beat that it was taken over from",
        },
        "ran": {"task": "count", "queue": "shop", "every": "1h", "zone": zone},
        "shop-copy": {
            "description": "[shop]:copy",
            "task": "count",
            "queue": "shop",
            "every": "5s",
            "zone": zone,
        },
    }
    notes = not_carried(answer)
    assert set(notes) == {
        ("off", "schedule.relative"),
        ("rule", ""),
        ("ran", "total_run_count"),
        *((f"[shop]:{key}", "name") for key in ("copy", "bad-3")),
        ("[shop]:bad", ""),
        *((f"[shop]:bad-{number}", "") for number in range(5)),
    }
    assert "rrule" in notes["rule", ""]
    is_imported_once(manifests, text, "redbeat")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "beat-schedule nope",
            "no app 'nope', named as for celery -A (proj, proj.celery:app): ModuleNotFound",
        ),
        ("beat-schedule raising", "RuntimeError: boom (at "),
        ("django shop", "django of 'shop' can't be read: ImproperlyConfigured: "),
        ("redbeat shop", "redbeat of 'shop' can't be read: ConnectionError: "),
    ],
)
def test_what_can_not_be_read_is_told_in_a_line(
    folder: Path, environment: dict[str, str], words: str, told: str
) -> None:
    (folder / "raising.py").write_text("raise RuntimeError('boom')\n")
    away = {**environment, "BROKER": "redis://127.0.0.1:1/0"}
    del away["DJANGO_SETTINGS_MODULE"]
    command = [sys.executable, "-m", "celeriac.beat_dump", *words.split()]
    ran = subprocess.run(command, env=away, cwd=folder, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("beat_dump: ") and told in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_tool_can_be_copied_and_needs_no_more_than_celery(
    folder: Path, environment: dict[str, str]
) -> None:
    copied = folder / "copied" / "beat_dump.py"
    copied.parent.mkdir()
    copied.write_bytes(Path(beat_dump.__file__).read_bytes())
    assert run(folder, environment, str(copied), "beat-schedule", "shop") == dump(
        folder, environment, "beat-schedule"
    )
    lines = re.findall(r"^ *(?:import|from) (\w+)", copied.read_text(), re.MULTILINE)
    # tzlocal comes with Celery.
    assert set(lines) - sys.stdlib_module_names == {"celery", "tzlocal"}


def test_the_old_beats_keys_are_only_read(folder: Path, environment: dict[str, str], valkey: Valkey) -> None:
    with redis.Redis(valkey.host, valkey.port, db=5) as client:
        client.hset("[shop]:kept", "definition", "{}")
        before = {key: client.dump(key) for key in client.scan_iter()}
        dump(folder, environment, "redbeat")
        assert {key: client.dump(key) for key in client.scan_iter()} == before


def test_what_is_no_dump_is_refused(manifests: Any) -> None:
    dump = {
        "celeriac_dump": 1,
        "source": "redbeat",
        "entries": [{"name": "a"}, {"name": "a"}, {"name": 1}, 2],
    }
    for text, fields in (
        ("", ["dump"]),
        ("{}", ["dump"]),
        ("{", ["dump"]),
        (json.dumps(dump | {"source": "cron"}), ["dump.source"]),
        (json.dumps(dump | {"entries": {}}), ["dump.entries"]),
        (json.dumps(dump), ["dump.entries[1].name", "dump.entries[2].name", "dump.entries[3].name"]),
    ):
        found = fields_at_fault(manifests.ImportSchedules, pb.ImportSchedulesRequest(dump=text))
        assert found[: len(fields)] == fields, text
