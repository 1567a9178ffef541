"""States of the application's own, which a task tells by events: `self.send_event("task-progress")`.

The type of the event names the state, as in Celery's own table of tasks (celery/events/state.py): the event
"task-progress" tells the state "PROGRESS". Such an event comes from the process of the pool that runs the
task: it names the worker's hostname, and a process id that is no worker's.

`self.update_state(state="PROGRESS")` is something else: it writes to the result backend, and sends no event.
"""

from __future__ import annotations

from services.monitor.tasks.tasks import MOST_NAME, TIME_OF_TYPE, TaskState
from services.monitor.tasks.values import shortened

PREFIX = "task-"
# Celery's own, which are no states of the application.
_CELERYS = frozenset({*TIME_OF_TYPE, "task-cancelled"})
_SHOWN_IN = frozenset({TaskState.RECEIVED, TaskState.STARTED, TaskState.ENDED, TaskState.ORPHANED})


def custom_state_of(event_type: str) -> str:
    """Returns the state that an event of the type tells: "PROGRESS" for "task-progress". Empty: none."""
    if not event_type.startswith(PREFIX) or event_type in _CELERYS:
        return ""
    return shortened(event_type.removeprefix(PREFIX).upper(), MOST_NAME)


def shown_in(state: TaskState, *, of_this_try: bool) -> bool:
    """Whether a custom state is still true of a task in this state.

    `of_this_try`: it was told after the task was received last. The worker may tell that it has started the
    task when the task has told of itself already.
    """
    return of_this_try and state in _SHOWN_IN
