"""What an empty system gets once: the five standard schedules, and a sample chat to look at.

Each is given to a database once, and the database has a record of it (given.py): what an operator changes or
deletes afterwards stays so (docs/decisions/standalone-first-start.md).
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import grpc.aio
import yaml
from celeriac.embedder.v1 import messages_pb2, messages_pb2_grpc
from celeriac.scheduler.v1 import manifests_pb2, manifests_pb2_grpc

from deploy.standalone.given import Given

STANDARD_SCHEDULES = Path(__file__).with_name("standard_schedules.yaml")
# Recorded for a schedule before it is created: after an interrupted start it shows how far that may have got.
BEGUN = "begun "
# Recorded with them: the request id and the etag of the request that creates them.
REQUEST = "request "
SAMPLE_CHAT = Path(__file__).with_name("sample_chat.jsonl")
BATCH = 500
Entries: TypeAlias = Mapping[str, Mapping[str, Any]]
ROLES = {
    "user": messages_pb2.MessageRole.MESSAGE_ROLE_USER,
    "assistant": messages_pb2.MessageRole.MESSAGE_ROLE_ASSISTANT,
}


async def give(
    owner_url: str,
    gateway: grpc.aio.Channel,
    time_zone: str,
    tell: Callable[[str], None],
    queue_prefix: str = "",
) -> None:
    """Creates what was not given yet, through the gateway, as any client would."""
    async with Given.opened(owner_url) as given:
        await give_schedules(given, gateway, time_zone, tell, queue_prefix)
        if "sample chat" not in await given.all():
            await _give_sample_chat(gateway, tell)
            await given.remember("sample chat")


async def give_schedules(
    given: Given,
    gateway: grpc.aio.Channel,
    time_zone: str,
    tell: Callable[[str], None],
    queue_prefix: str = "",
) -> None:
    """Creates the standard schedules that were not given yet, all in one transaction of the scheduler.

    A schedule whose name exists already stays as it is.
    """
    before = await given.all()
    standard = standard_schedules(queue_prefix).items()
    entries = {name: entry for name, entry in standard if name not in before}
    if not entries:
        return
    begun = {name: entry for name, entry in entries.items() if BEGUN + name in before}
    interrupted = next((item for item in before if item.startswith(REQUEST)), None)
    if begun and interrupted:
        created = await _carried_out_once(gateway, begun, interrupted)
    else:
        created = await _created(given, gateway, entries, set(begun))
    for name in created:
        tell(f"first start: {name}, {entries[name]['crontab']} in {time_zone}")
    await given.remember(*entries)
    await given.forget(REQUEST)


async def _created(
    given: Given, gateway: grpc.aio.Channel, entries: Entries, begun: set[str]
) -> Sequence[str]:
    """Creates those that are missing, and returns their names."""
    missing, etag = await _missing(gateway, entries)
    if not begun <= missing:
        # The interrupted start of an earlier release had created all that it began: those that are missing
        # were deleted since.
        missing -= begun
    wanted = {name: entry for name, entry in entries.items() if name in missing}
    if wanted:
        if wanted != entries:
            _, etag = await _missing(gateway, wanted)
        request_id = str(uuid.uuid4())
        await given.remember(f"{REQUEST}{request_id} {etag}", *(BEGUN + name for name in wanted))
        await _apply(gateway, wanted, etag=etag, request_id=request_id)
    return list(wanted)


async def _carried_out_once(gateway: grpc.aio.Channel, begun: Entries, interrupted: str) -> Sequence[str]:
    """Sends the request of an interrupted start again, which has no effect if it had one; what it created."""
    _, request_id, etag = interrupted.split(" ")
    before, _ = await _missing(gateway, begun)
    try:
        await _apply(gateway, begun, etag=etag, request_id=request_id)
    except grpc.aio.AioRpcError as error:
        # Somebody has changed these schedules since: they stay as they are.
        if error.code() is not grpc.StatusCode.ABORTED:
            raise
    after, _ = await _missing(gateway, begun)
    return sorted(before - after)


def standard_schedules(queue_prefix: str = "") -> dict[str, dict[str, Any]]:
    """Returns the entries of the manifest, by the names of the schedules, on the queues of our workers."""
    manifest = yaml.safe_load(STANDARD_SCHEDULES.read_text(encoding="utf-8"))
    entries = [{**entry, "queue": queue_prefix + entry["queue"]} for entry in manifest["schedules"]]
    return {f"schedules/{entry['id']}": entry for entry in entries}


async def _missing(gateway: grpc.aio.Channel, entries: Entries) -> tuple[set[str], str]:
    """Returns the names of the schedules that Apply would create, and the etag of exactly this difference."""
    found = await _apply(gateway, entries, validate_only=True)
    created = {change.name for change in found.changes if change.kind == manifests_pb2.CHANGE_KIND_CREATE}
    return created, found.etag


async def _apply(gateway: grpc.aio.Channel, entries: Entries, **how: Any) -> manifests_pb2.Difference:
    # mypy-protobuf has a type of its own for asyncio's stubs; at run time there is one class.
    stub: Any = manifests_pb2_grpc.ManifestServiceStub(gateway)
    manifest = json.dumps({"schedules": list(entries.values())})
    request = manifests_pb2.ApplySchedulesRequest(manifest=manifest, **how)
    difference: manifests_pb2.Difference = (await stub.ApplySchedules(request, timeout=30)).difference
    return difference


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
    """Yields the messages of a JSON-lines file, dated `minutes_ago` before `now`."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            one = json.loads(line)
            message = messages_pb2.Message(
                name=f"messages/{one['id']}",
                conversation=f"conversations/{one['conversation']}",
                role=ROLES[one["role"]],
                text=one["text"],
            )
            message.create_time.FromDatetime(now - dt.timedelta(minutes=one["minutes_ago"]))
            yield message
