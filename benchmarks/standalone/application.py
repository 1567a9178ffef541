"""The Celery application of the peers: one task that never runs, and one schedule far away."""

from __future__ import annotations

import os

from celery import Celery

BROKER = "CELERIAC_BENCHMARK_BROKER"

app = Celery("idle", broker=os.environ.get(BROKER, ""), backend=os.environ.get(BROKER, ""))
# As the platform's own worker: events for whoever watches.
app.conf.update(worker_send_task_events=True, worker_hijack_root_logger=False)
app.conf.beat_schedule = {"daily": {"task": "nothing", "schedule": 86_400.0}}


@app.task(name="nothing")
def nothing() -> None:
    """Is never due while the benchmark runs."""
