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
        # Its message may be lost with the broker.
        (pb.TASK_STATE_ENDED, "", "PENDING", False),
        (pb.TASK_STATE_REVOKED, "", "REVOKED", True),
    ],
)
def test_what_no_worker_was_heard_to_receive_is_not_taken_for_an_end_that_nobody_told(
    state: pb.TaskState, worker: str, understood: str, ended: bool
) -> None:
    heard = heard_in(pb.Task(name="tasks/one", state=state, worker=worker))
    assert (heard.state, heard.ended) == (understood, ended)
