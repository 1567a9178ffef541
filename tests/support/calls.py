"""Calling a service, and reading its refusals."""

from __future__ import annotations

import time
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2


class Caller:
    """A stub whose calls carry a token."""

    def __init__(self, stub: Any, token: str, request_id: str = "") -> None:
        self._stub = stub
        self._credentials = grpc.access_token_call_credentials(token)
        self._metadata = (("x-request-id", request_id),) if request_id else ()

    def __getattr__(self, method: str) -> Any:
        call = getattr(self._stub, method)
        return lambda request: call(
            request, credentials=self._credentials, timeout=30, metadata=self._metadata
        )

    def begin(self, method: str, request: Any) -> Any:
        """The call as a future, which can be cancelled."""
        return getattr(self._stub, method).future(request, credentials=self._credentials, timeout=60)


def refused(call: Any, request: Any) -> tuple[grpc.StatusCode, str]:
    """The code and message with which a call is refused."""
    with pytest.raises(grpc.RpcError) as failed:
        call(request)
    error: Any = failed.value
    return error.code(), error.details()


def fields_at_fault(call: Any, request: Any) -> list[str]:
    """The fields that an INVALID_ARGUMENT names; each must come with an example."""
    with pytest.raises(grpc.RpcError) as failed:
        call(request)
    error: Any = failed.value
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, error
    assert "for example: " in error.details()
    trailing = dict(error.trailing_metadata())
    for detail in status_pb2.Status.FromString(trailing["grpc-status-details-bin"]).details:
        if detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest.FromString(detail.value)
            return [violation.field for violation in bad.field_violations]
    raise AssertionError("no BadRequest in the status")


def reason_of(error: Any) -> str:
    """The reason that the status of a failed call names."""
    trailing = dict(error.trailing_metadata())
    for detail in status_pb2.Status.FromString(trailing["grpc-status-details-bin"]).details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            return str(error_details_pb2.ErrorInfo.FromString(detail.value).reason)
    raise AssertionError("no ErrorInfo in the status")


def all_listed(call: Any, request: Any, entries: str) -> list[Any]:
    """What a list has, page by page to the last; `entries` is the field of the answer that holds it."""
    found: list[Any] = []
    while True:
        page = call(request)
        found += getattr(page, entries)
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def eventually(holds: Any, seconds: float = 30.0) -> Any:
    """Waits until the function gives something true, and gives that."""
    began = time.monotonic()
    while True:
        found = holds()
        if found:
            return found
        waited = time.monotonic() - began
        if waited > seconds:
            raise AssertionError(f"did not come true within {seconds} s; last: {found!r}")
        # Most comes true at once. What takes longer is not worth many looks: each is a call to a service, and
        # other tests want the processor.
        time.sleep(min(max(0.005, waited / 8), 0.25))
