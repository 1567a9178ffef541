"""grpc's errors as those of celeriac.exceptions, with what the service said in the status details."""

from __future__ import annotations

import datetime as dt
from typing import Any

from celeriac.exceptions import BY_CODE, Details, Error, Unknown

DETAILS_KEY = "grpc-status-details-bin"
# Reasons of UNAVAILABLE that say that the call was not carried out.
NOTHING_DONE = frozenset({"LOCKED", "NOT_READY"})


def failure(error: Any, path: str, target: str, changes: bool) -> Error:
    """Returns the error to raise for a grpc.RpcError. `path` is the method's.

    A call that changes something and was cut off may have been carried out: only if grpc could not even
    connect, it was not.
    """
    code = error.code().name
    message = error.details() or ""
    never_sent = "failed to connect" in message or "DNS" in message or _never_spoke_tls(message)
    cut_off = code in {"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"} and not never_sent
    details = details_of(error)
    return BY_CODE.get(code, Unknown)(
        _in_words(message, target) or message,
        details,
        method=path,
        outcome_unknown=changes and cut_off and details.reason not in NOTHING_DONE,
    )


def details_of(error: Any) -> Details:
    """Returns what the status details have: ErrorInfo, BadRequest, RequestInfo, RetryInfo."""
    # Not at the top: a call that succeeds needs none of it.
    from google.rpc import error_details_pb2

    told: dict[str, Any] = {}
    for detail in _details(error):
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo.FromString(detail.value)
            told |= {"reason": info.reason, "metadata": dict(info.metadata)}
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            wrong = error_details_pb2.BadRequest.FromString(detail.value).field_violations
            told["fields"] = {each.field: each.description for each in wrong}
        elif detail.Is(error_details_pb2.RequestInfo.DESCRIPTOR):
            told["request_id"] = error_details_pb2.RequestInfo.FromString(detail.value).request_id
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            delay = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay
            told["retry_after"] = dt.timedelta(seconds=delay.seconds, microseconds=delay.nanos // 1000)
    return Details(**told)


def _details(error: Any) -> Any:
    from google.rpc import status_pb2

    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY:
            return status_pb2.Status.FromString(value).details
    return ()


def _never_spoke_tls(message: str) -> bool:
    return any(told in message for told in ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "handshake"))


def _in_words(message: str, target: str) -> str:
    """Returns a sentence for what grpc tells in words of its own; "" for anything else."""
    if "CERTIFICATE_VERIFY_FAILED" in message:
        return (
            f"the certificate of {target} is not signed by the authority in `ca`; give the file of the one "
            'that signed it: ca=".celeriac/ca.pem", or CELERIAC_CA'
        )
    if "WRONG_VERSION_NUMBER" in message:
        return f"{target} does not speak TLS; the gateway does, on the port that `make status` tells"
    if "Hostname Verification Check failed" in message:
        return f"the certificate of {target} is for another host; connect by a name that it has"
    if "failed to connect" in message or "DNS resolution failed" in message:
        return f"nothing answers at {target}; is it the gateway's address, and does the system run?"
    return ""


def seconds_of(deadline: dt.timedelta | float | None, contract: float | None) -> float | None:
    """Returns the seconds that a call may take: the caller's, or else the contract's."""
    if deadline is None:
        return contract
    seconds = deadline.total_seconds() if isinstance(deadline, dt.timedelta) else float(deadline)
    if seconds <= 0:
        raise ValueError(f"deadline is {seconds:g} s; it has to be more than 0, for example deadline=30")
    return seconds
