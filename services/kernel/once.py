"""Idempotent requests: with the same `request_id`, which the caller chooses, a request has one effect."""

from __future__ import annotations

from dataclasses import dataclass

from services.kernel.errors import FieldFault, Invalid

# The example in errors about the field.
EXAMPLE = "retry-7f9c24e8"


@dataclass(frozen=True)
class Once:
    """A request with an id. The id is unique within `scope`; `digest` is a hash of all else that was sent."""

    scope: str
    request_id: str
    digest: bytes

    def check(self, digest: bytes | None) -> None:
        """Raises `Invalid` if a request with the same id had another digest. None stands for any."""
        if digest not in {None, self.digest}:
            raise self.refusal()

    def refusal(self) -> Invalid:
        """Returns the error for a different request with the same id: it must not get the other's answer."""
        fault = f"is {self.request_id!r}, the id of another request to {self.scope}"
        return Invalid([FieldFault("request_id", fault, EXAMPLE)])
