"""Converts operations to the contract's message: any service may answer a call with one that it began."""

from __future__ import annotations

from celeriac.operations.v1 import operations_pb2 as pb

from services.kernel.grpc.enums import wire_values
from services.kernel.grpc.wire import timestamp
from services.kernel.operations import Operation, OperationState

STATES = wire_values(pb.OperationState, OperationState)


def operation_to(operation: Operation) -> pb.Operation:
    message = pb.Operation(
        name=f"operations/{operation.id}",
        owner=operation.owner,
        kind=operation.kind,
        state=STATES[operation.state],
        total=operation.total,
        done=operation.done,
        failed=operation.failed,
        rate=operation.rate,
        resource=operation.resource,
        actor=operation.actor,
        note=operation.note,
        cancel_requested_by=operation.cancel_requested_by,
        cancel_request_time=timestamp(operation.cancel_requested_at),
        create_time=timestamp(operation.created_at),
        update_time=timestamp(operation.updated_at),
        end_time=timestamp(operation.ended_at),
    )
    message.metadata.update(operation.metadata)
    return message
