"""What a call raises. Each error has the code of gRPC as its class, and the reason that the service gives.

    try:
        client.schedules.get("nightly")
    except celeriac.NotFound as error:
        print(error.reason, error.request_id)  # SCHEDULE_NOT_FOUND 5f0c…

docs/gateway.md lists the reasons. A mistake that is seen before anything is sent (a naive datetime, a
misspelt state, a target with `https://`) is a ValueError or a TypeError instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    import datetime as dt


class Details(NamedTuple):
    """What the service said beside the message."""

    # A value of celeriac.errors.v1.ErrorReason without its prefix: "SCHEDULE_NOT_FOUND"; "" if none was
    # given.
    reason: str = ""
    # What is wrong with each field of the request, by the field's path: {"schedule.timing.time_zone": "…"}.
    fields: Mapping[str, str] = {}
    # The id under which the service's log and the audit log have this call; "" if it reached no service.
    request_id: str = ""
    metadata: Mapping[str, str] = {}
    # How long to wait before another try, where the service said so.
    retry_after: dt.timedelta | None = None


class Error(Exception):
    """A call failed. `code` is gRPC's, such as "NOT_FOUND"."""

    code: ClassVar[str] = "UNKNOWN"

    def __init__(
        self,
        message: str,
        details: Details | None = None,
        *,
        method: str = "",
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        details = details or Details()
        self.reason = details.reason
        self.fields = dict(details.fields)
        self.request_id = details.request_id
        self.metadata = dict(details.metadata)
        self.retry_after = details.retry_after
        # "/celeriac.scheduler.v1.ScheduleService/PauseSchedule"
        self.method = method
        # The call changes something, and may have been carried out although no answer came: look before you
        # send it again.
        self.outcome_unknown = outcome_unknown

    def __str__(self) -> str:
        told = f"{self.message} [{self.reason or self.code}]"
        if self.outcome_unknown:
            told += "; it may have been carried out"
        return told


class Cancelled(Error):
    code = "CANCELLED"


class Unknown(Error):
    code = "UNKNOWN"


class InvalidArgument(Error):
    """The request is wrong, whatever the state of the system: see `fields`."""

    code = "INVALID_ARGUMENT"


class DeadlineExceeded(Error):
    """No answer came in time."""

    code = "DEADLINE_EXCEEDED"


class NotFound(Error):
    code = "NOT_FOUND"


class AlreadyExists(Error):
    code = "ALREADY_EXISTS"


class PermissionDenied(Error):
    code = "PERMISSION_DENIED"


class ResourceExhausted(Error):
    """There is no room for the call now: see `retry_after`."""

    code = "RESOURCE_EXHAUSTED"


class FailedPrecondition(Error):
    """The state of the system does not allow it: see `reason`."""

    code = "FAILED_PRECONDITION"


class Aborted(Error):
    """The resource was changed since it was read (ETAG_MISMATCH): read it again, and decide anew."""

    code = "ABORTED"


class OutOfRange(Error):
    code = "OUT_OF_RANGE"


class Unimplemented(Error):
    """The system has no such method: its release is older than this client."""

    code = "UNIMPLEMENTED"


class Internal(Error):
    code = "INTERNAL"


class Unavailable(Error):
    """The gateway or a service can't be reached."""

    code = "UNAVAILABLE"


class DataLoss(Error):
    code = "DATA_LOSS"


class Unauthenticated(Error):
    """The token is missing, expired or not one of this system's."""

    code = "UNAUTHENTICATED"


BY_CODE: dict[str, type[Error]] = {each.code: each for each in Error.__subclasses__()}
