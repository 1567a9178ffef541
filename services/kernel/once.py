"""Requests that have one effect however often they are sent, by a `request_id` that the caller chose."""

from __future__ import annotations

from dataclasses import dataclass

from services.kernel.errors import FieldFault, Invalid

# In errors that name the field.
EXAMPLE = "retry-7f9c24e8"


@dataclass(frozen=True)
class Once:
    """A request with an id. `scope` is what the id counts in; `digest` stands for all else that was sent."""

    scope: str
    request_id: str
    digest: bytes

    def refusal(self) -> Invalid:
        """For a request that has the id of another one: an answer to it would be an answer to the other."""
        fault = f"is {self.request_id!r}, the id of another request to {self.scope}"
        return Invalid([FieldFault("request_id", fault, EXAMPLE)])
