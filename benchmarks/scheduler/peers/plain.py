"""celery beat as it comes: entries in the application's module, PersistentScheduler on a file of its own."""

from __future__ import annotations

from benchmarks.scheduler.peers.application import application
from benchmarks.scheduler.peers.entries import QUEUE, TASK, entries

app = application()
# Nothing has to be stored before the beat starts: it reads this.
app.conf.beat_schedule = {
    entry.name: {
        "task": TASK,
        "schedule": entry.schedule(app),
        "kwargs": {"number": entry.number},
        "options": {"queue": QUEUE},
        "last_run_at": entry.last_run_at,
    }
    for entry in entries()
}
