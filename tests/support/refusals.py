"""Errors as a service answers them, for a server that is told what to answer."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2


class Refusal(Exception):
    """What a function of the contract server raises to end a call with this error."""

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str = "no",
        reason: str = "",
        fields: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status: Any = status_pb2.Status(code=code.value[0], message=message)
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=field, description=fault)
            for field, fault in (fields or {}).items()
        ]
        for detail in (
            error_details_pb2.ErrorInfo(reason=reason, domain="celeriac"),
            error_details_pb2.BadRequest(field_violations=violations),
            error_details_pb2.RequestInfo(request_id="r-4711"),
        ):
            packed = any_pb2.Any()
            packed.Pack(detail)
            self.status.details.append(packed)

    def __call__(self, _: Any) -> Any:
        raise self
