"""The caller of the call that is being served: its identity and role."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum

from celeriac.access.v1 import policy_pb2


class Role(IntEnum):
    """The roles of callers, the least first; the numbers are those of the contract."""

    VIEWER = policy_pb2.ROLE_VIEWER
    ADMIN = policy_pb2.ROLE_ADMIN
    SUPER_ADMIN = policy_pb2.ROLE_SUPER_ADMIN
    SERVICE = policy_pb2.ROLE_SERVICE

    @property
    def label(self) -> str:
        """The name that tokens, logs and people use."""
        return self.name.lower()


# The roles that a token can have. The role of a service comes only with its TLS certificate.
TOKEN_ROLES = {role.label: role for role in Role if role is not Role.SERVICE}


@dataclass(frozen=True)
class Identity:
    """A caller that has proved who it is."""

    subject: str
    role: Role
    issuer: str
    token_id: str = ""
    # Whether a second factor was given recently enough to be valid.
    second_factor: bool = False


_identity: ContextVar[Identity | None] = ContextVar("identity", default=None)


def current_identity() -> Identity | None:
    """Returns the caller of the call being served; None outside a call, and for a caller without identity."""
    return _identity.get()


def current_subject() -> str:
    """Returns the subject of `current_identity`; "nobody" if there is none."""
    identity = current_identity()
    return identity.subject if identity else "nobody"


def bind_identity(identity: Identity | None) -> None:
    _identity.set(identity)
