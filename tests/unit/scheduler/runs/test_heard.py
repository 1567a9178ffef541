"""What the scheduler makes of what the monitor knows of a task."""

from __future__ import annotations

import pytest
from celeriac.monitor.v1 import tasks_pb2 as pb

from services.scheduler.runs.monitor_client import heard_in


@pytest.mark.parametrize(
    ("state", "worker", "understood", "ended"),
    [
        (pb.TASK_STATE_SUCCESS, "workers/celery@host~7", "SUCCESS", True),
        (pb.TASK_STATE_STARTED, "workers/celery@host~7", "STARTED", False),
        (pb.TASK_STATE_ENDED, "workers/celery@host~7", "ENDED", True),
        (pb.TASK_STATE_ENDED, "", "ENDED", True),
        (pb.TASK_STATE_ORPHANED, "workers/celery@host~7", "ORPHANED", True),
        # Its run is to be sent again, or marked as lost.
        (pb.TASK_STATE_LOST, "", "LOST", False),
        (pb.TASK_STATE_REVOKED, "", "REVOKED", True),
    ],
)
def test_a_task_that_was_lost_with_the_broker_has_not_ended_and_one_whose_worker_is_gone_has(
    state: pb.TaskState, worker: str, understood: str, ended: bool
) -> None:
    heard = heard_in(pb.Task(name="tasks/one", state=state, worker=worker))
    assert (heard.state, heard.ended) == (understood, ended)
