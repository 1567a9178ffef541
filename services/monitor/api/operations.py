"""The servicer of OperationService, for the operations of all services."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import time
import uuid
from collections.abc import AsyncIterator, Sequence

from celeriac.operations.v1 import operations_pb2 as pb
from celeriac.operations.v1 import operations_pb2_grpc

from services.kernel.durations import span_in
from services.kernel.grpc.enums import from_wire
from services.kernel.grpc.operations import STATES, operation_to
from services.kernel.grpc.wire import Context
from services.kernel.identity import current_subject
from services.kernel.operations import Operation
from services.kernel.pages import (
    Place,
    decode_place,
    encode_place,
    invalid_page_token,
    next_page_token,
    page_size,
)
from services.kernel.sessions import Sessions
from services.kernel.validation import Faults
from services.monitor.operations.store_operations import OperationFilter, OperationStore
from services.monitor.operations.watching import Cursor, Watching, decode_cursor
from services.monitor.pace import USUAL, Pace

NAME = re.compile(r"operations/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
EXAMPLE = "operations/6f1c2a52-8a1e-4b0f-9d6e-2f7f3c1f0a11"
WAIT, MOST_WAIT = dt.timedelta(seconds=30), dt.timedelta(seconds=60)
NO_TIME = dt.timedelta(0)
STATES_FROM_WIRE = from_wire(STATES)
MOST_VALUES, MOST_NAME = 20, 100


class OperationApi(operations_pb2_grpc.OperationServiceServicer):
    def __init__(
        self, sessions: Sessions, watching: Watching[pb.WatchOperationsResponse], pace: Pace = USUAL
    ) -> None:
        self._sessions = sessions
        self._watching = watching
        self._pace = pace

    async def GetOperation(
        self, request: pb.GetOperationRequest, context: Context
    ) -> pb.GetOperationResponse:
        operation = await self._get(_id_in(request.name))
        return pb.GetOperationResponse(operation=operation_to(operation))

    async def ListOperations(
        self, request: pb.ListOperationsRequest, context: Context
    ) -> pb.ListOperationsResponse:
        faults, size = Faults(), page_size(request.page_size)
        wanted = _filter_in(request, faults)
        faults.raise_any()
        before = _position(request.page_token)
        async with self._sessions.reading() as session:
            found = await OperationStore(session).list(wanted, before, size + 1)
        return pb.ListOperationsResponse(
            operations=map(operation_to, found[:size]),
            next_page_token=next_page_token(
                found, size, lambda last: encode_place((last.created_at, last.id))
            ),
        )

    async def CancelOperation(
        self, request: pb.CancelOperationRequest, context: Context
    ) -> pb.CancelOperationResponse:
        operation_id = _id_in(request.name)
        async with self._sessions.transaction() as session:
            operation = await OperationStore(session).request_cancel(operation_id, current_subject())
        return pb.CancelOperationResponse(operation=operation_to(operation))

    async def WaitOperation(
        self, request: pb.WaitOperationRequest, context: Context
    ) -> pb.WaitOperationResponse:
        operation_id, deadline = _id_in(request.name), time.monotonic() + _timeout(request)
        operation = await self._get(operation_id)
        while not operation.state.ended and time.monotonic() < deadline:
            await asyncio.sleep(self._pace.operation_look)
            operation = await self._get(operation_id)
        return pb.WaitOperationResponse(operation=operation_to(operation))

    async def WatchOperations(
        self, request: pb.WatchOperationsRequest, context: Context
    ) -> AsyncIterator[pb.WatchOperationsResponse]:
        faults = Faults()
        wanted = OperationFilter(
            _texts(request.owners, "owners", "embedder", faults),
            _texts(request.kinds, "kinds", "rebuild_chat_vectors", faults),
        )
        faults.raise_any()
        async for message in self._watching.watch(wanted, decode_cursor(request.cursor)):
            yield message

    async def _get(self, operation_id: str) -> Operation:
        async with self._sessions.reading() as session:
            return await OperationStore(session).get(operation_id)


def watch_response_to(
    operation: Operation | None, cursor: Cursor, left_out: int
) -> pb.WatchOperationsResponse:
    return pb.WatchOperationsResponse(
        cursor=cursor.encode(),
        left_out_count=left_out,
        operation=operation_to(operation) if operation else None,
    )


def _id_in(name: str) -> str:
    faults = Faults()
    fault = f"is {name[:100]!r}, not the name of an operation"
    faults.unless(NAME.fullmatch(name) is not None, "name", fault, EXAMPLE)
    faults.raise_any()
    return name.removeprefix("operations/")


def _filter_in(request: pb.ListOperationsRequest, faults: Faults) -> OperationFilter:
    owners = _texts(request.owners, "owners", "embedder", faults)
    kinds = _texts(request.kinds, "kinds", "rebuild_chat_vectors", faults)
    for position, state in enumerate(request.states):
        fault = f"is {state}, not an OperationState"
        example = "OPERATION_STATE_RUNNING"
        faults.unless(state in STATES_FROM_WIRE, f"states[{position}]", fault, example)
    known = (STATES_FROM_WIRE[state] for state in request.states if state in STATES_FROM_WIRE)
    return OperationFilter(owners, kinds, frozenset(known))


def _texts(values: Sequence[str], field: str, example: str, faults: Faults) -> frozenset[str]:
    fault = f"has {len(values)} values, at most {MOST_VALUES} are allowed"
    if faults.unless(len(values) <= MOST_VALUES, field, fault, f'["{example}"]'):
        for position, value in enumerate(values):
            faults.text(f"{field}[{position}]", value, example, most=MOST_NAME)
    return frozenset(values)


def _timeout(request: pb.WaitOperationRequest) -> float:
    faults = Faults()
    timeout = span_in(request, "timeout", faults, example="30s")
    if timeout is None:
        timeout = WAIT
    fault = f"is {timeout.total_seconds()} s, it must be 0 to 60 s"
    faults.unless(NO_TIME <= timeout <= MOST_WAIT, "timeout", fault, "30s")
    faults.raise_any()
    return timeout.total_seconds()


def _position(token: str) -> Place | None:
    place = decode_place(token)
    if place is None:
        return None
    try:
        return place[0], str(uuid.UUID(place[1]))
    except ValueError as error:
        raise invalid_page_token() from error
