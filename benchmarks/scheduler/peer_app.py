"""The peer as its users have it: a Celery application with django-celery-beat on Django.

Configured by the environment: BENCH_DATABASE_URL, BENCH_BROKER_URL, BENCH_QUEUE.
`celery -A benchmarks.scheduler.peer_app
beat` runs it; `python -m benchmarks.scheduler.peer_app N` makes its tables, with N entries that are all due.
Set up for its best rate: database connections are kept, nothing is logged, no events are sent.
"""

from __future__ import annotations

import datetime as dt
import importlib
import os
import sys
from typing import Any

from celery import Celery
from sqlalchemy.engine import make_url


def configure_django() -> None:
    # By name: the packages of the peers are only there where benchmarks run.
    conf: Any = importlib.import_module("django.conf")
    url = make_url(os.environ["BENCH_DATABASE_URL"])
    conf.settings.configure(
        INSTALLED_APPS=["django_celery_beat"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": url.database,
                "USER": url.username,
                "HOST": url.query.get("host") or url.host,
                "PORT": url.port or "",
                "CONN_MAX_AGE": None,
            }
        },
        USE_TZ=True,
        TIME_ZONE="UTC",
        DEBUG=False,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )
    importlib.import_module("django").setup()


def make_entries(count: int) -> None:
    """Hourly entries that last ran two hours ago."""
    importlib.import_module("django.core.management").call_command("migrate", verbosity=0)
    models: Any = importlib.import_module("django_celery_beat.models")
    models.PeriodicTask.objects.all().delete()
    interval, _ = models.IntervalSchedule.objects.get_or_create(every=1, period="hours")
    before = dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)
    models.PeriodicTask.objects.bulk_create(
        models.PeriodicTask(
            name=f"entry-{number}",
            task="bench.count",
            interval=interval,
            queue=os.environ["BENCH_QUEUE"],
            kwargs=f'{{"number": {number}}}',
            last_run_at=before,
        )
        for number in range(count)
    )
    models.PeriodicTasks.update_changed()


configure_django()
app = Celery("peer", broker=os.environ["BENCH_BROKER_URL"])
app.conf.update(
    enable_utc=True,
    timezone="UTC",
    beat_scheduler="django_celery_beat.schedulers:DatabaseScheduler",
    task_ignore_result=True,
)

if __name__ == "__main__":
    make_entries(int(sys.argv[1]))
