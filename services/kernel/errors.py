"""The closed family of errors whose text is sent to callers.

Domain, stores and servicers raise these; one step of the server (`services.kernel.grpc.errors`) turns them
into google.rpc.Status. Any other exception, unless it means an outage, is a fault of ours: it is logged, and
the caller gets an incident id. The `reason` of each error is stable: clients may branch on it, so a reason
once released never changes its meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.kernel.logged_errors import Loggable


class CeleriacError(Loggable):
    """The family's root: a stable `reason` (UPPER_SNAKE_CASE) and a message for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class NotFound(CeleriacError):
    """The named resource does not exist. `text` replaces the usual message, where that would read badly."""

    def __init__(self, resource: str, name: str, text: str = "") -> None:
        super().__init__(f"{resource.upper()}_NOT_FOUND", text or f"there is no {resource} {name!r}")
        self.resource = resource
        self.name = name


class AlreadyExists(CeleriacError):
    """A different resource of that name exists."""

    def __init__(self, resource: str, name: str) -> None:
        super().__init__(f"{resource.upper()}_EXISTS", f"the {resource} {name!r} exists already")
        self.resource = resource
        self.name = name


class FailedPrecondition(CeleriacError):
    """The call is valid, but the present state of the system does not allow it."""


class Conflict(CeleriacError):
    """The resource changed since the caller read it (AIP-154): read it again, then decide."""

    def __init__(self, name: str, etag: str) -> None:
        super().__init__("ETAG_MISMATCH", f"{name!r} was changed by someone else; its etag is now {etag}")
        self.etag = etag


@dataclass(frozen=True)
class FieldFault:
    """What is wrong with one field, and a value that would have been right."""

    field: str
    fault: str
    example: str

    def __str__(self) -> str:
        return f"{self.field} {self.fault}; for example: {self.example}"


class Invalid(CeleriacError):
    """Fields of the request are wrong, whatever the state of the system."""

    def __init__(self, faults: Sequence[FieldFault]) -> None:
        super().__init__("INVALID_FIELDS", "; ".join(map(str, faults)))
        self.faults = tuple(faults)

    def logged(self) -> str:
        """Returns the fields' names only: the text of a fault often quotes the field's value."""
        return f"{self.reason}: {', '.join(fault.field for fault in self.faults)}"


class Exhausted(CeleriacError):
    """There is no capacity for the call now; there may be some in `retry_after` seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__("EXHAUSTED", message)
        self.retry_after = retry_after


class TooLarge(CeleriacError):
    """The request has more bytes than a service takes."""

    def __init__(self, size: int, most: int) -> None:
        super().__init__(
            "REQUEST_TOO_LARGE",
            f"the request has {size} bytes, and a service takes at most {most}; send it in parts",
        )


class Unavailable(CeleriacError):
    """Something that the call needs is unavailable for now; the same call may be sent again."""

    def __init__(self, what: str) -> None:
        super().__init__("UNAVAILABLE", f"{what} can't be reached now; try again")


class Locked(CeleriacError):
    """Another transaction holds a lock that the call needs. Nothing was done.

    The same call may be sent again after `retry_after` seconds.
    """

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__("LOCKED", message)
        self.retry_after = retry_after


class NotReady(CeleriacError):
    """The system, or what the call needs of it, has not finished its start. Nothing was done.

    The same call may be sent again after `retry_after` seconds.
    """

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__("NOT_READY", message)
        self.retry_after = retry_after


class Unauthenticated(CeleriacError):
    """The caller did not prove its identity."""


class PermissionDenied(CeleriacError):
    """The caller is known, but has no right to make this call."""
