"""What an empty system gets once: the five standard schedules, and a sample chat to look at.

Each is given once in a database's life, and that is remembered in it: what an operator changes or deletes
afterwards stays so (docs/decisions/standalone-first-start.md).
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from celeriac.embedder.v1 import messages_pb2, messages_pb2_grpc
from celeriac.scheduler.v1 import schedules_pb2, schedules_pb2_grpc
from google.protobuf import duration_pb2

from deploy.standalone.given import Given

SAMPLE_CHAT = Path(__file__).with_name("sample_chat.jsonl")
BATCH = 500
ROLES = {
    "user": messages_pb2.MessageRole.MESSAGE_ROLE_USER,
    "assistant": messages_pb2.MessageRole.MESSAGE_ROLE_ASSISTANT,
}


def standard_schedules(time_zone: str) -> list[schedules_pb2.Schedule]:
    """The five schedules that the platform's vectors and questions live by."""

    def schedule(
        name: str, crontab: str, task: str, queue: str, description: str, expires: int = 0, **kwargs: Any
    ) -> schedules_pb2.Schedule:
        sent = schedules_pb2.Task(name=task, queue=queue, kwargs_json=json.dumps(kwargs))
        if expires:
            sent.expires.CopyFrom(duration_pb2.Duration(seconds=expires))
        timing = schedules_pb2.Timing(crontab=schedules_pb2.Crontab(expression=crontab), time_zone=time_zone)
        return schedules_pb2.Schedule(
            name=f"schedules/{name}",
            task=sent,
            timing=timing,
            description=description,
            labels={"origin": "standard"},
        )

    rebuild = {"force_rebuild": False, "min_length": 5}
    return [
        schedule(
            "process-new-chat-vectors-hourly",
            "0 * * * *",
            "rebuild_chat_vectors",
            "ai_analysis",
            "Embeds what people wrote since the last run.",
            **rebuild,
            user_role="user",
        ),
        schedule(
            "process-assistant-vectors-periodic",
            "30 */6 * * *",
            "rebuild_chat_vectors",
            "ai_analysis",
            "Embeds what assistants answered since the last run.",
            **rebuild,
            user_role="assistant",
        ),
        schedule(
            "update-question-analytics-daily",
            "30 3 * * *",
            "precompute_question_classifications",
            "ai_analysis",
            "Groups what people ask by meaning, and ranks the groups.",
            expires=3600,
        ),
        schedule(
            "preload-vector-services-daily",
            "0 3 * * *",
            "preload_vector_services",
            "maintenance",
            "Loads model and vectors before the day's first search.",
        ),
        schedule(
            "cleanup-cache-daily",
            "0 2 * * *",
            "cleanup_cache",
            "maintenance",
            "Removes what is kept for speed only and is out of date.",
        ),
    ]


async def give(
    superuser_url: str, gateway: grpc.aio.Channel, time_zone: str, tell: Callable[[str], None]
) -> None:
    """Gives through the gateway, as any client would, what was not given yet."""
    async with Given.opened(superuser_url) as given:
        before = await given.all()
        await _give_schedules(given, before, gateway, time_zone, tell)
        if "sample chat" not in before:
            await _give_sample_chat(gateway, tell)
            await given.remember("sample chat")


async def _give_schedules(
    given: Given,
    before: set[str],
    gateway: grpc.aio.Channel,
    time_zone: str,
    tell: Callable[[str], None],
) -> None:
    # mypy-protobuf types a stub for asyncio apart; at run time they are one class.
    stub: Any = schedules_pb2_grpc.ScheduleServiceStub(gateway)
    for schedule in standard_schedules(time_zone):
        if schedule.name in before:
            continue
        try:
            await stub.CreateSchedule(schedules_pb2.CreateScheduleRequest(schedule=schedule), timeout=30)
            tell(f"first start: {schedule.name}, {schedule.timing.crontab.expression} in {time_zone}")
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise
        await given.remember(schedule.name)


async def _give_sample_chat(gateway: grpc.aio.Channel, tell: Callable[[str], None]) -> None:
    stub: Any = messages_pb2_grpc.MessageServiceStub(gateway)
    found = await stub.ListMessages(messages_pb2.ListMessagesRequest(page_size=1), timeout=30)
    if found.messages:
        return
    answer = await stub.IngestMessages(_requests(SAMPLE_CHAT, dt.datetime.now(dt.UTC)), timeout=120)
    tell(f"first start: a sample chat of {answer.created} messages")


async def _requests(path: Path, now: dt.datetime) -> AsyncIterator[messages_pb2.IngestMessagesRequest]:
    messages = sample_messages(path, now)
    while batch := list(itertools.islice(messages, BATCH)):
        yield messages_pb2.IngestMessagesRequest(messages=batch)


def sample_messages(path: Path, now: dt.datetime) -> Iterator[messages_pb2.Message]:
    """The messages of a JSON-lines file, dated back from `now` by their `minutes_ago`."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            one = json.loads(line)
            message = messages_pb2.Message(
                name=f"messages/{one['id']}",
                conversation=one["conversation"],
                role=ROLES[one["role"]],
                text=one["text"],
            )
            message.create_time.FromDatetime(now - dt.timedelta(minutes=one["minutes_ago"]))
            yield message
