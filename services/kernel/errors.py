"""The closed family of errors that a caller may be told about.

Domain, store and servicers raise these; one interceptor (`services.kernel.grpc.errors`) turns them into
google.rpc.Status. Anything else that is raised is a fault of ours: logged, told as an incident id.
The `reason` of each is stable: clients may branch on it, so a reason once released never changes meaning.
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
    """The named resource does not exist; `text` says so where kind and name read badly."""

    def __init__(self, resource: str, name: str, text: str = "") -> None:
        super().__init__(f"{resource.upper()}_NOT_FOUND", text or f"there is no {resource} {name!r}")
        self.resource = resource
        self.name = name


class AlreadyExists(CeleriacError):
    """A resource of that name exists, and is not the same."""

    def __init__(self, resource: str, name: str) -> None:
        super().__init__(f"{resource.upper()}_EXISTS", f"the {resource} {name!r} exists already")
        self.resource = resource
        self.name = name


class FailedPrecondition(CeleriacError):
    """The call is well formed, but the state of things forbids it for now."""


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
    """Fields of the request are at fault, whatever the state of things."""

    def __init__(self, faults: Sequence[FieldFault]) -> None:
        super().__init__("INVALID_FIELDS", "; ".join(map(str, faults)))
        self.faults = tuple(faults)

    def logged(self) -> str:
        """The fields' names: what is wrong with a field is often told by its value."""
        return f"{self.reason}: {', '.join(fault.field for fault in self.faults)}"


class Exhausted(CeleriacError):
    """No room for the call now; `retry_after` says in how many seconds there may be."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__("EXHAUSTED", message)
        self.retry_after = retry_after


class Unavailable(CeleriacError):
    """Something the call needs is away for now; the same call may be sent again."""

    def __init__(self, what: str) -> None:
        super().__init__("UNAVAILABLE", f"{what} can't be reached now; try again")


class Locked(CeleriacError):
    """Another transaction has what the call needs. Nothing was done: the same call may be sent again."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__("LOCKED", message)
        self.retry_after = retry_after


class Unauthenticated(CeleriacError):
    """The caller did not show who they are."""


class PermissionDenied(CeleriacError):
    """The caller is known, and may not."""


class Unimplemented(CeleriacError):
    """There is no such method here."""

    def __init__(self, message: str) -> None:
        super().__init__("UNIMPLEMENTED", message)
