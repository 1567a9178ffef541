"""django-celery-beat: entries in PostgreSQL, the database connection kept."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterable
from functools import cache
from typing import Any

from benchmarks.scheduler.peers.application import LOOP_SECONDS, application, main
from benchmarks.scheduler.peers.entries import QUEUE, TASK, Entry


def configured_models() -> Any:
    # By name: Django has no types, and models exist only once it is configured.
    conf: Any = importlib.import_module("django.conf")
    conf.settings.configure(
        INSTALLED_APPS=["django_celery_beat"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "CONN_MAX_AGE": None,
                **json.loads(os.environ["BENCH_DJANGO_DATABASE"]),
            }
        },
        USE_TZ=True,
        TIME_ZONE="UTC",
        DEBUG=False,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )
    importlib.import_module("django").setup()
    return importlib.import_module("django_celery_beat.models")


models = configured_models()
app = application(
    beat_scheduler="django_celery_beat.schedulers:DatabaseScheduler", beat_max_loop_interval=LOOP_SECONDS
)


def make(wanted: Iterable[Entry]) -> None:
    importlib.import_module("django.core.management").call_command("migrate", verbosity=0)
    models.PeriodicTask.objects.all().delete()
    models.CrontabSchedule.objects.all().delete()
    stored = list(wanted)
    crontabs = _stored_crontabs({entry.pattern for entry in stored if entry.pattern})
    models.PeriodicTask.objects.bulk_create(
        models.PeriodicTask(
            name=entry.name,
            task=TASK,
            queue=QUEUE,
            kwargs=f'{{"number": {entry.number}}}',
            last_run_at=entry.last_run_at,
            crontab=crontabs[entry.pattern] if entry.pattern else None,
            interval=None if entry.pattern else _hourly(),
        )
        for entry in stored
    )
    models.PeriodicTasks.update_changed()


def edit(entry: Entry) -> None:
    task = models.PeriodicTask.objects.get(name=entry.name)
    task.crontab, task.interval = None, _hourly()
    task.save()


def _stored_crontabs(patterns: Iterable[str]) -> dict[str, Any]:
    """Entries of one pattern share its row."""
    names = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
    rows = {
        pattern: models.CrontabSchedule(timezone="UTC", **dict(zip(names, pattern.split(), strict=True)))
        for pattern in patterns
    }
    models.CrontabSchedule.objects.bulk_create(rows.values())
    return rows


@cache
def _hourly() -> Any:
    return models.IntervalSchedule.objects.get_or_create(every=1, period="hours")[0]


if __name__ == "__main__":
    main(make, edit)
