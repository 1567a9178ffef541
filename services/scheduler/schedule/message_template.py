"""The Celery messages of a schedule's runs."""

from __future__ import annotations

import datetime as dt

import orjson

from services.kernel.celery_message import (
    OF_A_CALLED_RUN,
    Message,
    check_seconds,
    content_of,
    expiry,
    frame_of,
)
from services.scheduler.schedule.definition import Task


class MessageTemplate:
    """What all messages of one schedule have in common. Once it is made, making a message can't fail.

    Raises `Unreadable`, with the name of the field at fault, for a task that the API would have refused.
    """

    __slots__ = ("_content", "_expires", "_frame", "_of_frame")

    def __init__(self, task: Task) -> None:
        headers = orjson.dumps(dict(task.headers)).decode() if task.headers else "{}"
        check_seconds("expires", task.expires)
        limits = task.soft_time_limit, task.time_limit
        self._of_frame = task.name, task.queue, task.priority, *limits, headers
        self._frame = frame_of(*self._of_frame)
        self._content = content_of(task.args_json, task.kwargs_json)
        self._expires = task.expires

    def message(
        self, task_id: str, due: dt.datetime, now: dt.datetime, run_name: str, request_id: str = ""
    ) -> Message:
        """Returns the message of one run. `due`: the time from which its time to expire counts.

        `request_id`: of the call that asked for the run; empty if it was due.
        """
        frame = frame_of(*self._of_frame, OF_A_CALLED_RUN) if request_id else self._frame
        expires = expiry(self._expires, due)
        return frame.message(task_id, self._content, expires, now, run_name, request_id)
