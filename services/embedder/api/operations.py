"""The servicer of OperationService."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
import uuid

from celeriac.operations.v1 import operations_pb2 as pb
from celeriac.operations.v1 import operations_pb2_grpc

from services.embedder.api import convert
from services.embedder.bulk.operations import Operation, OperationState
from services.embedder.bulk.store_operations import OperationStore
from services.embedder.pace import USUAL, Pace
from services.kernel.durations import span_in
from services.kernel.grpc.wire import Context
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

WAIT, MOST_WAIT = dt.timedelta(seconds=30), dt.timedelta(seconds=60)
NO_TIME = dt.timedelta(0)


class OperationApi(operations_pb2_grpc.OperationServiceServicer):
    def __init__(self, sessions: Sessions, pace: Pace = USUAL) -> None:
        self._sessions = sessions
        self._pace = pace

    async def GetOperation(
        self, request: pb.GetOperationRequest, context: Context
    ) -> pb.GetOperationResponse:
        operation = await self._get(convert.operation_id(request.name))
        return pb.GetOperationResponse(operation=convert.operation_to(operation))

    async def ListOperations(
        self, request: pb.ListOperationsRequest, context: Context
    ) -> pb.ListOperationsResponse:
        size, before = page_size(request.page_size), _position(request.page_token)
        async with self._sessions.reading() as session:
            found = await OperationStore(session).list(before, size + 1)
        return pb.ListOperationsResponse(
            operations=map(convert.operation_to, found[:size]),
            next_page_token=next_page_token(
                found, size, lambda last: encode_place((last.created_at, last.id))
            ),
        )

    async def CancelOperation(
        self, request: pb.CancelOperationRequest, context: Context
    ) -> pb.CancelOperationResponse:
        async with self._sessions.transaction() as session:
            operation = await OperationStore(session).cancel(convert.operation_id(request.name))
        return pb.CancelOperationResponse(operation=convert.operation_to(operation))

    async def WaitOperation(
        self, request: pb.WaitOperationRequest, context: Context
    ) -> pb.WaitOperationResponse:
        operation_id, deadline = convert.operation_id(request.name), time.monotonic() + _timeout(request)
        operation = await self._get(operation_id)
        while operation.state is OperationState.RUNNING and time.monotonic() < deadline:
            await asyncio.sleep(self._pace.operation_look)
            operation = await self._get(operation_id)
        return pb.WaitOperationResponse(operation=convert.operation_to(operation))

    async def _get(self, operation_id: str) -> Operation:
        async with self._sessions.reading() as session:
            return await OperationStore(session).get(operation_id)


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
