"""What the names in a run say."""

from __future__ import annotations

from celeriac.scheduler.v1 import schedules_pb2 as pb


def schedule_of_run(run: pb.Run) -> str:
    """ "schedules/{id}" of a run's name."""
    return run.name.partition("/runs/")[0]


def task_id_of(run: pb.Run) -> str:
    """The id under which Celery knows the run's task; empty if the run was skipped."""
    return run.task.removeprefix("tasks/")
