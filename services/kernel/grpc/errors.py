"""Second step: turns errors into google.rpc.Status, by one table (`CODES`).

An exception outside the family of errors is answered as UNAVAILABLE if it means an outage (`outage_of`), and
else as INTERNAL with an incident id. It is logged (logged_errors.py), and its text is not sent: it may hold
what the caller must not see.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import NoReturn

import grpc
import structlog
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from services.kernel import errors
from services.kernel.database import LOCK_SECONDS
from services.kernel.grpc.call import Call
from services.kernel.logged_errors import for_log
from services.kernel.outages import AWAY, DISK_FULL, HELD_UP

log = structlog.get_logger(__name__)

DOMAIN = "celeriac"
STATUS_DETAILS = "grpc-status-details-bin"
# Between what is wrong with a field and a value that would have been right.
EXAMPLE_FOLLOWS = "; for example: "
HELD_MESSAGE = (
    "another call or an administrator's transaction holds what this call needs; nothing was done;"
    f" try again in {LOCK_SECONDS} s"
)
# The errors of a broker that is away, by the full names of their classes: who has no broker loads no client.
BROKER_AWAY = {"redis.exceptions.ConnectionError", "redis.exceptions.TimeoutError"}
DISK_MESSAGE = "the disk of the database is full; nothing was done; make room on it, then try again"
DISK_SECONDS = 60

CODES: dict[type[errors.CeleriacError], grpc.StatusCode] = {
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Conflict: grpc.StatusCode.ABORTED,
    errors.Invalid: grpc.StatusCode.INVALID_ARGUMENT,
    errors.Exhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.TooLarge: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.Locked: grpc.StatusCode.UNAVAILABLE,
    errors.NotReady: grpc.StatusCode.UNAVAILABLE,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
}


@asynccontextmanager
async def tell_errors(call: Call) -> AsyncIterator[None]:
    try:
        yield
    except errors.CeleriacError as error:
        await _abort(call, CODES[type(error)], error.message, details_of(error, call.request_id))
    except asyncio.CancelledError:
        call.code = grpc.StatusCode.CANCELLED
        raise
    except grpc.aio.AbortError:
        # Standard servicers (health, reflection) abort by themselves.
        call.code = _code_of(call)
        raise
    except Exception as error:
        outage = outage_of(error)
        if outage is not None:
            log.warning("rpc.unavailable", what=outage.message, error=for_log(error))
            await _abort(call, CODES[type(outage)], outage.message, details_of(outage, call.request_id))
        incident = uuid.uuid4().hex[:12]
        log.exception("rpc.failed", incident=incident)
        fault = errors.CeleriacError("INTERNAL", f"an error of ours, logged as incident {incident}")
        await _abort(call, grpc.StatusCode.INTERNAL, fault.message, details_of(fault, call.request_id))


def _code_of(call: Call) -> grpc.StatusCode:
    # Typed as StatusCode, but grpc.aio gives the bare number.
    number: object = call.context.code()
    return next(
        (code for code in grpc.StatusCode if number in (code, code.value[0])), grpc.StatusCode.UNKNOWN
    )


def outage_of(error: Exception) -> errors.Unavailable | errors.Locked | errors.Exhausted | None:
    """Returns the error to send for an outage of database or broker, a full disk, or a lock that others hold.

    None for any other exception. In each case nothing was done: the same call may be sent again later.
    """
    if isinstance(error, DISK_FULL):
        return errors.Exhausted(DISK_MESSAGE, DISK_SECONDS)
    if isinstance(error, HELD_UP):
        return errors.Locked(HELD_MESSAGE, LOCK_SECONDS)
    if isinstance(error, AWAY):
        return errors.Unavailable("the database")
    if any(f"{each.__module__}.{each.__qualname__}" in BROKER_AWAY for each in type(error).__mro__):
        return errors.Unavailable("the broker")
    return None


def details_of(error: errors.CeleriacError, request_id: str) -> list[Message]:
    """Returns the structured details that clients branch on (AIP-193)."""
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=_facts(error)),
        error_details_pb2.RequestInfo(request_id=request_id),
    ]
    if isinstance(error, errors.Invalid):
        details.append(
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(
                        field=fault.field, description=f"{fault.fault}{EXAMPLE_FOLLOWS}{fault.example}"
                    )
                    for fault in error.faults
                ]
            )
        )
    if isinstance(error, errors.Exhausted | errors.Locked | errors.NotReady):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(error.retry_after * 1e9))
        details.append(retry)
    return details


def packed(details: Iterable[Message]) -> list[any_pb2.Any]:
    """Returns details as a google.rpc.Status has them."""
    wrapped = []
    for detail in details:
        wrapped.append(any_pb2.Any())
        wrapped[-1].Pack(detail)
    return wrapped


def _facts(error: errors.CeleriacError) -> dict[str, str]:
    if isinstance(error, errors.Conflict):
        return {"etag": error.etag}
    if isinstance(error, errors.NotFound | errors.AlreadyExists):
        return {"resource": error.resource, "name": error.name}
    return {}


async def _abort(call: Call, code: grpc.StatusCode, message: str, details: list[Message]) -> NoReturn:
    call.code = code
    # Messages travel in a header: a stray line break or an overlong text would break the connection.
    message = " ".join(message.split())[:2000]
    status = status_pb2.Status(code=code.value[0], message=message, details=packed(details))
    await call.context.abort(code, message, ((STATUS_DETAILS, status.SerializeToString()),))
    raise AssertionError("abort() returned")
