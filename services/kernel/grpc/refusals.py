"""Reads the error that another service answered with: the way back of `services.kernel.grpc.errors`."""

from __future__ import annotations

import grpc.aio
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from services.kernel.errors import CeleriacError, FieldFault, Invalid, Unavailable
from services.kernel.grpc.errors import EXAMPLE_FOLLOWS, STATUS_DETAILS


class Relayed(CeleriacError):
    """What another service answered, with its reason and in its words."""


def refusal_in(error: grpc.aio.AioRpcError, what: str) -> CeleriacError:
    """Returns the error of the family; `what` was called ("the monitor"), and may not have been reached.

    Its class is `Invalid` where the answer names fields, and else `Relayed`, or `Unavailable`.
    """
    reason, faults = "", list[FieldFault]()
    for detail in _details(error):
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            reason = error_details_pb2.ErrorInfo.FromString(detail.value).reason
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            violations = error_details_pb2.BadRequest.FromString(detail.value).field_violations
            faults = [_fault(each) for each in violations]
    if faults:
        return Invalid(faults)
    if not reason or error.code() is grpc.StatusCode.UNAVAILABLE:
        return Unavailable(what)
    return Relayed(reason, error.details() or "")


def _details(error: grpc.aio.AioRpcError) -> list[any_pb2.Any]:
    for key, value in error.trailing_metadata():
        if key == STATUS_DETAILS:
            return list(status_pb2.Status.FromString(value).details)
    return []


def _fault(violation: error_details_pb2.BadRequest.FieldViolation) -> FieldFault:
    fault, _, example = violation.description.partition(EXAMPLE_FOLLOWS)
    return FieldFault(violation.field, fault, example)
